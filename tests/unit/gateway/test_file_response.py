"""What a file's response says of it: type, name, range."""

from __future__ import annotations

import pytest

from rekam_gateway.http.file_response import disposition_of, media_type_of, part_of
from rekam_proto.artifacts.v1.artifact_pb2 import File


@pytest.mark.parametrize(
    ("name", "said", "media_type"),
    [
        ("a.json", "application/json", "text/plain"),
        ("MLmodel", "", "text/plain"),
        ("a.tar.yaml", "", "text/plain"),
        ("roc.png", "", "image/png"),
        ("page.html", "", "text/html"),
        ("model.pkl", "", "application/octet-stream"),
        ("model", "", "application/octet-stream"),
        ("x.strange", "application/x-odd; v=1", "application/x-odd; v=1"),
        # What is no media type may be something else in a header.
        ("x.strange", "a/b\r\nSet-Cookie: c", "application/octet-stream"),
        ("x.strange", "bild", "application/octet-stream"),
        ("x.strange", "a/b; ä", "application/octet-stream"),
    ],
)
def test_media_types(name: str, said: str, media_type: str) -> None:
    assert media_type_of(File(path=f"x.csv/{name}", media_type=said)) == media_type


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("a.txt", "filename=a.txt"),
        ("a b.txt", 'filename="a b.txt"'),
        ('a"b\\', 'filename="a\\"b\\\\"'),
        ("a;b", 'filename="a;b"'),
        ("ä.txt", "filename*=UTF-8''%C3%A4.txt"),
        ("a\r\nb", "filename*=UTF-8''a%0D%0Ab"),
        ("a/b", "filename=b"),
    ],
)
def test_names(name: str, filename: str) -> None:
    assert disposition_of(File(path=f"folder/{name}")) == f"attachment; {filename}"


@pytest.mark.parametrize(
    ("wanted", "start", "size", "partial"),
    [
        ("", 0, 10, False),
        ("bytes=0-", 0, 10, True),
        ("bytes=2-4", 2, 3, True),
        ("bytes=9-9", 9, 1, True),
        ("bytes=5-99", 5, 5, True),
        ("bytes=-3", 7, 3, True),
        ("bytes=-99", 0, 10, True),
        # What is not understood counts for nothing.
        ("bytes=-", 0, 10, False),
        ("bytes=4-2", 0, 10, False),
        ("bytes=0-1,3-4", 0, 10, False),
        ("lines=0-1", 0, 10, False),
        ("bytes=a-b", 0, 10, False),
        ("bytes=0-" + "9" * 40, 0, 10, False),
    ],
)
def test_ranges(wanted: str, start: int, size: int, partial: bool) -> None:
    part = part_of(wanted, 10)
    assert part is not None
    assert (part.start, part.size, part.partial) == (start, size, partial)


@pytest.mark.parametrize(
    ("wanted", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-0", 0)]
)
def test_ranges_of_what_is_not_there(wanted: str, size: int) -> None:
    assert part_of(wanted, size) is None
