"""Delivers the files that wait in a spool's directory, when the records before them are delivered."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from rekam.errors import ArtifactError, NotFound, Refused, Unavailable
from rekam.settings import Settings
from rekam.spool.kept import Kept, KeptFile

log = logging.getLogger("rekam")


@dataclass(slots=True)
class FileDelivery:
    """How it went. missing: what the server says of a run that files wait for."""

    delivered: int = 0
    left: int = 0
    missing: str = ""
    refused: list[str] = field(default_factory=list)


def deliver_files(directory: Path, target: str, options: Settings, retry_timeout: float) -> FileDelivery:
    """Deliver what waits to `target`. Sent twice, it is stored once. The spool's lock is held."""
    kept, result = Kept(directory), FileDelivery()
    waiting = kept.waiting()
    try:
        for run_id, files in groupby(waiting, lambda each: each.run_id):
            _deliver_run(kept, run_id, list(files), target, options, retry_timeout, result)
    except Unavailable as error:
        log.warning("files stay in %s: %s", directory, error)
    result.left = len(kept.waiting())
    return result


def _deliver_run(
    kept: Kept,
    run_id: str,
    files: list[KeptFile],
    target: str,
    options: Settings,
    retry_timeout: float,
    result: FileDelivery,
) -> None:
    from rekam.server import server_for
    from rekam.transfer.folders import folder_of
    from rekam.transfer.progress import Progress
    from rekam.transfer.upload import Uploader

    server = server_for(target)
    try:
        folder = folder_of(server, run_id, retry_timeout)
    except NotFound as error:
        result.missing = error.message
        return
    # One by one, in their order: of two for one path the later one stays.
    for each in files:
        try:
            uploader = Uploader(server, folder, options, retry_timeout, Progress("", shown=False))
            copy = kept.copy_of(each)
            if copy.digest() != each.digest:
                raise ArtifactError(f"{copy.source}: the copy is damaged")
            uploader.send([copy])
        except (Refused, ArtifactError, OSError) as error:
            text = f"{each.path!r} of run {run_id}: {error}"
            log.error("a file that waited is not delivered, it stays in %s: %s", kept.folder, text)
            result.refused.append(text)
            kept.refuse(each)
        else:
            kept.done(each)
            result.delivered += 1
