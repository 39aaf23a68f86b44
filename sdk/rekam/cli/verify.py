"""`rekam verify`."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import click

from rekam.cli.output import command_options, print_json
from rekam.client import Client
from rekam.verifying import Options, Report, Verifier

_UNAVAILABLE = 3
_FOUND = 1
_TELL_SECONDS = 10.0


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter("give HOST:PORT, for example 127.0.0.1:9464")
    return value


@click.command()
@click.option("--experiment", default="rekam verify", show_default=True, help="Where its runs go.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 10_000),
    default=100,
    show_default=True,
    help="Rows per second, over all runs.",
)
@click.option(
    "--runs", type=click.IntRange(1, 100), default=2, show_default=True, help="Runs at the same time."
)
@click.option("--keys", type=click.IntRange(1, 100), default=10, show_default=True, help="Points per row.")
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Rows per run."
)
@click.option(
    "--duration", type=click.FloatRange(min=0), help="Seconds to write for.  [default: until Ctrl-C]"
)
@click.option(
    "--keep",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="Ended runs that stay; older ones are deleted.",
)
@click.option(
    "--late",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Seconds until what does not show is missing.",
)
@click.option("--listen", callback=_address, help="HOST:PORT for Prometheus; needs rekam[verify].")
@command_options
def verify(
    client: Client,
    as_json: bool,
    duration: float | None,
    listen: str | None,
    **given: Any,
) -> None:
    """Write, read everything back by every way there is, and say what is missing, doubled, wrong or late.

    Made to be left running: memory is bounded, outages of the server are waited for and counted.
    Exit codes: 0 all is there; 1 something is missing, doubled or wrong; 3 the server is not there.
    """
    verifier = Verifier(Options(tracking_uri=client.tracking_uri, **given))
    if listen is not None:
        _serve(verifier.report, listen)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if duration is not None:
        timer = threading.Timer(duration, stop.set)
        timer.daemon = True
        timer.start()
    if not as_json:
        threading.Thread(target=_tell, args=(verifier.report, stop), daemon=True).start()
    report = verifier.run(stop)
    if as_json:
        print_json(report.summary())
    else:
        _conclude(report)
    if not report.clean:
        raise SystemExit(_FOUND)
    if report.unavailable or report.acknowledged < report.written:
        raise SystemExit(_UNAVAILABLE)


def _serve(report: Report, address: str) -> None:
    try:
        from rekam.verifying.exporting import serve
    except ImportError:
        raise click.UsageError("--listen needs prometheus-client: pip install rekam[verify]") from None
    try:
        port = serve(report, address)
    except OSError as error:
        raise click.UsageError(f"--listen {address}: {error.strerror or error}") from None
    click.echo(f"metrics: http://{address.rpartition(':')[0]}:{port}/metrics", err=True)


def _tell(report: Report, stop: threading.Event) -> None:
    while not stop.wait(_TELL_SECONDS):
        click.echo(f"{time.strftime('%H:%M:%S')}  {_line(report)}")


def _line(report: Report) -> str:
    counts = {
        "written": report.written,
        "acknowledged": report.acknowledged,
        "read": report.read.total(),
        "missing": report.missing.total(),
        "doubled": report.doubled.total(),
        "wrong": report.wrong.total(),
        "late": report.late.total(),
        "errors": report.errors.total(),
        "outages": report.outages,
    }
    return "  ".join(f"{name} {count:,}" for name, count in counts.items())


def _conclude(report: Report) -> None:
    click.echo(_line(report))
    for name, histogram in (("acknowledged in", report.acknowledging), ("read in", report.fresh)):
        half, most, all_ = (1000 * histogram.at_most(share) for share in (0.5, 0.99, 1.0))
        click.echo(f"{name} {half:g} ms (half), {most:g} ms (99 %), {all_:g} ms (all)")
    for note in report.notes:
        click.echo(note, err=True)
    if report.acknowledged < report.written:
        click.echo(f"{report.written - report.acknowledged:,} points were not acknowledged", err=True)
    if report.unavailable:
        click.echo("the server did not answer at the end: what is left was not checked", err=True)
