"""JetStream's error codes as errors of ours.

Codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json
"""

from __future__ import annotations

from rekam_runtime.errors import FailedPrecondition, Invalid, NotFound, Refused, RekamError, Retry, SlowDown
from rekam_runtime.eventlog.port import Conflict

STREAM_NAME_IN_USE = 10058
STREAM_NOT_FOUND = 10059
BATCH_HAS_DUPLICATE = 10201

_BY_CODE: dict[int, type[RekamError]] = {
    10014: Retry,  # consumer not found: it is made again
    STREAM_NOT_FOUND: NotFound,
    10065: FailedPrecondition,  # subjects overlap with another stream
    10071: Conflict,  # wrong last sequence
    10164: Conflict,  # wrong last sequence, within a batch
    10054: Invalid,  # message size exceeds the stream's maximum
    10176: Retry,  # atomic batch incomplete: a part of it was lost on the way
    10023: SlowDown,  # insufficient resources
    10047: SlowDown,  # insufficient storage
    10077: SlowDown,  # stream is full (bytes)
    10076: SlowDown,  # account's limit reached
}


class BatchHasDuplicate(Conflict):
    """Some event ids of an atomic batch are stored already."""


def error_of(code: int, err_code: int, description: str) -> RekamError:
    message = f"event log: {description} ({err_code or code})"
    if err_code == BATCH_HAS_DUPLICATE:
        return BatchHasDuplicate(message)
    known = _BY_CODE.get(err_code)
    if known is not None:
        return known(message)
    if code == 429:
        return SlowDown(message)
    if code >= 500 or code == 408:
        return Retry(message)
    return Refused(message)
