"""`rekam sync`: delivers what processes left in their spools."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from rekam import settings
from rekam.address import target_of
from rekam.cli.output import REFUSED, UNAVAILABLE, fail, print_json, print_table
from rekam.delivery.handover import Handover, hand_over
from rekam.errors import RekamError, SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.survey import Found, look, survey

_Progress = Callable[[int], None]


@click.command()
@click.argument("spools", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the spools, deliver nothing.")
@click.option(
    "--dir",
    "directories",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where spools lie. May be repeated.  [env: REKAM_SPOOL_DIR, REKAM_SPILL_DIR]",
)
@click.option("--uri", help="Deliver to this server, grpc://HOST:PORT, not to the one they are meant for.")
@click.option("--any-host", is_flag=True, help="Also those of other hosts, where they have ended.")
@click.option("--dry-run", is_flag=True, help="Say what would be delivered.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def sync(
    spools: tuple[str, ...],
    only_list: bool,
    directories: tuple[Path, ...],
    uri: str | None,
    any_host: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Deliver what processes left in their spools: all of them, or those named.

    A spool of a process that runs is left alone. What is delivered twice is stored once, so a
    sync that was cut off is simply started again. Exit codes: 0 all that can be was delivered; 1 something
    was refused, damaged, or had to be left; 3 the server is not there.
    """
    # What the SDK's log would say is said here.
    logging.getLogger("rekam").setLevel(logging.CRITICAL)
    try:
        roots = list(directories) or settings.current().spool_roots
        target = target_of(uri) if uri else ""
        found = _chosen(spools, roots)
        if only_list:
            _print_list(found, as_json)
            return
        _deliver(found, target, any_host=any_host, dry_run=dry_run, as_json=as_json)
    except RekamError as error:
        fail(str(error), REFUSED)


def _chosen(names: Sequence[str], roots: Sequence[Path]) -> list[Found]:
    if not names:
        return list(survey(roots))
    there = {each.name: each for each in spool_directory.spools_in(roots)}
    chosen = []
    for name in names:
        directory = there.get(name, Path(name))
        if directory not in there.values() and not spool_directory.segments_in([directory]):
            places = ", ".join(map(str, roots))
            raise click.BadParameter(f"{name} is no spool in {places}", param_hint="SPOOLS")
        chosen.append(look(directory))
    return chosen


# ---- listing ----


def _print_list(found: Sequence[Found], as_json: bool) -> None:
    if as_json:
        print_json([_fields(each) for each in found])
        return
    now = time.time()
    print_table(
        ("directory", "target", "host", "in use", "runs", "files", "size", "age", "damaged", "fault"),
        [
            (
                each.directory,
                each.about.target if each.about else "",
                each.about.host if each.about else "",
                f"by {each.about.pid}" if each.in_use and each.about else "no",
                len(each.runs),
                each.files,
                _size(each.bytes),
                _age(now - each.about.created_ms / 1000) if each.about else "",
                each.damaged,
                each.fault,
            )
            for each in found
        ],
        widest=120,
    )


def _fields(each: Found) -> dict[str, Any]:
    about = each.about
    return {
        "directory": str(each.directory),
        "target": about.target if about else None,
        "host": about.host if about else None,
        "pid": about.pid if about else None,
        "created_ms": about.created_ms if about else None,
        "in_use": each.in_use,
        "bytes": each.bytes,
        "runs": list(each.runs),
        "files": each.files,
        "damaged": each.damaged,
        "fault": each.fault,
    }


# ---- delivering ----


def _deliver(found: Sequence[Found], target: str, *, any_host: bool, dry_run: bool, as_json: bool) -> None:
    results = []
    total = sum(each.bytes for each in found if not _left_alone(each, target, any_host))
    code = 0
    absent: set[str] = set()
    # A bar and lines would write into each other: the lines come behind it then.
    bar = bool(total) and not dry_run and not as_json and sys.stderr.isatty()
    behind: list[partial[None]] = []
    with _progress(total, shown=bar) as progress:
        for each in found:
            outcome, handover, its_code = _deliver_one(each, target, absent, any_host, dry_run, progress)
            results.append({**_fields(each), "outcome": outcome, **_told(handover)})
            code = max(code, its_code)
            say = partial(_print_outcome, each, outcome, handover)
            if bar:
                behind.append(say)
            elif not as_json:
                say()
    for say in behind:
        say()
    if as_json:
        print_json(results)
    elif not found:
        click.echo("nothing to deliver")
    sys.exit(code)


def _left_alone(each: Found, target: str, any_host: bool) -> str:
    """Why a spool is not delivered; empty when it is."""
    if each.in_use:
        return f"in use by process {each.about.pid}" if each.about else "in use"
    if each.about is None:
        return "" if target else f"left: {each.fault}, so --uri must say where to"
    if each.fault:
        return f"left: {each.fault}"
    if not each.about.local and not any_host:
        return f"left: of host {each.about.host}; when its process has ended, --any-host delivers it"
    return ""


def _deliver_one(
    each: Found, target: str, absent: set[str], any_host: bool, dry_run: bool, progress: _Progress
) -> tuple[str, Handover | None, int]:
    """What became of a spool, in words; how its delivery went; the exit code that it asks for.

    absent: servers that were not there a moment ago.
    """
    why = _left_alone(each, target, any_host)
    if why:
        return why, None, 0 if each.in_use else REFUSED
    target = target or (each.about.target if each.about else "")
    if dry_run:
        return f"would deliver {_size(each.bytes)} to {target}", None, 0
    if target in absent:
        return f"left: {target} is not there", None, UNAVAILABLE
    lock = spool_directory.claim(each.directory)
    if lock is None:
        return "in use by another process", None, 0
    options = settings.current()
    try:
        handover = hand_over(
            each.directory,
            lock,
            target,
            connect_timeout=options.connect_timeout,
            retry_timeout=options.retry_timeout,
            progress=progress,
        )
    except SpoolError as error:
        return f"left: {error}", None, REFUSED
    files = handover.files
    faults = handover.refused or handover.damaged or files.refused
    said = f"delivered {_size(handover.delivered)}"
    if files.delivered:
        said += f" and {files.delivered} files"
    if not handover.left and not files.left:
        return f"{said} to {target}", handover, REFUSED if faults else 0
    if not handover.left:
        absent.add("" if files.missing else target)
        why = f"{files.missing}, yet" if files.missing else f"{target} is not there"
        return f"{said}, left {files.left} files: {why}", handover, REFUSED if files.missing else UNAVAILABLE
    left = f"left {_size(handover.left)} of {_size(each.bytes)}"
    if handover.missing:
        return f"{left}: {handover.missing}, yet; it waits for whoever creates it", handover, REFUSED
    absent.add(target)
    return f"{left}: {target} is not there", handover, UNAVAILABLE


def _print_outcome(each: Found, outcome: str, handover: Handover | None) -> None:
    click.echo(f"{each.directory}: {outcome}")
    if handover is None:
        return
    for refusal in handover.refusals:
        click.echo(f"  refused: {refusal}")
    if handover.refused > len(handover.refusals):
        click.echo(f"  refused: {handover.refused - len(handover.refusals)} more")
    for text in handover.files.refused:
        click.echo(f"  refused: {text}")
    for damage in handover.damages:
        click.echo(f"  damaged: {damage}")
    if handover.damaged > len(handover.damages):
        click.echo(f"  damaged: {handover.damaged - len(handover.damages)} more places")
    if handover.damaged:
        click.echo(f"  the damaged segments are kept in {each.directory} as *.damaged")


def _told(handover: Handover | None) -> dict[str, Any]:
    if handover is None:
        return {}
    return {
        "delivered": handover.delivered,
        "left": handover.left,
        "refused": handover.refused,
        "refusals": [*(str(each) for each in handover.refusals), *handover.files.refused],
        "files_delivered": handover.files.delivered,
        "files_left": handover.files.left,
        "damages": [str(each) for each in handover.damages],
    }


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[_Progress]:
    if not shown:
        yield lambda _: None
        return
    with click.progressbar(length=total, label=f"delivering {_size(total)}", file=sys.stderr) as bar:
        yield bar.update


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
