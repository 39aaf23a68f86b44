"""mlflow-artifacts/* over HTTP: bytes in and out, names of all kinds, what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead

import pytest

from rekam.testing import LocalStack
from rekam_gateway.artifacts.transfer import DOWNLOADS
from tests.support.faults import Faults
from tests.support.gateways import gateways_beside
from tests.support.objects import objects_of
from tests.support.proxied import ROOT, Answer, Proxied, pieces
from tests.support.stack import until

MIB = 1024 * 1024
INVALID = (400, "INVALID_PARAMETER_VALUE")


@pytest.fixture
def proxied(rekam_clean: LocalStack) -> Proxied:
    return Proxied(rekam_clean.http)


@pytest.mark.parametrize("size", [0, 1, 100_000, 8 * MIB, 20 * MIB + 1])
@pytest.mark.parametrize("said", [True, False])
def test_what_is_put_comes_back(proxied: Proxied, size: int, said: bool) -> None:
    data = os.urandom(size)
    answer = proxied.put("1/r/artifacts/a.bin", data if said else pieces(data))
    assert (answer.status, answer.body) == (200, b"{}")
    got = proxied.get("1/r/artifacts/a.bin")
    assert (got.status, got.body) == (200, data)
    assert got.headers["Content-Length"] == str(size)
    assert got.headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert proxied.listed("1/r/artifacts") == {"a.bin": size}


NAMES = [
    "plain",
    "a b",
    " leading and trailing ",
    "a+b",
    "100%",
    "50% off",
    "ä/日本語/🎉.txt",
    "images/loss+step+3+timestamp+1700000000000+0af1~x.png",
    "a?b=c&d",
    "a:b;c,d='e'",
    '$@!*()[]{}|^`<>"',
    "x" * 2_000,
    "...",
    ".hidden",
    "line\nbreak",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept(proxied: Proxied, name: str) -> None:
    path = f"1/r/artifacts/{name}"
    assert proxied.put(path, name.encode()).status == 200
    assert proxied.get(path).body == name.encode()
    folder, _, last = path.rpartition("/")
    assert proxied.listed(folder) == {last: len(name.encode())}
    assert proxied.delete(path).body == b"{}"
    assert proxied.get(path).error == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_path_that_was_encoded_again_is_the_same(proxied: Proxied) -> None:
    assert proxied.raw("PUT", f"{ROOT}/artifacts/1%2Fa%2520b%252525", b"x").status == 200
    assert proxied.listed("1") == {"a b%": 1}
    assert proxied.get("1/a b%").body == b"x"


UNSAFE = [
    "..",
    "../x",
    "1/../../x",
    "1/..",
    "%2e%2e/x",
    "1/%2E%2e/x",
    "1%2f%2e%2e%2fx",
    "%252e%252e/x",
    "1/%25252e%25252e/x",
    "/etc/passwd",
    "%2Fetc/passwd",
    "%252Fetc%252Fpasswd",
    "C:%5Cx",
    "C:/x",
    "a%5Cb",
    "..%5Cx",
    "a%255Cb",
    "a%23b",
    "a%2523b",
    "1//x",
    "1/./x",
    "./x",
    "1/x/",
    "x%00y",
    "x" * 4_096,
    "%E2%88%96".join("ab"),
]


@pytest.mark.parametrize("path", UNSAFE)
def test_what_leads_elsewhere_is_refused(proxied: Proxied, path: str) -> None:
    for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
        assert proxied.raw(method, f"{ROOT}/artifacts/{path}", body).error == INVALID
    if path != "1/x/":  # a folder may be named with its slash
        assert proxied.raw("GET", f"{ROOT}/artifacts?path={path}").error == INVALID
    mpu = json.dumps({"path": "a", "num_parts": 2}).encode()
    assert proxied.raw("POST", f"{ROOT}/mpu/create/{path}", mpu, JSON).status == 400 or path == "1/x/"
    assert proxied.raw("GET", f"{ROOT}/presigned/{path}").error == INVALID
    assert proxied.listed() == {}


JSON = {"content-type": "application/json"}


def test_files_and_folders(proxied: Proxied) -> None:
    for path in ("1/a/b/c", "1/a/d", "1/e"):
        assert proxied.put(path, path.encode()).status == 200
    assert proxied.listed() == {"1": None}
    assert proxied.listed("1") == proxied.listed("1/") == {"a": None, "e": 3}
    # A file, an empty and a missing folder have nothing in them.
    assert proxied.listed("1/e") == proxied.listed("1/x") == {}
    assert proxied.get("1/a").error == INVALID
    assert proxied.get("1/x").error == (404, "RESOURCE_DOES_NOT_EXIST")
    assert proxied.put("1/a", b"x").error == INVALID
    assert proxied.put("1/e/f", b"x").error == INVALID
    assert proxied.put("1/e", b"again").status == 200
    assert proxied.get("1/e").body == b"again"
    assert proxied.delete("1/x").body == b"{}"
    assert proxied.delete("1/a").body == b"{}"
    assert proxied.listed("1") == {"e": 5}


def test_what_a_response_says(proxied: Proxied) -> None:
    proxied.put("1/ä b.json", b"{}", Content_Type="image/png")
    got = proxied.get("1/ä b.json")
    assert got.headers["Content-Type"] == "text/plain"
    assert got.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A4%20b.json"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    head = proxied.head("1/ä b.json")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "2")
    assert proxied.head("1/x").status == 404


def test_ranges_are_exact(proxied: Proxied) -> None:
    data = os.urandom(17 * MIB)
    proxied.put("1/a", data)
    etag = proxied.head("1/a").headers["ETag"]
    chosen = random.Random(7)
    ranges = [
        (start, min(start + chosen.randrange(3 * MIB), len(data) - 1))
        for start in [0, 8 * MIB - 1, 8 * MIB, *(chosen.randrange(len(data)) for _ in range(10))]
    ]
    for first, last in ranges:
        got = proxied.get("1/a", Range=f"bytes={first}-{last}", If_Range=etag)
        assert (got.status, got.body) == (206, data[first : last + 1])
        assert got.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
    assert proxied.get("1/a", Range="bytes=-5").body == data[-5:]
    assert proxied.get("1/a", Range="bytes=0-0", If_Range='"other"').status == 200
    beyond = proxied.get("1/a", Range=f"bytes={len(data)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(data)}")


def test_a_digest_is_checked_on_the_way_in(proxied: Proxied) -> None:
    data = os.urandom(9 * MIB)
    right = base64.b64encode(hashlib.sha256(data).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    refused = proxied.put("1/a", data, Content_Digest=f"sha-256=:{wrong}:")
    assert refused.error == INVALID
    assert "SHA-256" in refused.message
    assert proxied.put("1/a", data, Content_Digest="sha-256=:?:").error == INVALID
    assert proxied.listed() == {}
    assert proxied.put("1/a", data, Content_Digest=f"md5=:x:, sha-256=:{right}:").status == 200


def test_damaged_bytes_never_arrive_whole(proxied: Proxied, rekam_clean: LocalStack) -> None:
    data = os.urandom(3 * MIB)
    proxied.put("1/a", data)
    objects = objects_of(rekam_clean)
    objects.replace(objects.key_of("1/a"), data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IncompleteRead):
        proxied.get("1/a")
    # A part is not checked.
    assert proxied.get("1/a", Range="bytes=0-99").body == data[:100]


def test_an_upload_that_is_cut_off_leaves_nothing(proxied: Proxied, rekam_clean: LocalStack) -> None:
    objects = objects_of(rekam_clean)
    for sent, size in ((0, 5), (3, 5), (3 * MIB, 5 * MIB), (30 * MIB, 50 * MIB)):
        with proxied.begin_put("1/a", size) as opened:
            opened.sendall(os.urandom(sent))
            if sent > 8 * MIB:
                until("parts are on their way", objects.uploads)
        until("the upload is aborted", lambda: not objects.uploads())
    assert proxied.listed() == {}
    assert objects.keys() == []
    assert proxied.put("1/a", b"whole").status == 200


def test_uploads_of_one_path_at_once(proxied: Proxied) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate([1, 5, MIB, 9 * MIB] * 3)]
    with ThreadPoolExecutor(len(bodies)) as threads:
        answers = list(threads.map(lambda body: proxied.put("1/a", body), bodies))
    assert {answer.status for answer in answers} == {200}
    assert proxied.get("1/a").body in bodies


def test_the_same_bytes_are_stored_once(proxied: Proxied, rekam_clean: LocalStack) -> None:
    data = os.urandom(MIB)
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda number: proxied.put(f"1/{number}", data), range(24)):
            assert answer.status == 200
    objects = objects_of(rekam_clean)
    objects.collect()
    assert len(objects.keys()) == 1
    assert all(proxied.get(f"1/{number}").body == data for number in range(24))


def test_many_uploads_at_once(proxied: Proxied) -> None:
    data = os.urandom(2 * MIB)

    def put(number: int) -> int:
        return proxied.put(f"1/{number:02}", data[: MIB + number]).status

    with ThreadPoolExecutor(64) as threads:
        assert set(threads.map(put, range(64))) == {200}
    assert proxied.listed("1") == {f"{number:02}": MIB + number for number in range(64)}


def test_downloads_that_are_left_let_others_pass(proxied: Proxied) -> None:
    data = os.urandom(9 * MIB)
    proxied.put("1/a", data)
    for _ in range(DOWNLOADS + 10):
        left = proxied.begin_get("1/a")
        left.read(1)
        left.close()
    assert proxied.get("1/a").body == data


def test_large_files_go_to_s3_directly(proxied: Proxied) -> None:
    data = os.urandom(6 * MIB)
    asked = {"path": "C:\\somewhere\\model ä.bin", "num_parts": 2}
    created = json.loads(proxied.raw("POST", f"{ROOT}/mpu/create/1/m", json.dumps(asked).encode(), JSON).body)
    assert [each["part_number"] for each in created["credentials"]] == [1, 2]
    parts = []
    for each, part in zip(created["credentials"], (data[: 5 * MIB], data[5 * MIB :]), strict=True):
        answer = direct("PUT", each["url"], part, each["headers"])
        parts.append({"part_number": each["part_number"], "etag": answer.headers["ETag"], "url": each["url"]})
    done = {"path": "model ä.bin", "upload_id": created["upload_id"], "parts": parts}
    assert proxied.listed("1/m") == {}
    completed = proxied.raw("POST", f"{ROOT}/mpu/complete/1/m", json.dumps(done).encode(), JSON)
    assert (completed.status, completed.body) == (200, b"{}")
    assert proxied.listed("1/m") == {"model ä.bin": len(data)}
    assert proxied.get("1/m/model ä.bin").body == data
    signed = json.loads(proxied.raw("GET", f"{ROOT}/presigned/1/m/model%20%C3%A4.bin").body)
    assert signed["file_size"] == len(data)
    ranged = direct("GET", signed["url"], None, {**signed["headers"], "Range": "bytes=5-9"})
    assert (ranged.status, ranged.body) == (206, data[5:10])
    assert proxied.raw("GET", f"{ROOT}/presigned/1/m/x").error == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("size", [0, 1000])
def test_one_part_is_one_request_to_s3(proxied: Proxied, size: int) -> None:
    data = os.urandom(size)
    asked = json.dumps({"path": "a", "num_parts": 1}).encode()
    created = json.loads(proxied.raw("POST", f"{ROOT}/mpu/create/1", asked, JSON).body)
    (credential,) = created["credentials"]
    etag = direct("PUT", credential["url"], data, credential["headers"]).headers["ETag"]
    parts = [{"part_number": 1, "etag": etag, "url": credential["url"]}]
    done = json.dumps({"path": "a", "upload_id": created["upload_id"], "parts": parts}).encode()
    assert proxied.raw("POST", f"{ROOT}/mpu/complete/1", done, JSON).status == 200
    assert proxied.get("1/a").body == data


def test_an_aborted_multipart_upload_leaves_nothing(proxied: Proxied, rekam_clean: LocalStack) -> None:
    asked = json.dumps({"path": "a", "num_parts": 2}).encode()
    created = json.loads(proxied.raw("POST", f"{ROOT}/mpu/create/1", asked, JSON).body)
    direct("PUT", created["credentials"][0]["url"], os.urandom(5 * MIB), {})
    ending = json.dumps({"path": "a", "upload_id": created["upload_id"]}).encode()
    for _ in range(2):
        assert proxied.raw("POST", f"{ROOT}/mpu/abort/1", ending, JSON).status == 200
    objects = objects_of(rekam_clean)
    objects.collect()
    assert objects.uploads() == []
    assert proxied.listed() == {}


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("mpu/create/1", {"num_parts": 1}, "path"),
        ("mpu/create/1", {"path": "a"}, "num_parts"),
        ("mpu/create/1", {"path": "a", "num_parts": 0}, "num_parts"),
        ("mpu/create/1", {"path": "a", "num_parts": 10_001}, "num_parts"),
        ("mpu/complete/1", {"upload_id": "x", "parts": []}, "path"),
        ("mpu/complete/1", {"path": "a", "parts": []}, "upload_id"),
        ("mpu/complete/1", {"path": "a", "upload_id": "x"}, "parts"),
        ("mpu/complete/1", {"path": "a", "upload_id": "x", "parts": [{"etag": "x"}]}, "parts[0].part_number"),
        ("mpu/abort/1", {"path": "a"}, "upload_id"),
    ],
)
def test_multipart_refusals(proxied: Proxied, path: str, fields: dict[str, object], field: str) -> None:
    refused = proxied.raw("POST", f"{ROOT}/{path}", json.dumps(fields).encode(), JSON)
    assert refused.error == INVALID
    assert f"'{field}'" in refused.message


def test_where_clients_cannot_reach_s3_all_goes_through_the_gateway(rekam_clean: LocalStack) -> None:
    with gateways_beside(Faults(rekam_clean), 1, REKAM_S3_PUBLIC_ENDPOINT="") as (gateway,):
        proxied = Proxied(gateway.http)
        info = json.loads(proxied.raw("GET", "/api/3.0/mlflow/server-info").body)
        assert not info["multipart_uploads_enabled"]
        assert not info["multipart_downloads_enabled"]
        proxied.put("1/a", b"x")
        fields = json.dumps({"path": "a", "num_parts": 2, "upload_id": "x", "parts": []}).encode()
        for step in ("create", "complete", "abort"):
            refused = proxied.raw("POST", f"{ROOT}/mpu/{step}/1", fields, JSON)
            assert refused.error == (501, "NOT_IMPLEMENTED")
            assert refused.message.startswith(
                "Multipart upload is not supported for the current artifact repository"
            )
        refused = proxied.raw("GET", f"{ROOT}/presigned/1/a")
        assert refused.error == (501, "NOT_IMPLEMENTED")
        assert refused.message.startswith("Multipart download is not supported")


def test_without_artifacts_it_is_said(rekam_clean: LocalStack) -> None:
    with gateways_beside(Faults(rekam_clean), 1, REKAM_S3_BUCKET="") as (gateway,):
        proxied = Proxied(gateway.http)
        for refused in (proxied.put("1/a", b"x"), proxied.get("1/a"), proxied.delete("1/a")):
            assert refused.error == (503, "TEMPORARILY_UNAVAILABLE")


def direct(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    """To S3, at the url that was given out."""
    target = url.split("/", 3)[3]
    return Proxied(url).raw(method, f"/{target}", body, headers)
