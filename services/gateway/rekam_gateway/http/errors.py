"""Our errors in MLflow's terms: status, code, message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

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

# The most specific class of an error decides. What a user did wrong is never a 5xx: MLflow's client
# would send it again for minutes, and then hide the message.
_ANSWERS: dict[type[RekamError], tuple[int, str]] = {
    Invalid: (400, "INVALID_PARAMETER_VALUE"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    AlreadyExists: (400, "RESOURCE_ALREADY_EXISTS"),
    FailedPrecondition: (400, "INVALID_PARAMETER_VALUE"),
    Forbidden: (403, "PERMISSION_DENIED"),
    Unsupported: (501, "NOT_IMPLEMENTED"),
    Refused: (400, "INVALID_PARAMETER_VALUE"),
    DeadlineExceeded: (504, "DEADLINE_EXCEEDED"),
    SlowDown: (429, "RESOURCE_EXHAUSTED"),
    Retry: (503, "TEMPORARILY_UNAVAILABLE"),
    Quarantine: (500, "DATA_LOSS"),
    RekamError: (500, "INTERNAL_ERROR"),
}
_SHOWN_CHARS = 1_000
_SEARCHED_BY = ("filter", "order_by")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Refusal(Struct):
    """What an error's response has."""

    error_code: str
    message: str


class Coded(Refused):
    """An error with a code and status that the table does not give."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def missing_value(field: str) -> Invalid:
    return Invalid(
        f"Missing value for required parameter '{field}'. "
        "See the API docs for more information about request parameters.",
        field=field,
    )


def wrong_type(field: str, value: object) -> Invalid:
    return invalid_value(
        field,
        value,
        f" Hint: Value was of type '{type(value).__name__}'. "
        "See the API docs for more information about request parameters.",
    )


def invalid_value(field: str, value: object, why: str) -> Invalid:
    """Programs read this text."""
    try:
        shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    except RecursionError:  # nested as deep as it could just be read
        shown = "..."
    if len(shown) > _SHOWN_CHARS:
        shown = shown[:_SHOWN_CHARS] + "..."
    why = why[:1].upper() + why[1:]
    return Invalid(f"Invalid value {shown} for parameter '{field}' supplied: {why}", field=field)


def check_max_results(value: int, most: int) -> None:
    for rule, kept in (("a positive integer", value > 0), (f"at most {most}", value <= most)):
        if not kept:
            raise Invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be {rule}")


def refusal(error: RekamError, codes: Mapping[type[RekamError], str] = MappingProxyType({})) -> Response:
    """The error as a response.

    codes: of an endpoint that says some things by another code.
    """
    if isinstance(error, Coded):
        return answer(error.status, error.code, error.message)
    status, code = next(_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)
    return answer(status, codes.get(type(error), code), error.message)


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    content = msgspec.json.encode(Refusal(code, message))
    return Response(content, status, headers, media_type="application/json")


def in_terms_of(asked: object, error: RekamError, renamed: Mapping[str, str]) -> RekamError:
    """A service's refusal of a field, with the name and the value that the request has for it."""
    if type(error) is not Invalid or not error.field:
        return error
    field = error.field
    if field == "page_token" and not error.message.startswith("Invalid page token"):
        return Invalid(f"Invalid page token, {error.message}", field=field)
    # MLflow's own texts, which the services say where there is one, stand by themselves.
    if not error.message[:1].islower() or field.startswith(_SEARCHED_BY):
        return error
    for theirs, ours in renamed.items():
        if field.startswith(theirs):
            field = ours + field[len(theirs) :]
            break
    try:
        value = _at(asked, field)
    except (AttributeError, IndexError, TypeError):
        return error
    if isinstance(value, list | msgspec.Struct):
        return error
    return invalid_value(field, msgspec.to_builtins(value), error.message)


def _at(asked: Any, path: str) -> Any:
    """What a request has at `tags[0].key`."""
    for name, index in _STEP.findall(path):
        asked = getattr(asked, name) if name else asked[int(index)]
    return asked
