"""A real Rekam for test suites: pytest fixtures, and the context manager under them.

Installed with the SDK as a pytest plugin; needs the server's distribution beside it:

    pip install "rekam-server[local]"

    def test_training(rekam_tracking_uri):
        rekam.set_tracking_uri(rekam_tracking_uri)
        train()
        assert rekam.search_runs(experiment_names=["training"])

The stack starts once per session, in a few seconds, and is emptied between tests. Set
`REKAM_TEST_STACK=grpc://HOST:PORT` to use one that runs already: it is emptied too.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rekam_proto.local.v1.local_pb2_grpc import LocalStackServiceStub

_START_S = 120.0
_STOP_S = 15.0
_RESET_S = 60.0


class StackFailed(RuntimeError):
    """The stack did not start, or was not emptied; the text has what it said."""


@dataclass
class LocalStack:
    """A running local stack.

    tracking_uri: grpc://HOST:PORT, for `rekam.set_tracking_uri`.
    http: http://HOST:PORT.
    data: its directory; None when it was running already.
    pid: its supervisor; None when it was running already.
    """

    tracking_uri: str
    http: str = ""
    data: Path | None = None
    pid: int | None = None
    _used: bool = field(default=False, repr=False)
    _said: IO[bytes] | None = field(default=None, repr=False)

    @property
    def grpc(self) -> str:
        """HOST:PORT of the gRPC door."""
        return self.tracking_uri.removeprefix("grpc://")

    @property
    def said(self) -> str:
        """What `rekam up` has told on stderr so far; empty when it was running already."""
        return _text(self._said) if self._said is not None else ""

    def reset(self) -> None:
        """Empty it: no runs, metrics, artifacts; only the Default experiment."""
        # Imported here: a plugin is loaded by every pytest run, whether it uses Rekam or not.
        import grpc

        from rekam_proto.local.v1.local_pb2 import ResetRequest

        with _control(self.grpc) as control:
            try:
                control.Reset(ResetRequest(), timeout=_RESET_S, wait_for_ready=True)
            except grpc.RpcError as error:
                raise StackFailed(f"{self.tracking_uri} was not emptied: {error}") from error

    def clean(self) -> None:
        """Empty it, if it was handed out before."""
        if self._used or self.pid is None:
            self.reset()
        self._used = True


@contextmanager
def running_stack(
    data: Path, *, http: str = "127.0.0.1:0", grpc: str = "127.0.0.1:0", arguments: Sequence[str] = ()
) -> Iterator[LocalStack]:
    """`rekam up` on a directory, until the block ends; port 0 takes a free one."""
    program = Path(sys.executable).with_name("rekam")
    command = [str(program) if program.exists() else shutil.which("rekam") or "rekam"]
    command += ["up", "--data", str(data), "--http", http, "--grpc", grpc, "--stop-with-stdin", *arguments]
    with tempfile.TemporaryFile() as said:
        # It ends with us, however we end: its stdin is a pipe that nobody else holds.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        try:
            yield _ready(process, data, said)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _ready(process: subprocess.Popen[bytes], data: Path, said: IO[bytes]) -> LocalStack:
    """Read `ready http=... grpc=...`."""
    assert process.stdout is not None
    deadline = time.monotonic() + _START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(deadline - time.monotonic()):
            raise StackFailed(f"`rekam up` is not ready after {_START_S:.0f} s:\n{_text(said)}")
    line = process.stdout.readline().decode()
    if not line.startswith("ready "):
        process.wait(_STOP_S)
        raise StackFailed(f"`rekam up` ended with code {process.returncode}:\n{_text(said)}")
    addresses = dict(word.split("=", 1) for word in line.split()[1:])
    return LocalStack(f"grpc://{addresses['grpc']}", addresses["http"], data, process.pid, _said=said)


@contextmanager
def _control(grpc_address: str) -> Iterator[LocalStackServiceStub]:
    import grpc

    from rekam_proto.local.v1.local_pb2_grpc import LocalStackServiceStub

    with grpc.insecure_channel(grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield LocalStackServiceStub(channel)


def _http_of(tracking_uri: str) -> str:
    from rekam_proto.local.v1.local_pb2 import DescribeRequest

    with _control(tracking_uri.removeprefix("grpc://")) as control:
        described = control.Describe(DescribeRequest(), timeout=_START_S, wait_for_ready=True)
    return f"http://{described.http}"


def _text(said: IO[bytes]) -> str:
    # Not by its position, which the process that writes to it shares.
    return os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")


@pytest.fixture(scope="session")
def rekam_stack() -> Iterator[LocalStack]:
    """A local stack for the whole session (with pytest-xdist: one for each worker)."""
    running = os.environ.get("REKAM_TEST_STACK")
    if running:
        yield LocalStack(running, _http_of(running))
        return
    with tempfile.TemporaryDirectory(prefix="rekam-") as directory, running_stack(Path(directory)) as stack:
        yield stack


@pytest.fixture
def rekam_clean(rekam_stack: LocalStack) -> LocalStack:
    """The session's stack, empty."""
    rekam_stack.clean()
    return rekam_stack


@pytest.fixture
def rekam_tracking_uri(rekam_clean: LocalStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tracking URI of an empty stack; also in the environment, for programs under test."""
    monkeypatch.setenv("REKAM_TRACKING_URI", rekam_clean.tracking_uri)
    return rekam_clean.tracking_uri
