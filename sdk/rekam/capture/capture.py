"""What one run records by itself, from its start to its end."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from rekam import settings
from rekam.capture import streams
from rekam.capture.console import RunConsole
from rekam.capture.git import Checkout, find_checkout, read_diff
from rekam.capture.system import SystemMetrics
from rekam.errors import RekamError

if TYPE_CHECKING:
    from rekam.run import ActiveRun

log = logging.getLogger("rekam")

# How long the end of a run waits for git.
_GIT_WAIT = 5.0


class Capture:
    """Begins at once. The program never waits for it before `stop`, and never fails by it."""

    def __init__(self, run: ActiveRun, *, system_metrics: float | None, console: str, git: bool) -> None:
        """system_metrics: seconds between samples, None for none. console: "off", "on" or "fd"."""
        self._run = run
        self._owner = os.getpid()
        self._console = console != "off"
        self._system: SystemMetrics | None = None
        self._git: threading.Thread | None = None
        if self._console:
            most = settings.current().console_bytes
            streams.listen(run, RunConsole(run.log_lines, most), descriptors=console == "fd")
        if system_metrics is not None:
            self._system = SystemMetrics(run.log_metrics, system_metrics)
        if git:
            place = (_script(), Path.cwd())
            self._git = threading.Thread(target=self._record_git, args=place, name="rekam-git", daemon=True)
            self._git.start()

    def stop(self, error: BaseException | None = None) -> None:
        """Everything is logged once this returned. error: what the run ends by."""
        if os.getpid() != self._owner:
            return  # a forked child has none of the threads
        if self._system is not None:
            self._system.stop()
        if self._console:
            if error is not None and not isinstance(error, SystemExit):
                # The interpreter prints it only when the run has ended.
                streams.write(self._run, "stderr", "".join(traceback.format_exception(error)))
            streams.stop_listening(self._run)
        if self._git is not None:
            self._git.join(_GIT_WAIT)

    def _record_git(self, script: Path | None, directory: Path) -> None:
        checkout = find_checkout(script, directory)
        if checkout is None:
            return
        try:
            self._run.set_tags(_tags_of(checkout))
            self._record_diff(checkout.root)
        except RekamError as error:
            log.warning("the state of %s is not recorded: %s", checkout.root, error)

    def _record_diff(self, root: Path) -> None:
        most = settings.current().git_diff_bytes
        diff = read_diff(root, most)
        if diff is None:
            log.warning("the diff of %s is not recorded: git did not answer in time", root)
            return
        lines, more = diff
        self._run.set_tags({"rekam.git.dirty": "true" if lines or more else "false"})
        if more:
            lines.append(f"[rekam] the diff is cut here: it has more than REKAM_GIT_DIFF_BYTES={most}")
        self._run.log_lines("git.diff", [time.time_ns() // 1000] * len(lines), lines)


def _script() -> Path | None:
    """The program's file; None for an interactive session."""
    path = Path(sys.argv[0]).absolute() if sys.argv and sys.argv[0] else None
    return path if path is not None and path.is_file() else None


def _tags_of(checkout: Checkout) -> dict[str, str]:
    tags = {
        "mlflow.source.git.commit": checkout.commit,
        "mlflow.source.git.branch": checkout.branch,
        "mlflow.source.git.repoURL": checkout.remote,
        "rekam.git.program": checkout.program,
    }
    return {key: value for key, value in tags.items() if value}
