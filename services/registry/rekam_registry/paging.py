"""Pages of lists that are in the order of one number, the greatest first."""

from __future__ import annotations

from rekam_registry.timelines import FOREVER
from rekam_runtime.errors import Invalid

_DEFAULT = 100
_MOST = 1_000


def page_size(requested: int) -> int:
    if not 0 <= requested <= _MOST:
        raise Invalid(f"page_size is 1 to {_MOST:,}, or 0 for {_DEFAULT}; got {requested}", field="page_size")
    return requested or _DEFAULT


def token_of(last: int) -> str:
    """For the page that begins below this number."""
    return str(last)


def position_of(token: str) -> int:
    """What the page is to begin below."""
    if not token:
        return FOREVER
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise Invalid("the page token is not one that a page came with", field="page_token")
    return int(token)
