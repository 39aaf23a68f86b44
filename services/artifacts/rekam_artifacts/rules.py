"""Rules for what requests bring in: paths, digests, sizes, ids.

Every check raises Invalid that names the field and the rule; limits are those written in the protos.
"""

from __future__ import annotations

import re

from rekam_runtime import names
from rekam_runtime.errors import Invalid

MAX_PATH_BYTES = 2_048
# A path's folders are rows of their own.
MAX_PATH_PARTS = 100
MAX_MEDIA_TYPE = 255
MAX_ACTOR = 256
MAX_FILES = 1_000
# One request becomes one event, and the log takes events of up to 1 MiB.
MAX_REQUEST_BYTES = 900_000
MAX_PARTS = 10_000
# What S3 takes as one object.
MAX_SIZE = 5 * 2**40
MAX_EXPIRES_S = 604_800
DEFAULT_EXPIRES_S = 900

_UNCLEAN_PART = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
# The backslash, and what Unicode folds to it or draws like it.
_BACKSLASHES = re.compile("[\\\\\u2216\u29f5\u29f9\ufe68\uff3c]")
_DRIVE = re.compile(r"[A-Za-z]:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OBJECT_KEY = re.compile(r"blobs/[0-9a-f]{32}")
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def path(value: str, field: str = "path") -> None:
    """A clean relative path of a file or folder."""
    if not value:
        raise Invalid("a path must not be empty", field=field)
    if "\0" in value:
        raise Invalid("a path must not contain the character U+0000", field=field)
    if (size := len(value.encode())) > MAX_PATH_BYTES:
        raise Invalid(f"a path has at most {MAX_PATH_BYTES} bytes in UTF-8, this one has {size}", field=field)
    shown = value[:200]
    if value.startswith("/") or _DRIVE.match(value):
        raise Invalid(f"a path is relative, got {shown!r}", field=field)
    if "#" in value:
        raise Invalid(f"a path must not contain '#', got {shown!r}", field=field)
    if _BACKSLASHES.search(value):
        raise Invalid(f"the parts of a path are separated by '/', got {shown!r}", field=field)
    if _UNCLEAN_PART.search(value):
        raise Invalid(
            f"path {shown!r} is not clean: no '/' at an end, no '//', no '.' or '..' part", field=field
        )
    if (parts := value.count("/") + 1) > MAX_PATH_PARTS:
        raise Invalid(f"a path has at most {MAX_PATH_PARTS} parts, this one has {parts}", field=field)


def digest(value: str, field: str = "digest") -> None:
    if not _DIGEST.fullmatch(value):
        raise Invalid(f"a digest is a SHA-256 of 64 lower-case hex digits, got {value[:80]!r}", field=field)


def size(value: int, field: str = "size") -> None:
    if not 0 <= value <= MAX_SIZE:
        raise Invalid(f"a size is 0 to {MAX_SIZE} bytes, got {value}", field=field)


def media_type(value: str, field: str = "media_type") -> None:
    if len(value) > MAX_MEDIA_TYPE:
        raise Invalid(
            f"a media type has at most {MAX_MEDIA_TYPE} characters, this one has {len(value)}", field=field
        )
    if _CONTROL.search(value):
        raise Invalid("a media type has no control characters", field=field)


def object_key(value: str, field: str = "object_key") -> None:
    if not _OBJECT_KEY.fullmatch(value):
        raise Invalid(
            f"an object's key is 'blobs/' and 32 lower-case hex digits, got {value[:80]!r}", field=field
        )


def upload_id(value: str, field: str = "upload_id") -> None:
    if not _UPLOAD_ID.fullmatch(value):
        raise Invalid(f"an upload's id is 32 lower-case hex digits, got {value[:80]!r}", field=field)


def run_id(value: str, field: str = "run_id") -> None:
    if fault := names.hex_id_fault(value):
        raise Invalid(fault, field=field)


def model_id(value: str, field: str = "model_id") -> None:
    if not _MODEL_ID.fullmatch(value):
        raise Invalid(f"a model's id is 'm-' and 32 lower-case hex digits, got {value[:80]!r}", field=field)


def actor(value: str) -> None:
    if len(value) > MAX_ACTOR or "\0" in value:
        raise Invalid(f"an actor's name has at most {MAX_ACTOR} characters, and no U+0000", field="actor")


def some(items: int, field: str, most: int = MAX_FILES) -> None:
    if not 1 <= items <= most:
        raise Invalid(f"a request has 1 to {most} {field}, this one has {items}", field=field)


def request_bytes(value: int, field: str) -> None:
    """A request that fits into one event."""
    if value > MAX_REQUEST_BYTES:
        raise Invalid(
            f"a request has at most {MAX_REQUEST_BYTES} bytes, this one has {value}: "
            f"send fewer {field} at a time",
            field=field,
        )


def page_size(value: int, *, default: int, most: int) -> int:
    if not 0 <= value <= most:
        raise Invalid(f"a page has 1 to {most} entries, got {value}", field="page_size")
    return value or default


def expires_s(value: int) -> int:
    if not 0 <= value <= MAX_EXPIRES_S:
        raise Invalid(f"a url can be used for 1 to {MAX_EXPIRES_S} seconds, got {value}", field="expires_s")
    return value or DEFAULT_EXPIRES_S


def part_count(value: int) -> None:
    if not 0 <= value <= MAX_PARTS:
        raise Invalid(
            f"an upload has 1 to {MAX_PARTS} parts, or 0 when that is not known, got {value}", field="parts"
        )


def part_number(value: int, field: str) -> None:
    if not 1 <= value <= MAX_PARTS:
        raise Invalid(f"parts are numbered from 1 to {MAX_PARTS}, got {value}", field=field)
