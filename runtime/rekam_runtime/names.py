"""Rules for names that come from users, shared by every service that takes them in.

A rule answers None for a good name, else what is wrong with it, for an error message.
The SDK checks the same rules at the call; the services never trust it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable

MAX_KEY_CHARS = 250
MAX_WRITER_CHARS = 64
# Of a writer's frames. The end of a range of sequences is one more, and a signed 64-bit number.
MAX_SEQUENCE = 2**63 - 2

# Word characters of any language, "/", ".", "-", " ", ":".
_KEY_CHARS = re.compile(r"[\w/.\- :]+")
# "", "." and ".." as path segments: a leading, trailing or double slash, or a step elsewhere.
_UNCLEAN_SEGMENT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
_WRITER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEX_ID = re.compile(r"[0-9a-f]{32}")


def key_fault(key: str) -> str | None:
    """Rule of metric, param and tag keys: 1 to 250 characters that form a clean relative path."""
    if not key:
        return "a key must not be empty"
    if len(key) > MAX_KEY_CHARS:
        return f"a key has at most {MAX_KEY_CHARS} characters, this one has {len(key)}"
    if not _KEY_CHARS.fullmatch(key):
        return (
            "names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
            f"colon(:) and slashes (/), not as in {key!r}"
        )
    if _UNCLEAN_SEGMENT.search(key):
        return (
            "names may be treated as files in certain cases, and must not resolve to other names when "
            f"treated as such. This name would resolve to {posixpath.normpath(key)!r}: a clean relative path "
            "has no '/' at an end, no '//', no '.' or '..' part"
        )
    return None


def writer_fault(writer: str) -> str | None:
    """Rule of a writer's name: 1 to 64 characters of [A-Za-z0-9._-]."""
    if _WRITER.fullmatch(writer):
        return None
    return f"a writer is 1 to {MAX_WRITER_CHARS} characters of [A-Za-z0-9._-], got {writer[:80]!r}"


def hex_id_fault(value: str) -> str | None:
    """Rule of a run id: 32 lower-case hex digits."""
    if _HEX_ID.fullmatch(value):
        return None
    return f"a run id is 32 lower-case hex digits, got {value[:80]!r}"


def key_set_hash(keys: Iterable[str]) -> bytes:
    """The name of a key set, made of its keys: see KeySet.hash in ingest.proto."""
    digest = hashlib.sha256()
    for key in keys:
        encoded = key.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return digest.digest()[:16]
