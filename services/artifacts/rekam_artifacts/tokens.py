"""Page tokens: the last of a page, as texts, and for which query it was given out."""

from __future__ import annotations

import base64
import hashlib

import msgspec
from google.protobuf.message import Message

from rekam_runtime.errors import Invalid

_DIGEST_BYTES = 8
# Fields of a query that may change from page to page.
_FREE = ("page_size", "page_token", "consistency")


def encode(request: Message, *place: str) -> str:
    return base64.urlsafe_b64encode(_digest(request) + msgspec.json.encode(place)).decode()


def decode(request: Message, token: str, texts: int) -> tuple[str, ...]:
    """The place; raises Invalid(page_token) for what `encode` did not write for this very query."""
    try:
        packed = base64.b64decode(token, b"-_", validate=True)
        place = msgspec.json.decode(packed[_DIGEST_BYTES:], type=tuple[str, ...])
    except (ValueError, msgspec.DecodeError):
        place = ()
    if len(place) != texts or any("\0" in text for text in place):
        raise Invalid("not a page token that was given out", field="page_token")
    if packed[:_DIGEST_BYTES] != _digest(request):
        raise Invalid("the page token belongs to another query", field="page_token")
    return place


def _digest(request: Message) -> bytes:
    """What must stay the same from page to page."""
    query = type(request)()
    query.CopyFrom(request)
    for field in _FREE:
        query.ClearField(field)
    return hashlib.sha256(query.SerializeToString(deterministic=True)).digest()[:_DIGEST_BYTES]
