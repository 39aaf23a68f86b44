"""What the ways of sending a file share: counted chunks, errors that name the file, its media type."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rekam.errors import ArtifactError, RekamError
from rekam.transfer.local import LocalFile
from rekam.transfer.progress import Progress


class Counted:
    """Chunks on their way, one attempt; they end early when the transfer is stopped."""

    def __init__(self, chunks: Iterator[bytes], stop: threading.Event, progress: Progress) -> None:
        self.sent = 0
        self._chunks = chunks
        self._stop = stop
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._stop.is_set():
                raise ArtifactError("the transfer was stopped")
            yield chunk
            self.sent += len(chunk)
            self._progress.add(len(chunk))

    def take_back(self) -> None:
        """They have to be sent again."""
        self._progress.add(-self.sent)


@contextmanager
def naming(file: LocalFile) -> Iterator[None]:
    """Errors say which file they are about."""
    try:
        yield
    except RekamError as error:
        if str(file.source) in error.message:
            raise
        raise type(error)(f"{file.source} as {file.path!r}: {error.message}", field=error.field) from error


def media_type(path: str) -> str:
    """What the name says of the bytes; empty when it says nothing."""
    return mimetypes.guess_type(path)[0] or ""
