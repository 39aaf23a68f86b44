"""`rekam up`, `rekam status` and `rekam reset`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import click

from rekam_local.directory import DataDirectory
from rekam_local.errors import StackError
from rekam_local.services import Listen

if TYPE_CHECKING:
    from rekam_proto.local.v1.local_pb2 import DescribeResponse, ResetResponse
    from rekam_proto.local.v1.local_pb2_grpc import LocalStackServiceStub

Answer = TypeVar("Answer")
_DEFAULT_URI = "grpc://127.0.0.1:50051"


class _Address(click.ParamType[Listen]):
    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Listen:
        if isinstance(value, Listen):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT (port 0 takes a free one)", param, ctx)
        return Listen(host.strip("[]"), int(port))


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".rekam"),
    show_default=True,
    help="Directory that keeps everything; made when missing.",
)
@click.option(
    "--http", type=_Address(), default="127.0.0.1:5000", show_default=True, help="Address of the HTTP door."
)
@click.option(
    "--grpc", type=_Address(), default="127.0.0.1:50051", show_default=True, help="Address of the gRPC door."
)
@click.option(
    "--postgres-user",
    default="nobody",
    show_default=True,
    envvar="REKAM_POSTGRES_USER",
    help="As root only: the account that Postgres runs as.",
)
@click.option(
    "--points-shards",
    type=click.IntRange(1, 64),
    help="Number of points streams, 1 unless said at the first start; it cannot change after that.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 6),
    default=1,
    show_default=True,
    help="Number of gateways, which share the two doors, and of tracking's processes.",
)
@click.option(
    "--nats-nodes",
    type=click.Choice(["1", "3"]),
    help="Servers of the log, each with all of it; 1 unless said at the first start; it cannot change.",
)
@click.option(
    "--stop-with-stdin",
    is_flag=True,
    help="Stop when stdin closes: the stack then ends with the program that started it, however that ends.",
)
def up(
    data: Path,
    http: Listen,
    grpc: Listen,
    postgres_user: str,
    points_shards: int | None,
    replicas: int,
    nats_nodes: str | None,
    stop_with_stdin: bool,
) -> None:
    """Run Rekam here, in the foreground, until Ctrl-C.

    Prints one line to stdout when it is ready: `ready http=http://HOST:PORT grpc=HOST:PORT`.
    """
    began = time.monotonic()

    def say(message: str) -> None:
        # What cannot be told, on a full disk say, must not end who tells it.
        with suppress(OSError):
            click.echo(f"[{time.monotonic() - began:6.2f}] {message}", err=True)

    def announce(http: Listen, grpc: Listen) -> None:
        click.echo(f"ready http=http://{http} grpc={grpc}")
        sys.stdout.flush()

    # Not at the top: `rekam --help` has no use for what these import.
    from rekam_local.running import Request, run
    from rekam_runtime.telemetry import configure_logging

    # What shared modules log goes to stderr too: stdout has the one line.
    configure_logging("local", "up", fmt="console", level="warning")
    try:
        asyncio.run(
            run(
                DataDirectory(data),
                Request(
                    http,
                    grpc,
                    postgres_user,
                    shards=points_shards,
                    nats_nodes=int(nats_nodes) if nats_nodes else None,
                    replicas=replicas,
                    stop_with_stdin=stop_with_stdin,
                ),
                say,
                announce,
            )
        )
    except StackError as error:
        raise click.ClickException(str(error)) from error


_where = [
    click.option("--data", type=click.Path(path_type=Path), help="Directory of the stack."),
    click.option(
        "--tracking-uri",
        envvar="REKAM_TRACKING_URI",
        default=_DEFAULT_URI,
        show_default=True,
        help="Address of the stack, when --data is not given.",
    ),
]


@click.command()
@_where[0]
@_where[1]
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(data: Path | None, tracking_uri: str, as_json: bool) -> None:
    """Show a running stack's processes: pid, memory, restarts, readiness."""
    described = _call(data, tracking_uri, _describe)
    processes = [
        {
            "name": process.name,
            "pid": process.pid,
            "ready": process.ready,
            "restarts": process.restarts,
            "started_ms": process.started_ms,
            "resident_bytes": process.resident_bytes,
        }
        for process in described.processes
    ]
    if as_json:
        whole = {
            "data_dir": described.data_dir,
            "http": described.http,
            "grpc": described.grpc,
            "ready": all(process.ready for process in described.processes),
            "processes": processes,
        }
        click.echo(json.dumps(whole, indent=1))
        return
    click.echo(f"data {described.data_dir}  http {described.http}  grpc {described.grpc}")
    click.echo(f"{'process':18} {'pid':>8} {'MB':>6} {'restarts':>8}  ready")
    for process in described.processes:
        megabytes = process.resident_bytes / 1e6
        ready = "yes" if process.ready else "no"
        click.echo(f"{process.name:18} {process.pid:>8} {megabytes:>6.0f} {process.restarts:>8}  {ready}")


@click.command()
@_where[0]
@_where[1]
@click.option("--yes", is_flag=True, help="Really empty it.")
def reset(data: Path | None, tracking_uri: str, yes: bool) -> None:
    """Empty a running local stack: log, projections and blobs. It stays up, as new."""
    if not yes:
        raise click.UsageError("this deletes every run, metric and artifact of the stack: say --yes")
    done = _call(data, tracking_uri, _reset)
    click.echo(f"emptied in {done.milliseconds} ms", err=True)


def _describe(stub: LocalStackServiceStub) -> DescribeResponse:
    from rekam_proto.local.v1.local_pb2 import DescribeRequest

    return stub.Describe(DescribeRequest(), timeout=10)


def _reset(stub: LocalStackServiceStub) -> ResetResponse:
    from rekam_proto.local.v1.local_pb2 import ResetRequest

    return stub.Reset(ResetRequest(), timeout=60)


def _call(data: Path | None, tracking_uri: str, ask: Callable[[LocalStackServiceStub], Answer]) -> Answer:
    """Ask the stack's control, through its data directory or through its gateway."""
    import grpc

    from rekam_proto.local.v1.local_pb2_grpc import LocalStackServiceStub

    target = _control_of(data) if data is not None else _target_of(tracking_uri)
    # A proxy of the environment has no business between a laptop and itself.
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            return ask(LocalStackServiceStub(channel))
        except grpc.RpcError as error:
            code = error.code()
            if code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED):
                raise click.ClickException(
                    f"{target} is not a local stack of this machine: {error.details()}"
                ) from error
            if code == grpc.StatusCode.UNAVAILABLE:
                raise _NobodyThere(f"no local stack at {target}: {error.details()}") from error
            raise click.ClickException(f"{target}: {code.name}: {error.details()}") from error


class _NobodyThere(click.ClickException):
    """As of the other commands: 3 means that the server is not there."""

    exit_code = 3


def _control_of(data: Path) -> str:
    try:
        state = DataDirectory(data).read_state()
    except StackError as error:
        raise click.ClickException(str(error)) from error
    if state is None:
        raise _NobodyThere(f"no stack runs on {data}")
    return str(state["control"])


def _target_of(tracking_uri: str) -> str:
    parts = urlsplit(tracking_uri)
    if parts.scheme != "grpc" or not parts.netloc:
        raise click.UsageError(f"--tracking-uri: {tracking_uri!r} is not grpc://HOST:PORT")
    return parts.netloc
