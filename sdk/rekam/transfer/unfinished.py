"""Uploads that programs of this user began and did not end, so that one that is started again goes on."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("rekam")

# The server has given up an upload by then.
_KEPT_SECONDS = 7 * 86_400


class Unfinished:
    """A file for each of them: its name stands for what is uploaded, in it is the upload's id.

    A directory that cannot be written only costs that an upload begins anew.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, *what: str) -> str:
        """The upload's id; empty when there is none."""
        try:
            return self._file(what).read_text().strip()
        except OSError:
            return ""

    def put(self, upload_id: str, *what: str) -> None:
        """Remember an upload that begins."""
        file = self._file(what)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._forget_old()
            fresh = file.with_suffix(f".{upload_id}")
            fresh.write_text(upload_id)
            fresh.replace(file)
        except OSError as error:
            log.warning("an upload that is cut off will begin anew: %s", error)

    def drop(self, *what: str) -> None:
        """It has ended."""
        with suppress(OSError):
            self._file(what).unlink()

    def _file(self, what: tuple[str, ...]) -> Path:
        return self._directory / hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]

    def _forget_old(self) -> None:
        for file in self._directory.iterdir():
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                    file.unlink()
