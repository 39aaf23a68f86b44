"""Requests from bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import DecodeError

from rekam_runtime.errors import Invalid

_Request = TypeVar("_Request")


def parsed(parse: Callable[[bytes], _Request], data: bytes) -> _Request:
    """What `parse` makes of the bytes; raises Invalid when they are no such message."""
    try:
        return parse(data)
    except DecodeError as error:
        raise Invalid(f"the request cannot be read: {error}") from None
