"""The figures in README.md and docs/bench.md, written anew from bench/results: `python -m bench.readme`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.peers.__main__ import PEERS
from bench.peers.__main__ import table as peers_table
from bench.report import RESULTS, TARGETS, memory_table, table

ROOT = Path(__file__).parents[1]


def short(results: Mapping[str, Any]) -> str:
    """The figures that have a target; of the searches of the registry the slowest one."""
    searches = {name: value for name, value in results["figures"].items() if name.startswith("registry_1m_")}
    slowest = max(searches, key=lambda name: searches[name], default="")
    shown = {
        name: value
        for name, value in results["figures"].items()
        if name in TARGETS and (name == slowest or name not in searches)
    }
    head = (
        f"`make bench`, {_where(results)}: the whole stack, the\n"
        "load and the readers share these cores. Every point is read back and checked.\n"
        "[All figures, what they mean, and memory](docs/bench.md)."
    )
    return f"{head}\n\n{table(shown, results['shares'])}"


def latest(results: Mapping[str, Any]) -> str:
    """The tables of `make bench`."""
    head = (
        f"`make bench`, {_where(results)}: the whole stack, the\n"
        "load and the readers share these cores. Every point is read back and checked."
    )
    figures = table(results["figures"], results["shares"])
    return "\n\n".join([head, figures, memory_table(results["resident_mib"])])


def peers(results: Mapping[str, Any]) -> str:
    """The table of `make bench-peers`."""
    versions = ", ".join(f"{peer} {results['versions'][peer]}" for peer in PEERS)
    return f"`make bench-peers`, {_where(results)}: {versions}.\n\n{peers_table(results['figures'])}"


def _where(results: Mapping[str, Any]) -> str:
    return f"on {results['machine']}, {results['at'][:10]}"


BLOCKS = {
    "bench-targets": ("latest.json", short),
    "bench": ("latest.json", latest),
    "bench-peers": ("peers.json", peers),
}


@click.command(help=__doc__)
def main() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "bench.md"):
        text = before = page.read_text()
        for name, (file, written) in BLOCKS.items():
            results = RESULTS / file
            if results.exists():
                block = written(json.loads(results.read_text()))
                text = replaced(text, name, block)
        if text != before:
            page.write_text(text)
            click.echo(f"written: {page}")


def replaced(page: str, name: str, block: str) -> str:
    """The page with another text between its markers of this name, if it has them."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", page)


if __name__ == "__main__":
    main()
