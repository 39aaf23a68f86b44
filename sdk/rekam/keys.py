"""Rule of metric, param and tag keys, checked at the call. The server checks it again."""

from __future__ import annotations

import re

from rekam.errors import Invalid

MAX_KEY_CHARS = 250

# Word characters of any language, "/", ".", "-", " ", ":".
_ALLOWED = re.compile(r"[\w/.\- :]+")
# "", "." and ".." as path segments: a leading, trailing or double slash, or a step elsewhere.
_UNCLEAN_SEGMENT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")


def check_key(key: object, kind: str) -> str:
    """Return a good key; raise Invalid naming `kind` ("metric", "param", "tag") and the rule."""
    field = f"{kind} key"
    if not isinstance(key, str):
        raise Invalid(f"a {kind} key is a str, got {type(key).__name__} {key!r:.80}", field=field)
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise Invalid(f"a {kind} key has 1 to {MAX_KEY_CHARS} characters, got {len(key)}", field=field)
    if not _ALLOWED.fullmatch(key):
        raise Invalid(
            f"{kind} key {key!r}: only letters, digits, '_', '/', '.', '-', ' ' and ':' are allowed",
            field=field,
        )
    if _UNCLEAN_SEGMENT.search(key):
        raise Invalid(
            f"{kind} key {key!r} is not a clean relative path: "
            "no leading, trailing or double '/', no '.' or '..' part",
            field=field,
        )
    return key
