"""`rekam log quarantine`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from rekam.calls.log import Log
from rekam.cli.messages import plain
from rekam.cli.output import ListsByDefault, command_options, moment, print_fields, print_json, print_table
from rekam.client import Client
from rekam.errors import Invalid
from rekam_proto.log.v1 import log_pb2

_SHOWN_BYTES = 512
service_option = click.option(
    "--service", default="tracking", show_default=True, help="Whose projection it is about."
)


@click.group(cls=ListsByDefault)
def quarantine() -> None:
    """Records that could not be applied: list (the default), show, retry, drop.

    A record is named STREAM:POSITION, as `list` shows it. Exit status 1: at least one was not
    retried or dropped.
    """


@quarantine.command("list")
@click.option("--stream", default="", help="Only of this stream.")
@click.option("--all", "include_dropped", is_flag=True, help="Also those that were dropped.")
@service_option
@command_options
def list_records(client: Client, as_json: bool, service: str, stream: str, include_dropped: bool) -> None:
    """List what was set aside, and why."""
    found = list(Log(client.tracking_uri, service).quarantined(stream, include_dropped=include_dropped))
    if as_json:
        print_json([plain(record) for record in found])
        return
    print_table(
        ("record", "set aside (UTC)", "bytes", "dropped by", "reason"),
        [
            (
                f"{record.stream}:{record.position}",
                moment(record.time_us // 1000),
                record.bytes,
                record.dropped.actor,
                record.dropped.reason or record.reason,
            )
            for record in found
        ],
    )


@quarantine.command("show")
@click.argument("record")
@service_option
@command_options
def show(client: Client, as_json: bool, service: str, record: str) -> None:
    """Show one record: its reason, its envelope and event, its bytes."""
    found = Log(client.tracking_uri, service).show(*_place(record))
    if as_json:
        print_json(plain(found))
        return
    about = found.record
    fields: dict[str, object] = {
        "record": f"{about.stream}:{about.position}",
        "subject": about.subject,
        "set aside (UTC)": moment(about.time_us // 1000),
        "reason": about.reason,
    }
    if about.HasField("dropped"):
        dropped = about.dropped
        fields["dropped (UTC)"] = moment(dropped.time_us // 1000)
        fields["dropped by"] = dropped.actor
        fields["because"] = dropped.reason
    rest = "" if about.bytes <= _SHOWN_BYTES else f" ... ({about.bytes} bytes; --json has all)"
    fields["bytes"] = found.data[:_SHOWN_BYTES].hex(" ") + rest
    print_fields(fields)
    if found.json:
        click.echo(found.json)


@quarantine.command("retry")
@click.argument("records", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every record that was not dropped.")
@click.option("--stream", default="", help="With --all: only of this stream.")
@service_option
@command_options
def retry(
    client: Client, as_json: bool, service: str, records: tuple[str, ...], everything: bool, stream: str
) -> None:
    """Apply records now, after what could not apply them was put right."""
    log = Log(client.tracking_uri, service)
    _report(log.retry(_chosen(log, records, everything, stream)), as_json, "applied")


@quarantine.command("drop")
@click.argument("records", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every record that was not dropped yet.")
@click.option("--stream", default="", help="With --all: only of this stream.")
@click.option("--reason", required=True, help="Why they are never to be applied; is kept with them.")
@service_option
@command_options
def drop(
    client: Client,
    as_json: bool,
    service: str,
    records: tuple[str, ...],
    everything: bool,
    stream: str,
    reason: str,
) -> None:
    """Decide that records are never applied; `list --all` still shows them."""
    log = Log(client.tracking_uri, service)
    _report(log.drop(_chosen(log, records, everything, stream), reason), as_json, "dropped")


def _chosen(log: Log, records: tuple[str, ...], everything: bool, stream: str) -> list[tuple[str, int]]:
    if everything == bool(records):
        raise click.UsageError("name records as STREAM:POSITION, or give --all")
    if stream and not everything:
        raise click.UsageError("--stream goes with --all")
    if everything:
        return [(record.stream, record.position) for record in log.quarantined(stream)]
    return [_place(record) for record in records]


def _place(record: str) -> tuple[str, int]:
    stream, separator, position = record.rpartition(":")
    if not separator or not stream or not position.isdecimal():
        raise Invalid(f"a record is named STREAM:POSITION, got {record!r}", field="record")
    return stream, int(position)


def _report(outcomes: Iterable[log_pb2.Outcome], as_json: bool, what: str) -> None:
    found = list(outcomes)
    if as_json:
        print_json([plain(outcome) for outcome in found])
    else:
        for outcome in found:
            name = f"{outcome.place.stream}:{outcome.place.position}"
            click.echo(f"{name} {what}" if outcome.done else f"{name} not {what}: {outcome.reason}")
        click.echo(f"{sum(outcome.done for outcome in found)} of {len(found)} {what}")
    if not all(outcome.done for outcome in found):
        raise SystemExit(1)
