"""One child process: started, kept alive, stopped; its output in a bounded file.

A child lives in a session of its own, so the terminal's Ctrl-C reaches only the
supervisor, which stops children in order. On Linux the kernel kills the child when the
supervisor dies, however it dies (PR_SET_PDEATHSIG); elsewhere the next start on the
same directory ends what was left (leftovers.py).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rekam_local.errors import StackError

Say = Callable[[str], None]

_LOG_LIMIT = 8 << 20
_FIRST_DELAY_S = 0.2
_LAST_DELAY_S = 10.0
# A child that ran this long starts again with the first delay.
_HEALTHY_S = 5.0
# Deaths before the first "ready" after which the start is given up. More than one, for
# Postgres refuses to start for a moment while children of a killed one still exit.
_START_DEATHS = 4

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """The user a child runs as when the supervisor is root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how to ask it whether it is ready and to stop.

    prepare: called before each start.
    ailing: why it has to be started again although it runs; empty when it need not.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    prepare: Callable[[], None] = lambda: None
    ailing: Callable[[], Awaitable[str]] | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # Sent by the kernel when the supervisor dies, and by us when stop_signal did not do.
    kill_signal: signal.Signals = signal.SIGKILL


class Child:
    """Keeps a command running from start() to stop()."""

    def __init__(self, command: Command, logs: Path, say: Say, started: Callable[[], None]) -> None:
        self.command = command
        self.restarts = 0
        self.started_ms = 0
        self._log = logs / f"{command.name}.log"
        self._say = say
        self._started = started
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._was_ready = False
        self._stopping = False

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int | None:
        """The running process; None between a death and the next start."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, deadline_s: float) -> None:
        """Start it and wait until it is ready."""
        began = time.monotonic()
        pause_s = 0.02
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        while not (self.pid is not None and await self.command.ready()):
            if self._keeper.done():
                self._keeper.result()
            if self.restarts >= _START_DEATHS:
                raise StackError(f"{self.name} does not start:\n{self.tail()}")
            if time.monotonic() - began > deadline_s:
                raise StackError(f"{self.name} is not ready after {deadline_s:.0f} s:\n{self.tail()}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.3, 0.2)
        self._was_ready = True

    async def _keep(self) -> None:
        delay = _FIRST_DELAY_S
        while True:
            began = time.monotonic()
            how = await self._run()
            if self._stopping:
                return
            if time.monotonic() - began > _HEALTHY_S:
                delay = _FIRST_DELAY_S
            # A crash while starting is told by start(), once and with its reason.
            if self._was_ready:
                self._say(f"{self.name} died ({how}); starting it again in {delay:.1f} s, see {self._log}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY_S)
            self.restarts += 1

    async def _run(self) -> str:
        """One life of the process; how it ended."""
        try:
            self.command.prepare()
            self._process = await spawn(self.command, self._log)
        except (StackError, OSError) as error:
            if not self._was_ready:
                raise StackError(f"{self.name} cannot be started: {error}") from error
            return str(error)
        self.started_ms = time.time_ns() // 1_000_000
        self._started()
        return _how(await self._process.wait())

    def ask_to_stop(self) -> None:
        """Send the stop signal; no restart from here on."""
        self._stopping = True
        self._signal(self.command.stop_signal)

    async def stopped(self, grace_s: float) -> None:
        """Wait for the end after ask_to_stop; kill what has not ended by then."""
        self._stopping = True
        keeper, process = self._keeper, self._process
        if process is not None and process.returncode is None:
            for next_signal, wait_s in (
                (self.command.kill_signal, grace_s),
                (signal.SIGKILL, 1.0),
                (None, 1.0),
            ):
                try:
                    await asyncio.wait_for(process.wait(), wait_s)
                    break
                except TimeoutError:
                    if next_signal is not None:
                        self._signal(next_signal)
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])

    def kill(self) -> None:
        """Kill at once."""
        self._stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass  # it has just ended

    async def tend(self) -> None:
        """Keep the output file under its bound, and have it end when it has to start again."""
        self._bound_log()
        if self._was_ready and self.pid is not None and self.command.ailing is not None:
            reason = await self.command.ailing()
            if reason:
                self._say(f"{self.name} is started again: {reason}")
                self._signal(self.command.stop_signal)

    def _bound_log(self) -> None:
        """What is over the bound moves to NAME.log.1."""
        try:
            if self._log.stat().st_size < _LOG_LIMIT:
                return
            # The child has the file open for appending: copied and emptied, not renamed.
            self._log.with_suffix(".log.1").write_bytes(self._log.read_bytes()[-_LOG_LIMIT:])
            os.truncate(self._log, 0)
        except OSError:
            return  # not there yet, or no room for a copy: at another time

    def tail(self) -> str:
        """The last lines of the output."""
        return tail(self._log)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a file of output."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or f"  (nothing in {log})"


async def spawn(command: Command, log: Path, keep_fds: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
    """Start a process that dies with us, its output appended to the log."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    parent = os.getpid()

    def die_with_parent() -> None:
        # Runs in the child after the change of user, which would clear the setting.
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(command.kill_signal))
            if os.getppid() != parent:
                os._exit(1)

    account = command.account
    try:
        return await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            start_new_session=True,
            pass_fds=keep_fds,
            preexec_fn=die_with_parent,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        raise StackError(f"{command.name} cannot be started: {error}") from error
    finally:
        os.close(fd)


async def run_once(command: Command, log: Path, timeout_s: float, keep_fds: tuple[int, ...] = ()) -> int:
    """Run a command to its end; its exit code."""
    process = await spawn(command, log, keep_fds)
    try:
        return await asyncio.wait_for(process.wait(), timeout_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
