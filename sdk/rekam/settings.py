"""Settings of the SDK, read once from the environment into a frozen value."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rekam.errors import Invalid

DEFAULT_URI = "grpc://127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. Sizes are bytes, times seconds."""

    tracking_uri: str = DEFAULT_URI
    # Nothing connects: what is logged goes into the spool only, and `rekam sync` delivers it.
    offline: bool = False
    # Where processes keep their spools, a directory each.
    spool_dir: Path = Path()
    # Bound of one process' spool on disk.
    spool_bytes: int = 4 * 1024**3
    # With on_full=spill: where a full spool goes on, and the bound of one process' part there.
    spill_dir: Path | None = None
    spill_bytes: int = 16 * 1024**3
    # always: after every write; interval: every spool_fsync_seconds and on flush; never.
    spool_fsync: str = "interval"
    spool_fsync_seconds: float = 1.0
    # Bound of rows in memory that are not in the spool yet.
    buffer_bytes: int = 64 * 1024**2
    # What happens when the spool is full: its segments go on in spill_dir (spill), or the buffer
    # fills, and then log calls block or raise.
    on_full: str = "block"
    # Longest time a row waits in memory before it is written to the spool.
    flush_interval: float = 0.1
    # How long start_run and set_experiment wait for a server before they go on without one: a
    # gateway that restarts and a log that elects its leader are back by then.
    connect_timeout: float = 10.0
    # How long flush() and end_run() wait by default, and a call its answer.
    flush_timeout: float = 60.0
    # How long a Client's call tries again while the server is away: longer than a recovery takes.
    retry_timeout: float = 60.0
    # Files that are uploaded or downloaded at once, and parts of a large one.
    transfers: int = 16
    # Large files go to S3 and come from it without the gateway, where the server and the network allow it.
    direct_transfers: bool = True
    # A bar on the terminal while files are moved.
    progress: bool = True
    # How long the process' exit waits for acknowledgements.
    exit_timeout: float = 10.0
    # What a run records without being told to; docs/sdk.md has the switches.
    system_metrics: bool = True
    system_metrics_seconds: float = 10.0
    # off; on: what Python writes to its streams; fd: what anything in the process writes.
    console: str = "on"
    # Bound of one run's console output.
    console_bytes: int = 64 * 1024**2
    git: bool = True
    git_diff_bytes: int = 1024**2
    # How far apart heartbeats of a running run are; 0: none, and a crash is not seen.
    heartbeat_seconds: float = 15.0
    # Defaults of start_run: resume this run, in this experiment, as this rank.
    run_id: str = ""
    experiment_name: str = ""
    experiment_id: str = ""
    rank: int | None = None

    @property
    def spill_root(self) -> Path | None:
        """Where a full spool goes on; None when it does not."""
        return self.spill_dir if self.on_full == "spill" else None

    @property
    def spool_roots(self) -> list[Path]:
        """Where spools of this host's processes may lie."""
        return [self.spool_dir] if self.spill_dir is None else [self.spool_dir, self.spill_dir]


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


_SWITCH = {
    "1": True,
    "true": True,
    "on": True,
    "yes": True,
    "0": False,
    "false": False,
    "off": False,
    "no": False,
}


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise ValueError("must be 1 or 0")
    return _SWITCH[text.lower()]


def _console(text: str) -> str:
    if text == "fd":
        return text
    try:
        return "on" if _switch(text) else "off"
    except ValueError:
        raise ValueError("must be 1, 0 or fd") from None


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return parse


def _within(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = _at_least(least)(text)
        if number > most:
            raise ValueError(f"must be at most {most}")
        return number

    return parse


def _period(text: str) -> float:
    number = _seconds(text)
    if number < 0.1:
        raise ValueError("must be 0.1 seconds or more")
    return number


def _directory(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= number < float("inf"):
        raise ValueError("must be a finite number of seconds, 0 or more")
    return number


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "REKAM_TRACKING_URI": ("tracking_uri", str),
    "REKAM_OFFLINE": ("offline", _switch),
    "REKAM_SPOOL_DIR": ("spool_dir", _directory),
    "REKAM_SPOOL_BYTES": ("spool_bytes", _at_least(4 * 1024**2)),
    "REKAM_SPOOL_FSYNC": ("spool_fsync", _one_of("always", "interval", "never")),
    "REKAM_SPOOL_FSYNC_SECONDS": ("spool_fsync_seconds", _seconds),
    "REKAM_BUFFER_BYTES": ("buffer_bytes", _at_least(1024**2)),
    "REKAM_ON_FULL": ("on_full", _one_of("block", "raise", "spill")),
    "REKAM_SPILL_DIR": ("spill_dir", _directory),
    "REKAM_SPILL_BYTES": ("spill_bytes", _at_least(4 * 1024**2)),
    "REKAM_FLUSH_INTERVAL": ("flush_interval", _seconds),
    "REKAM_CONNECT_TIMEOUT": ("connect_timeout", _seconds),
    "REKAM_FLUSH_TIMEOUT": ("flush_timeout", _seconds),
    "REKAM_RETRY_TIMEOUT": ("retry_timeout", _seconds),
    "REKAM_TRANSFERS": ("transfers", _within(1, 64)),
    "REKAM_DIRECT_TRANSFERS": ("direct_transfers", _switch),
    "REKAM_PROGRESS": ("progress", _switch),
    "REKAM_EXIT_TIMEOUT": ("exit_timeout", _seconds),
    "REKAM_SYSTEM_METRICS": ("system_metrics", _switch),
    "REKAM_SYSTEM_METRICS_SECONDS": ("system_metrics_seconds", _period),
    "REKAM_CONSOLE": ("console", _console),
    "REKAM_CONSOLE_BYTES": ("console_bytes", _at_least(0)),
    "REKAM_GIT": ("git", _switch),
    "REKAM_GIT_DIFF_BYTES": ("git_diff_bytes", _at_least(0)),
    "REKAM_HEARTBEAT_SECONDS": ("heartbeat_seconds", _seconds),
    "REKAM_RUN_ID": ("run_id", str),
    "REKAM_EXPERIMENT_NAME": ("experiment_name", str),
    "REKAM_EXPERIMENT_ID": ("experiment_id", str),
    # torchrun and its like set RANK.
    "RANK": ("rank", _at_least(0)),
    "REKAM_RANK": ("rank", _at_least(0)),
}


def read(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; raises Invalid naming every variable at fault."""
    values: dict[str, Any] = {"spool_dir": _default_spool_dir(environ)}
    faults = []
    for name, (attribute, parse) in _VARIABLES.items():
        text = environ.get(name, "")
        if not text:
            continue
        try:
            values[attribute] = parse(text)
        except ValueError as error:
            if name != "RANK":  # not ours: whatever else it may mean is no fault of the user
                faults.append(f"{name} {error}, got {text!r}")
    if values.get("on_full") == "spill" and "spill_dir" not in values:
        faults.append("REKAM_ON_FULL is spill, so REKAM_SPILL_DIR must say where to")
    if faults:
        raise Invalid("; ".join(faults), field="environment")
    return Settings(**values)


@cache
def current() -> Settings:
    """This process' settings."""
    return read(os.environ)


def _default_spool_dir(environ: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rekam" / "spool"
    root = environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "rekam" / "spool"
