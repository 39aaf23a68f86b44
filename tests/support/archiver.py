"""The archiver as a process: killable, its log read line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any


class ArchiverProcess:
    """`python -m rekam_archive archive`, from its first log line on, if it comes so far."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REKAM_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rekam_archive", "archive"],
            env={
                **clean,
                "REKAM_GRPC_LISTEN": "127.0.0.1:0",
                "REKAM_OPS_LISTEN": "127.0.0.1:0",
                "REKAM_ARCHIVE_EVERY_S": "0.05",
                **environ,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        # A pipe that nobody empties would stop the process.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of this event so far."""
        return [line for line in list(self.lines) if line.get("event") == event]

    @property
    def ops(self) -> str:
        """Address of its ops port, once it is there."""
        return f"http://127.0.0.1:{self.said('archiving')[0]['ops_port']}"

    def kill(self) -> None:
        """SIGKILL: it does not end what it does."""
        self.process.kill()
        self.wait()

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(timeout=30)
        self._reading.join(timeout=10)
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
