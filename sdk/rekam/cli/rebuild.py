"""`rekam log rebuild`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from rekam.calls.log import Log
from rekam.cli.messages import plain
from rekam.cli.output import command_options, moment, print_fields, print_table
from rekam.client import Client
from rekam.errors import Unavailable
from rekam_proto.log.v1 import log_pb2

_STATES = log_pb2.RebuildState
_ENDED = (
    log_pb2.REBUILD_STATE_DONE,
    log_pb2.REBUILD_STATE_DIFFERENT,
    log_pb2.REBUILD_STATE_CANCELLED,
    log_pb2.REBUILD_STATE_FAILED,
)
_INTERRUPTED = 130


class _StartsByDefault(click.Group):
    """`rebuild tracking` is `rebuild start tracking`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_StartsByDefault)
def rebuild() -> None:
    """Rebuild a service's projection from the log: SERVICE, status, watch, pause, resume, cancel.

    The rebuild is the server's work: it goes on when this command is interrupted or the
    machine that gave it is gone. Exit status 1: it ended without a switch.
    """


@rebuild.command("start")
@click.argument("service")
@click.option("--detach", is_flag=True, help="Ask for it and return.")
@click.option(
    "--accept-differences",
    is_flag=True,
    help="Switch also when the new tables differ: those that are read may be the wrong ones.",
)
@command_options
def start(client: Client, as_json: bool, service: str, detach: bool, accept_differences: bool) -> None:
    """Rebuild the projection of SERVICE beside the one that is read, compare, and switch to it."""
    log = Log(client.tracking_uri, service)
    started = log.start_rebuild(accept_differences=accept_differences)
    if detach:
        _show(started, as_json)
    else:
        _follow(log, started.id, as_json)


@rebuild.command("watch")
@click.argument("service", default="tracking")
@command_options
def watch(client: Client, as_json: bool, service: str) -> None:
    """Watch the last rebuild until it has ended."""
    log = Log(client.tracking_uri, service)
    _follow(log, log.rebuild().id, as_json)


@rebuild.command("status")
@click.argument("service", default="tracking")
@command_options
def status(client: Client, as_json: bool, service: str) -> None:
    """Show how the last rebuild stands."""
    _show(Log(client.tracking_uri, service).rebuild(), as_json)


@rebuild.command("pause")
@click.argument("service", default="tracking")
@command_options
def pause(client: Client, as_json: bool, service: str) -> None:
    """Let it rest; what was built is kept."""
    _show(Log(client.tracking_uri, service).pause_rebuild(), as_json)


@rebuild.command("resume")
@click.argument("service", default="tracking")
@command_options
def resume(client: Client, as_json: bool, service: str) -> None:
    """Let it go on."""
    _show(Log(client.tracking_uri, service).resume_rebuild(), as_json)


@rebuild.command("cancel")
@click.argument("service", default="tracking")
@command_options
def cancel(client: Client, as_json: bool, service: str) -> None:
    """End it and remove what was built."""
    _show(Log(client.tracking_uri, service).cancel_rebuild(), as_json)


def _follow(log: Log, id: int, as_json: bool) -> None:
    """Print its progress until it has ended."""
    last = log_pb2.Rebuild()
    try:
        with click.progressbar(
            length=1000, label="requested", show_eta=False, hidden=as_json, item_show_func=_item
        ) as bar:
            for last in _until_ended(log, id):
                if as_json:
                    click.echo(json.dumps(plain(last), ensure_ascii=False))
                    continue
                bar.label = _state(last)
                bar.update(round(1000 * _share(last)) - bar.pos, last)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe rebuild goes on. `rekam log rebuild watch {log.service}` shows it; pause and cancel "
            "tell it to rest or to end.",
            err=True,
        )
        raise SystemExit(_INTERRUPTED) from None
    if not as_json:
        _print_end(last)
    if last.state != log_pb2.REBUILD_STATE_DONE:
        raise SystemExit(1)


def _until_ended(log: Log, id: int) -> Iterator[log_pb2.Rebuild]:
    """The server that answers may be restarted meanwhile."""
    while True:
        try:
            for one in log.watch_rebuild(id):
                yield one
                if one.state in _ENDED:
                    return
        except Unavailable:
            # Tries for as long as any call does, then raises.
            log.rebuild(id)


def _item(one: log_pb2.Rebuild | None) -> str:
    if one is None:
        return ""
    if one.state != log_pb2.REBUILD_STATE_PROJECTING or one.paused:
        return one.message
    left = f", {_duration(one.left_s)} left" if one.HasField("left_s") else ""
    points = f", {_short(one.points_per_s)} points/s" if one.points else ""
    return f"{one.records:,} events, {_short(one.records_per_s)} events/s{points}{left}"


def _share(one: log_pb2.Rebuild) -> float:
    if one.state == log_pb2.REBUILD_STATE_DONE:
        return 1.0
    targets = sum(stream.target for stream in one.streams)
    return sum(stream.position for stream in one.streams) / targets if targets else 0.0


def _show(one: log_pb2.Rebuild, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(plain(one), ensure_ascii=False))
        return
    fields: dict[str, Any] = {
        "rebuild": f"{one.id} of {one.service}",
        "state": _state(one),
        "requested (UTC)": f"{moment(one.requested_us // 1000)} by {one.actor}",
        "ended (UTC)": moment(one.ended_us // 1000),
        "generation": f"{one.generation or 'none yet'}; active is {one.active_generation}",
        "events": f"{one.records:,}",
        "points": f"{one.points:,}",
        "bytes": f"{one.bytes:,}",
        "reading the log": _duration(one.projecting_s),
        "comparing": _duration(one.comparing_s),
    }
    if one.HasField("left_s"):
        fields["left"] = _duration(one.left_s)
    if one.message:
        fields["message"] = one.message
    print_fields({name: value for name, value in fields.items() if value})
    if one.streams:
        click.echo()
        print_table(
            ("stream", "position", "target"),
            [(stream.stream, stream.position, stream.target) for stream in one.streams],
        )
    _print_differences(one)


def _print_end(one: log_pb2.Rebuild) -> None:
    seconds = one.projecting_s
    speed = f", {_short(one.points / seconds)} points/s" if one.points and seconds else ""
    did = f"{one.records:,} events in {_duration(seconds)}{speed}, compared in {_duration(one.comparing_s)}"
    if one.state == log_pb2.REBUILD_STATE_DONE:
        click.echo(f"{one.service} is rebuilt: readers have generation {one.generation}. {did}.")
    else:
        click.echo(f"The rebuild ended without a switch ({_state(one)}): {one.message}", err=True)
    _print_differences(one)


def _print_differences(one: log_pb2.Rebuild) -> None:
    if not one.differing:
        return
    click.echo()
    rows: Iterable[tuple[object, ...]] = (
        (each.table, each.owner, each.active_rows, each.rebuilt_rows) for each in one.differences
    )
    print_table(("differs in", "of", "rows now", "rows rebuilt"), list(rows))
    if one.differing > len(one.differences):
        click.echo(f"(and {one.differing - len(one.differences)} more)")


def _state(one: log_pb2.Rebuild) -> str:
    name = _STATES.Name(one.state).removeprefix("REBUILD_STATE_").lower()
    return f"{name}, paused" if one.paused and one.state not in _ENDED else name


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _short(number: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"
