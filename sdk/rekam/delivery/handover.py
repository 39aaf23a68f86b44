"""Delivers one spool that was left behind to a server, and says how it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rekam import settings
from rekam.delivery.files import FileDelivery, deliver_files
from rekam.delivery.refusals import Refusals
from rekam.delivery.sender import Sender
from rekam.errors import Refusal
from rekam.spool.damage import Damage
from rekam.spool.lock import SpoolLock
from rekam.spool.spool import Spool

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Handover:
    """How the delivery of a spool went.

    delivered, left: bytes of records. refusals, damages: the first of them; refused, damaged: how many.
    missing: what the server says of a run that records wait for. reached: whether it answered.
    files: those that wait behind the records.
    """

    delivered: int
    left: int
    reached: bool
    missing: str = ""
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    damages: list[Damage] = field(default_factory=list)
    damaged: int = 0
    files: FileDelivery = field(default_factory=FileDelivery)


def hand_over(
    directory: Path,
    lock: SpoolLock,
    target: str,
    *,
    connect_timeout: float,
    retry_timeout: float,
    progress: Callable[[int], None],
) -> Handover:
    """Deliver the spool, whose lock is held, to `target` (host:port); the lock is released.

    connect_timeout: seconds until a server that never answered is given up; retry_timeout:
    without progress. progress: called with how many bytes were delivered since the last time.
    Raises SpoolError when the spool is not whole.
    """
    spool = Spool.adopt(directory, lock)
    if not spool.outstanding:
        files = _hand_over_files(directory, target, connect_timeout)
        spool.close()
        return Handover(delivered=0, left=0, reached=not files.left, files=files)
    size = spool.bytes
    start = spool.end - size
    refusals = Refusals()
    sender = Sender(target, spool, refusals, until_empty=True)
    seen, reached, moved_at = start, False, time.monotonic()
    try:
        while not sender.ended.wait(_LOOK_SECONDS):
            if spool.acknowledged > seen:
                progress(spool.acknowledged - seen)
                seen, moved_at = spool.acknowledged, time.monotonic()
            reached = reached or seen > start or sender.reachable is True
            if time.monotonic() - moved_at > (retry_timeout if reached else connect_timeout):
                break
        sender.close()
        left = spool.left
        progress(size - left - (seen - start))
        files = FileDelivery() if left else _hand_over_files(directory, target, retry_timeout)
    finally:
        sender.close()
        spool.close()
    kept, refused = refusals.take()
    return Handover(
        delivered=size - left,
        left=left,
        reached=reached or sender.reachable is True,
        missing=sender.missing,
        refusals=kept,
        refused=refused,
        damages=spool.damages.found(),
        damaged=spool.damages.total,
        files=files,
    )


def _hand_over_files(directory: Path, target: str, retry_timeout: float) -> FileDelivery:
    return deliver_files(directory, target, settings.current(), retry_timeout)
