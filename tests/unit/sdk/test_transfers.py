"""Moving files: what is remembered, cut into parts, done at once, and what S3's answers mean."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rekam.errors import ArtifactError, Unavailable
from rekam.transfer import direct
from rekam.transfer.parts import part_bytes
from rekam.transfer.threads import in_parallel
from rekam.transfer.unfinished import Unfinished

MIB = 1024 * 1024


# ---- parts ----


@pytest.mark.parametrize("size", [1, 64 * MIB, 10_000 * 16 * MIB, 10_000 * 16 * MIB + 1, 5 * 1024**4])
def test_parts_are_whole_mebibytes_and_not_too_many(size: int) -> None:
    part = part_bytes(size)
    assert part % MIB == 0
    assert part >= 16 * MIB
    assert -(-size // part) <= 10_000


# ---- uploads in progress ----


def test_an_upload_is_remembered_until_it_ends(tmp_path: Path) -> None:
    first, again = Unfinished(tmp_path / "uploads"), Unfinished(tmp_path / "uploads")
    first.put("id-1", "host", "a/b", "digest")
    assert again.get("host", "a/b", "digest") == "id-1"
    assert again.get("host", "a", "b/digest") == ""
    again.drop("host", "a/b", "digest")
    assert first.get("host", "a/b", "digest") == ""
    first.drop("host", "a/b", "digest")


def test_old_ones_are_forgotten(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path)
    unfinished.put("old", "a")
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    unfinished.put("new", "b")
    assert (unfinished.get("a"), unfinished.get("b")) == ("", "new")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_costs_no_upload(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unfinished = Unfinished(tmp_path / "file" / "uploads")
    unfinished.put("id", "a")
    assert unfinished.get("a") == ""


# ---- threads ----


def test_results_keep_their_order() -> None:
    turns = threading.Barrier(3, timeout=30)

    def work(item: int) -> int:
        turns.wait()  # three at once
        return item * 2

    assert in_parallel(work, range(9), 3, threading.Event()) == [item * 2 for item in range(9)]


def test_the_first_failure_stops_the_others() -> None:
    stop, began = threading.Event(), []

    def work(item: int) -> None:
        began.append(item)
        if item == 1:
            raise ArtifactError("this one")
        assert stop.wait(30)

    with pytest.raises(ArtifactError, match="this one"):
        in_parallel(work, range(100), 2, stop)
    assert len(began) < 100


# ---- S3's answers ----


class Storage(BaseHTTPRequestHandler):
    """Keeps what is put, and answers with the status that the path names."""

    kept = b""

    def do_PUT(self) -> None:
        type(self).kept = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"", ETag=f'"{len(self.kept)}"')

    def do_GET(self) -> None:
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self._answer(self.kept[start:])

    def _answer(self, body: bytes, **headers: str) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_bytes_there_and_back(storage: str) -> None:
    data = os.urandom(3 * MIB)
    assert direct.put(f"{storage}/200", {"x-a": "b"}, len(data), iter([data[:5], data[5:]])) == f'"{3 * MIB}"'
    assert b"".join(direct.get(f"{storage}/206", {}, 7)) == data[7:]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_be_tried_again(storage: str, status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        direct.put(f"{storage}/{status}", {}, 1, iter([b"a"]))
    with pytest.raises(Unavailable, match=str(status)):
        list(direct.get(f"{storage}/{status}", {}, 0))


@pytest.mark.parametrize("status", [403, 404, 301])
def test_what_leaves_the_gateway(storage: str, status: int) -> None:
    with pytest.raises(direct.Unreachable, match=str(status)):
        direct.put(f"{storage}/{status}", {}, 1, iter([b"a"]))


@pytest.mark.parametrize("url", ["", "ftp://host/a", "http://127.0.0.1:1/a", "http://no.such.host.invalid/a"])
def test_where_nobody_is(url: str) -> None:
    with pytest.raises(direct.Unreachable):
        direct.put(url, {}, 1, iter([b"a"]))


def test_parts_of_a_file_are_needed_to_go_on(storage: str) -> None:
    with pytest.raises(direct.Unreachable, match="part"):
        list(direct.get(f"{storage}/200", {}, 5))
