"""What lies in the spool directories, looked at without taking anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.cursor import Cursor
from rekam.spool.directory import About
from rekam.spool.kept import Kept
from rekam.spool.lock import SpoolLock
from rekam.spool.records import Kind
from rekam.spool.spool import Spool
from rekam_proto.ingest.v1 import ingest_pb2

# Runs that are named of one spool; a program that starts more is rare.
_MOST_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """A spool.

    about: None when about.json cannot be read. in_use: a process writes or delivers it.
    runs: ids, as far as they can be read. files: how many wait behind the records. damaged: places in it
    that cannot, damaged segments that were kept, and files that the server refused. fault: why it cannot
    be delivered as it is.
    """

    directory: Path
    about: About | None
    in_use: bool
    bytes: int
    runs: tuple[str, ...] = ()
    files: int = 0
    damaged: int = 0
    fault: str = ""


def survey(roots: Sequence[Path]) -> Iterator[Found]:
    """Every spool under `roots`, oldest first."""
    for directory in spool_directory.spools_in(roots):
        yield look(directory)


def look(directory: Path) -> Found:
    """One spool, read through."""
    about = spool_directory.read_about(directory)
    in_use = SpoolLock.held(directory)
    kept = len(spool_directory.damaged_in(directory))
    try:
        spool = Spool.adopt(directory, SpoolLock.none())
    except SpoolError as error:
        return Found(directory, about, in_use, 0, damaged=kept, fault=error.message)
    fault = "" if about is not None else "about.json cannot be read"
    kept_files = Kept(directory)
    waiting = kept_files.waiting()
    runs = tuple(dict.fromkeys([*_runs_in(spool), *(each.run_id for each in waiting)]))
    # The end of one that is written may be half a record.
    damaged = kept + kept_files.refused() + (0 if in_use else spool.damages.total)
    size = spool.bytes + kept_files.bytes
    return Found(directory, about, in_use, size, runs, len(waiting), damaged, fault)


def _runs_in(spool: Spool) -> list[str]:
    found: dict[str, None] = {}
    seen: set[bytes] = set()
    cursor = Cursor(spool, 0)
    try:
        while len(found) < _MOST_RUNS and (stored := cursor.next()) is not None:
            if stored.record.kind is Kind.CONTROL:
                request = ingest_pb2.IngestRequest.FromString(stored.record.body)
                found[getattr(request, request.WhichOneof("body") or "").run_id] = None
            else:
                run = cursor.runs[stored.record.handle].body
                if run not in seen:
                    seen.add(run)
                    found[ingest_pb2.IngestRequest.FromString(run).open_run.run_id] = None
    finally:
        cursor.close()
    return list(found)
