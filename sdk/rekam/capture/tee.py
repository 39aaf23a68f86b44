"""The process behind `rekam.capture.descriptors`: passes output on, and a copy back to the program.

    python tee.py SOURCE TERMINAL COPY [SOURCE TERMINAL COPY ...]

Numbers of inherited file descriptors. It outlives the program, so what the program wrote before it was
killed reaches the terminal, and it never waits for whoever reads the copies. When its stdin ends, the
copies are closed after what was written until then; it goes on passing output on until the last
process that has the sources' other ends is gone. It imports nothing of Rekam: it starts in
a few milliseconds.
"""

from __future__ import annotations

import os
import selectors
import sys

_READ = 64 * 1024
# Of a copy that is not read fast enough; what is more is left out.
_WAITING = 4 * 1024 * 1024


class _Way:
    """From a source to its terminal and its copy."""

    def __init__(self, source: int, terminal: int, copy: int) -> None:
        self.source = source
        self.copy = copy
        self.waiting = bytearray()
        self._terminal = terminal
        self._left_out = 0
        os.set_blocking(source, False)
        os.set_blocking(copy, False)

    def pass_on(self) -> bool | None:
        """One read's worth: False when there is nothing just now, None when there never will be."""
        try:
            data = os.read(self.source, _READ)
        except BlockingIOError:
            return False
        if not data:
            return None
        self._write_terminal(data)
        if self.copy >= 0:
            self._keep(data)
            self.write_copy()
        return True

    def write_copy(self) -> None:
        """What the copy's reader has room for."""
        try:
            while self.waiting:
                del self.waiting[: os.write(self.copy, self.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.close_copy()  # the program is gone

    def finish_copy(self) -> None:
        """All of it, then its end."""
        if self.copy >= 0:
            os.set_blocking(self.copy, True)
            self.write_copy()
            self.close_copy()

    def close_copy(self) -> None:
        self.waiting.clear()
        if self.copy >= 0:
            os.close(self.copy)
            self.copy = -1

    def _keep(self, data: bytes) -> None:
        if len(self.waiting) + len(data) > _WAITING:
            self._left_out += len(data)
            return
        if self._left_out:
            self.waiting += b"\n[rekam] %d bytes of output are left out here\n" % self._left_out
            self._left_out = 0
        self.waiting += data

    def _write_terminal(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._terminal, data) :]
        except OSError:
            pass  # it was closed; the copy goes on


def main(numbers: list[int]) -> None:
    """Pass on until every source has ended."""
    ways = [_Way(*numbers[at : at + 3]) for at in range(0, len(numbers), 3)]
    control = sys.stdin.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        for way in ways:
            selector.register(way.source, selectors.EVENT_READ, way)
        while any(isinstance(key.data, _Way) for key in selector.get_map().values()):
            # A copy that has to wait is tried again soon; the sources are not kept waiting by it.
            waits = any(way.waiting for way in ways)
            for key, _ in selector.select(0.05 if waits else None):
                if key.fd == control:
                    selector.unregister(control)
                    for way in ways:
                        while way.pass_on():
                            pass
                        way.finish_copy()
                elif key.data.pass_on() is None:
                    selector.unregister(key.fd)
                    key.data.finish_copy()
            for way in ways:
                if way.waiting:
                    way.write_copy()


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
