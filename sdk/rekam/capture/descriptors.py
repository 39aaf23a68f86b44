"""File descriptors 1 and 2, listened to: what C code, subprocesses and forked children write too.

Each is replaced by a pipe to a process of its own (`rekam.capture.tee`), which passes everything on to
where it went before and gives a copy back. That process outlives this one: output is not lost
when this one is killed. What a pipe changes: `isatty()` is false.
"""

from __future__ import annotations

import codecs
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_TEE = Path(__file__).with_name("tee.py")
NAMES = {1: "stdout", 2: "stderr"}


class Descriptors:
    """Listens at once, until `stop`.

    take(name, text): called by a thread with what was written to "stdout" or "stderr".
    Raises OSError when a descriptor is closed or no process can be started.
    """

    def __init__(self, take: Callable[[str, str], None]) -> None:
        self._take = take
        self._saved: dict[int, int] = {}
        self._copies: dict[int, str] = {}
        numbers: list[int] = []
        sources: dict[int, int] = {}
        theirs: list[int] = []
        try:
            for number, name in NAMES.items():
                self._saved[number] = os.dup(number)
                source, sources[number] = os.pipe()
                copy, copy_end = os.pipe()
                self._copies[copy] = name
                theirs += [source, copy_end]
                numbers += [source, self._saved[number], copy_end]
            command = [sys.executable, "-I", "-S", str(_TEE), *map(str, numbers)]
            self._tee = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=numbers,
                start_new_session=True,  # Ctrl-C is for the program
            )
        except OSError:
            for each in (*self._saved.values(), *sources.values(), *self._copies):
                os.close(each)
            raise
        finally:
            for each in theirs:
                os.close(each)
        _flush()
        for number, source in sources.items():
            os.dup2(source, number)
            os.close(source)
        self._thread = threading.Thread(target=self._read, name="rekam-output", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put the descriptors back; everything written before was taken once this returned."""
        _flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        assert self._tee.stdin is not None
        self._tee.stdin.close()
        self._thread.join(timeout=5.0)
        # It may stay for children that go on writing. Who waits for it is the next one, or init.
        self._tee.poll()

    def forked(self) -> None:
        """In a forked child: let go of what is the parent's. What the child writes is recorded still."""
        for each in (*self._saved.values(), *self._copies):
            os.close(each)
        assert self._tee.stdin is not None
        os.close(self._tee.stdin.fileno())

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for copy, name in self._copies.items():
                decode = codecs.getincrementaldecoder("utf-8")("replace").decode
                selector.register(copy, selectors.EVENT_READ, (name, decode))
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, 64 * 1024)
                    if data:
                        name, decode = key.data
                        self._take(name, decode(data))
                    else:
                        selector.unregister(key.fd)
                        os.close(key.fd)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # there is none, or it is closed
