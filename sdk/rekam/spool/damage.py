"""What could not be read of a spool, told by name and remembered for whoever delivers it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("rekam")

# Remembered in full; those beyond are counted.
_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no records, or records that are missing between two others.

    file: the segment; position: of the first lost byte in the spool; size: how many.
    sequences: first and last of the frames and texts lost, when it is known; run_id, writer: likewise.
    """

    file: Path
    position: int
    size: int
    reason: str
    run_id: str = ""
    writer: str = ""
    sequences: tuple[int, int] | None = None

    def __str__(self) -> str:
        what = []
        if self.sequences is not None:
            first, last = self.sequences
            what.append(f"sequence {first}" if first == last else f"sequences {first} to {last}")
        if self.run_id:
            what.append(f"of run {self.run_id} (writer {self.writer})")
        size = f", {self.size} bytes" if self.size else ""
        return f"{self.file}, position {self.position}{size}: {self.reason}" + (
            f": {' '.join(what)}" if what else ""
        )


class Damages:
    """Damages of one spool, each told once however often the spool is read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[int, str], Damage] = {}
        self.total = 0

    def add(self, damage: Damage) -> None:
        """Take one in."""
        key = (damage.position, damage.reason)
        with self._lock:
            if key in self._found:
                return
            self.total += 1
            if len(self._found) < _KEPT:
                self._found[key] = damage
        log.error("the spool is damaged: %s", damage)

    def found(self) -> list[Damage]:
        """The first of them, in the order in which they were met."""
        with self._lock:
            return list(self._found.values())
