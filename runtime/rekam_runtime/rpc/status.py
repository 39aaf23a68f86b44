"""Errors of ours as gRPC status, and back.

The status carries `google.rpc.ErrorInfo` (reason: the error's class in UPPER_SNAKE) and,
for an error of one field, `google.rpc.BadRequest` with the field's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from rekam_runtime.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Forbidden,
    Invalid,
    NotFound,
    Quarantine,
    Refused,
    RekamError,
    Retry,
    SlowDown,
    Unsupported,
)
from rekam_runtime.eventlog.port import Conflict

Code = grpc.StatusCode
DOMAIN = "rekam"
DETAILS_KEY = "grpc-status-details-bin"
# gRPC takes 8 KiB of metadata; the message is in it three times, once percent-encoded.
_MESSAGE_BYTES = 1_024

# The most specific class of an error decides.
_CODES: dict[type[RekamError], Code] = {
    Invalid: Code.INVALID_ARGUMENT,
    NotFound: Code.NOT_FOUND,
    AlreadyExists: Code.ALREADY_EXISTS,
    FailedPrecondition: Code.FAILED_PRECONDITION,
    Forbidden: Code.PERMISSION_DENIED,
    Unsupported: Code.UNIMPLEMENTED,
    Conflict: Code.ABORTED,
    Refused: Code.FAILED_PRECONDITION,
    DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    SlowDown: Code.RESOURCE_EXHAUSTED,
    Retry: Code.UNAVAILABLE,
    Quarantine: Code.DATA_LOSS,
}
_ERRORS: dict[Code, type[RekamError]] = {
    Code.INVALID_ARGUMENT: Invalid,
    Code.OUT_OF_RANGE: Invalid,
    Code.NOT_FOUND: NotFound,
    Code.ALREADY_EXISTS: AlreadyExists,
    Code.FAILED_PRECONDITION: FailedPrecondition,
    Code.UNIMPLEMENTED: Unsupported,
    Code.PERMISSION_DENIED: Forbidden,
    Code.UNAUTHENTICATED: Refused,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.RESOURCE_EXHAUSTED: SlowDown,
    Code.DATA_LOSS: Quarantine,
}
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def code_of(error: RekamError) -> Code:
    """The gRPC status code that says what to do with the error."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return Code.INTERNAL


def reason_of(error: RekamError) -> str:
    """`NotFound` → `NOT_FOUND`: for programs that want more than the code."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).upper()


def status_of(error: RekamError) -> status_pb2.Status:
    """The error as a rich status."""
    message = error.message.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    number: int = code_of(error).value[0]
    status = status_pb2.Status(code=number, message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN))
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return status


async def abort_with(context: grpc.aio.ServicerContext[_Request, _Response], error: RekamError) -> NoReturn:
    """End the call with the error's status."""
    status = status_of(error)
    trailing = (*(context.trailing_metadata() or ()), (DETAILS_KEY, status.SerializeToString()))
    await context.abort(code_of(error), status.message, trailing)


def details_of(trailing: Iterable[tuple[str, str | bytes]] | None) -> status_pb2.Status | None:
    """The rich status in a call's trailing metadata, if there is one that can be read."""
    for key, value in trailing or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def error_from_rpc(error: grpc.aio.AioRpcError) -> RekamError:
    """A failed call as an error of ours; what nothing is known of may be sent again."""
    kind = _ERRORS.get(error.code(), Retry)
    return kind(error.details() or error.code().name, field=_field(details_of(error.trailing_metadata())))


def _field(status: status_pb2.Status | None) -> str:
    bad_request = error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR) and detail.Unpack(bad_request):
            for violation in bad_request.field_violations:
                return str(violation.field)
    return ""
