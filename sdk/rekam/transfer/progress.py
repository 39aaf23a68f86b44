"""How far a transfer is: a bar on a terminal, when it takes long enough to be looked at."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

_QUIET_SECONDS = 1.0


class Progress:
    """Bytes moved so far, of `total` when that is known. Any thread may add.

    shown: whether it may be seen; it is only where stderr is a terminal.
    """

    def __init__(self, label: str, total: int | None = None, *, shown: bool = True) -> None:
        self.moved = 0
        self._label = label
        self._total = total
        self._shown = shown and sys.stderr.isatty()
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._bar: Any = None

    def add(self, moved: int) -> None:
        """So many bytes more; fewer, when some have to be moved again."""
        with self._lock:
            self.moved += moved
            if self._bar is not None:
                self._bar.update(moved)
            elif self._shown and time.monotonic() - self._begun > _QUIET_SECONDS:
                self._show()

    def expect(self, more: int) -> None:
        """The total is greater by so many bytes."""
        with self._lock:
            self._total = (self._total or 0) + more
            if self._bar is not None:
                self._bar.length = self._total

    def close(self) -> None:
        """It has ended."""
        with self._lock:
            if self._bar is not None:
                self._bar.render_finish()
            self._bar, self._shown = None, False

    def _show(self) -> None:
        import click

        self._bar = click.progressbar(length=self._total or 0, label=self._label, file=sys.stderr)
        self._bar.render_progress()
        self._bar.update(self.moved)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
