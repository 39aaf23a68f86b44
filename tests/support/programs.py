"""Programs that log, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path


class Program:
    """A Python program that logs; `import rekam, os, sys, json, time` comes first."""

    def __init__(
        self, uri: str, spool: Path, source: str, *, directory: Path | None = None, **environ: str
    ) -> None:
        prelude = "import json, os, sys, time\nimport rekam\n"
        # A program of its own: nothing of the test's environment steers it.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REKAM_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude + textwrap.dedent(source)],
            cwd=directory,
            env={**clean, "REKAM_TRACKING_URI": uri, "REKAM_SPOOL_DIR": str(spool), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Its next line of output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def said(self) -> str:
        """Its next line of messages."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().strip()

    def go_on(self) -> None:
        """Give it a line of input."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self, timeout: float = 60) -> tuple[str, str]:
        """Its remaining output and its messages, after it ended well."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        return out, err
