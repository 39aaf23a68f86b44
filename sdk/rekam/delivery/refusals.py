"""What the server refused, kept until flush() or end_run() raises it."""

from __future__ import annotations

import logging
import threading

from rekam.errors import Refusal, RefusedRecords
from rekam_proto.ingest.v1 import ingest_pb2

log = logging.getLogger("rekam")

_CODES = {3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 6: "ALREADY_EXISTS", 9: "FAILED_PRECONDITION"}
# Kept in full; those beyond are counted.
_KEPT = 100


class Refusals:
    """Bounded. A refusal that comes again after a reconnect counts once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Refusal] = []
        self._total = 0
        self._greatest_id = 0
        self._logged: set[tuple[str, str]] = set()

    def add(self, id: int, refusal: ingest_pb2.Refusal, body: bytes) -> None:
        """Take a refusal in; `body` is the control record's, empty for points and text."""
        with self._lock:
            if id <= self._greatest_id:
                return
            self._greatest_id = id
            found = _describe(refusal, body)
            self._total += 1
            if len(self._kept) < _KEPT:
                self._kept.append(found)
            first = (found.code, found.field) not in self._logged
            self._logged.add((found.code, found.field))
        # Every frame of a deleted run is refused: say it once.
        log.log(logging.ERROR if first else logging.DEBUG, "refused by the server: %s", found)

    def take(self) -> tuple[list[Refusal], int]:
        """What came since the last call: the first of them, and how many there were."""
        with self._lock:
            kept, total = self._kept, self._total
            self._kept, self._total = [], 0
            self._logged.clear()
        return kept, total

    def raise_any(self) -> None:
        """Raise RefusedRecords with what came since the last call."""
        kept, total = self.take()
        if total:
            raise RefusedRecords(kept, total)


def _describe(refusal: ingest_pb2.Refusal, body: bytes) -> Refusal:
    record, run_id = "text" if refusal.field.startswith("text") else "points", ""
    if body:
        request = ingest_pb2.IngestRequest.FromString(body)
        record = request.WhichOneof("body") or record
        run_id = getattr(getattr(request, record, None), "run_id", "")
    code = _CODES.get(refusal.code, str(refusal.code))
    return Refusal(code, refusal.field, refusal.message, record, run_id)
