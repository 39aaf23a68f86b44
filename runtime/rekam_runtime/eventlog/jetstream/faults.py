"""JetStream's error codes as errors of ours.

Codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json
"""

from __future__ import annotations

from rekam_runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    Invalid,
    NotFound,
    Refused,
    RekamError,
    Retry,
    SlowDown,
)
from rekam_runtime.eventlog.port import Conflict

_BY_CODE: dict[int, type[RekamError]] = {
    10014: Retry,  # consumer not found: it is made again
    10058: AlreadyExists,  # stream name in use, with another configuration
    10037: NotFound,  # no message found
    10059: NotFound,  # stream not found
    10065: FailedPrecondition,  # subjects overlap with another stream
    10071: Conflict,  # wrong last sequence
    10164: Conflict,  # wrong last sequence, within a batch
    10201: Conflict,  # some event ids of an atomic batch are stored already
    10052: Invalid,  # stream configuration
    10054: Invalid,  # message size exceeds the stream's maximum
    10176: Retry,  # atomic batch incomplete: a part of it was lost on the way
    10023: SlowDown,  # insufficient resources
    10047: SlowDown,  # insufficient storage
    10077: SlowDown,  # stream is full (bytes)
    10002: SlowDown,  # account's limit reached
    10076: Retry,  # JetStream is switched off, as while it stops
    10005: Retry,  # not enough servers are up to place a stream
}


def error_of(code: int, err_code: int, description: str) -> RekamError:
    known = _BY_CODE.get(err_code)
    full = "it is full: " if known is SlowDown else ""
    message = f"event log: {full}{description} ({err_code or code})"
    if known is not None:
        return known(message)
    if code == 429:
        return SlowDown(message)
    if code >= 500 or code == 408:
        return Retry(message)
    return Refused(message)
