"""Console output of one run: written text becomes lines of its text streams, within bounds."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from rekam.capture.terminal import Terminal

log = logging.getLogger("rekam")

# A line that is not finished, such as a progress bar, is recorded as it stands every so often.
_UNFINISHED_SECONDS = 5.0
# Lines that wait because the buffer is half full. What comes then is left out.
_WAITING_BYTES = 16 * 1024 * 1024
# Handed on at a time, so that points find room in the buffer between.
_BYTES_AT_ONCE = 256 * 1024
# Of what is written after the run's bound is reached, the end is kept: it says why a run crashed.
_TAIL_BYTES = 64 * 1024

LogLines = Callable[[str, Sequence[int], Sequence[str]], bool]


class RunConsole:
    """Not for several threads at once.

    log_lines(stream, times_us, lines): records lines; False when there is no room just now.
    most: bytes that are recorded, of all streams together.
    """

    def __init__(self, log_lines: LogLines, most: int) -> None:
        # Bytes that were left out and not told of yet.
        self.left_out = 0
        self._log_lines = log_lines
        self._most = most
        self._left = most
        self._terminals: dict[str, Terminal] = {}
        # When a stream's unfinished line was first seen.
        self._unfinished: dict[str, float] = {}
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._waiting_bytes = 0
        self._tail: deque[tuple[str, int, str]] = deque()
        self._tail_bytes = 0

    def write(self, stream: str, time_us: int, text: str) -> None:
        """Take in what the program wrote to a stream."""
        size = _size(text)
        if self._left <= 0:
            self._keep_tail(stream, time_us, text, size)
        elif self._waiting_bytes > _WAITING_BYTES:
            self.left_out += size
        else:
            self._tell_left_out(stream, time_us)
            self._left -= size
            self._put(stream, time_us, text if self._left >= 0 else text[: self._left])
            if self._left <= 0:
                self._say(
                    stream,
                    time_us,
                    f"the output is cut here: REKAM_CONSOLE_BYTES={self._most} of this run are used up; "
                    "its last lines follow when it ends",
                )

    def record(self) -> None:
        """Hand on the lines that are done, and those that stay unfinished for long."""
        now = time.monotonic()
        for stream, terminal in self._terminals.items():
            self._wait(stream, terminal.take_done())
            if not terminal.unfinished:
                self._unfinished.pop(stream, None)
            elif now - self._unfinished.setdefault(stream, now) >= _UNFINISHED_SECONDS:
                self._wait(stream, terminal.take_all())
                del self._unfinished[stream]
        for stream, lines in list(self._waiting.items()):
            while lines:
                part = lines[: _lines_within(lines, _BYTES_AT_ONCE)]
                times, texts = zip(*part, strict=True)
                if not self._log_lines(stream, times, texts):
                    return
                del lines[: len(part)]
                self._waiting_bytes -= sum(map(_size, texts))
            del self._waiting[stream]

    def finish(self) -> None:
        """Hand on everything."""
        tail, self._tail = self._tail, deque()
        for stream, time_us, text in tail:
            self._tell_left_out(stream, time_us)
            self._put(stream, time_us, text)
        for stream, terminal in self._terminals.items():
            self._wait(stream, terminal.take_all())
        self.record()
        if self._waiting:
            log.warning(
                "the last %d bytes of console output are not recorded: the spool takes no more",
                self._waiting_bytes,
            )

    def _put(self, stream: str, time_us: int, text: str) -> None:
        self._terminals.setdefault(stream, Terminal()).write(time_us, text)

    def _wait(self, stream: str, lines: list[tuple[int, str]]) -> None:
        if lines:
            self._waiting.setdefault(stream, []).extend(lines)
            self._waiting_bytes += sum(_size(text) for _, text in lines)

    def _keep_tail(self, stream: str, time_us: int, text: str, size: int) -> None:
        self._tail.append((stream, time_us, text[-_TAIL_BYTES:]))
        self.left_out += max(0, size - _TAIL_BYTES)
        self._tail_bytes += min(size, _TAIL_BYTES)
        while self._tail_bytes > _TAIL_BYTES:
            gone = _size(self._tail.popleft()[2])
            self._tail_bytes -= gone
            self.left_out += gone

    def _tell_left_out(self, stream: str, time_us: int) -> None:
        if self.left_out:
            self._say(stream, time_us, f"{self.left_out} bytes of output are left out here")
            self.left_out = 0

    def _say(self, stream: str, time_us: int, message: str) -> None:
        """A line of our own between those of the program."""
        terminal = self._terminals.setdefault(stream, Terminal())
        self._wait(stream, [*terminal.take_all(), (time_us, f"[rekam] {message}")])


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _lines_within(lines: list[tuple[int, str]], most: int) -> int:
    """How many of the first lines have up to `most` bytes together; one at least."""
    total = 0
    for count, (_, text) in enumerate(lines):
        total += _size(text)
        if total > most:
            return max(1, count)
    return len(lines)
