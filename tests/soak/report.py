"""What soaks found, kept in docs/soak.md: the last result of each scenario."""

from __future__ import annotations

import datetime
import os
import platform
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "soak.md"
HEADING = "## Last results\n"
COLUMNS = "| scenario | points compared | until caught up, s | in the log twice | most memory, MB | when |"
RULE = "| --- | ---: | ---: | --- | --- | --- |"


@dataclass(frozen=True)
class Row:
    """One scenario that passed.

    behind_s: the longest time until all clients had an acknowledgement for all they had logged.
    memory: MB by process, the greatest seen.
    """

    scenario: str
    points: int
    behind_s: float
    frames: str
    memory: dict[str, float]

    def line(self, when: str) -> str:
        memory = ", ".join(
            f"{name} {megabytes:.0f}"
            for name, megabytes in sorted(self.memory.items(), key=lambda item: -item[1])[:4]
        )
        return (
            f"| {self.scenario} | {self.points:,} | {self.behind_s:.1f} | {self.frames} | {memory} | {when} |"
        )


def keep(rows: list[Row]) -> str:
    """Put the rows into the page, each in the place of the one before; answers the table."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    head, _, old = PAGE.read_text().partition(HEADING)
    lines = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    lines.pop("scenario", None)
    lines.pop("---", None)
    lines |= {row.scenario: row.line(now) for row in rows}
    table = "\n".join([COLUMNS, RULE, *sorted(lines.values())])
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}; times are UTC."
    PAGE.write_text(f"{head}{HEADING}\n{machine}\n\n{table}\n")
    return table
