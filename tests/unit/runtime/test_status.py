"""Errors as gRPC status."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from rekam_runtime import errors
from rekam_runtime.eventlog.port import Conflict
from rekam_runtime.rpc.status import code_of, reason_of, status_of

Code = grpc.StatusCode


class ParamChanged(errors.FailedPrecondition):
    """A more particular error, as a service has them."""


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.Invalid("m"), Code.INVALID_ARGUMENT, "INVALID"),
        (errors.NotFound("m"), Code.NOT_FOUND, "NOT_FOUND"),
        (errors.AlreadyExists("m"), Code.ALREADY_EXISTS, "ALREADY_EXISTS"),
        (errors.FailedPrecondition("m"), Code.FAILED_PRECONDITION, "FAILED_PRECONDITION"),
        (ParamChanged("m"), Code.FAILED_PRECONDITION, "PARAM_CHANGED"),
        (errors.Unsupported("m"), Code.UNIMPLEMENTED, "UNSUPPORTED"),
        (Conflict("m"), Code.ABORTED, "CONFLICT"),
        (errors.Retry("m"), Code.UNAVAILABLE, "RETRY"),
        (errors.DeadlineExceeded("m"), Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (errors.SlowDown("m"), Code.RESOURCE_EXHAUSTED, "SLOW_DOWN"),
        (errors.Quarantine("m"), Code.DATA_LOSS, "QUARANTINE"),
        (errors.RekamError("m"), Code.INTERNAL, "REKAM_ERROR"),
    ],
)
def test_the_type_decides_the_code(error: errors.RekamError, code: Code, reason: str) -> None:
    assert (code_of(error), reason_of(error)) == (code, reason)


def test_a_field_is_named_in_the_details() -> None:
    status = status_of(errors.Invalid("is too long", field="params[0].key"))
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info) and status.details[1].Unpack(bad_request)
    assert (info.reason, info.domain) == ("INVALID", "rekam")
    assert bad_request.field_violations[0].field == "params[0].key"
    assert bad_request.field_violations[0].description == status.message == "is too long"


def test_a_long_message_is_cut_at_a_character() -> None:
    assert status_of(errors.Invalid("x" + "é" * 5_000)).message == "x" + "é" * 511
