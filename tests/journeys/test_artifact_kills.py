"""The gateway, S3 and the artifacts service killed while files are on their way: nothing half is listed."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse

import pytest

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.objects import Objects, objects_of
from tests.support.proxied import Proxied
from tests.support.stack import until

MIB = 1024 * 1024
SIZE = 40 * MIB
CUT_OFF = (OSError, HTTPException)


@pytest.fixture
def faults(mortal_stack: LocalStack) -> Faults:
    mortal_stack.reset()
    return Faults(mortal_stack)


@pytest.fixture
def proxied(mortal_stack: LocalStack, faults: Faults) -> Proxied:
    return Proxied(mortal_stack.http)


@pytest.fixture
def objects(mortal_stack: LocalStack, faults: Faults) -> Objects:
    return objects_of(mortal_stack)


def half_sent(proxied: Proxied, objects: Objects, path: str, data: bytes) -> socket.socket:
    """An upload of which parts are in S3 already, and the last MiB is missing."""
    opened = proxied.begin_put(path, len(data))
    opened.sendall(data[:-MIB])
    until("parts are on their way", objects.uploads)
    return opened


@pytest.mark.parametrize("victim", ["gateway", "seaweed"])
def test_an_upload_that_a_kill_breaks_is_not_listed(
    proxied: Proxied, objects: Objects, faults: Faults, victim: str
) -> None:
    proxied.put("1/before", b"before")
    data = os.urandom(SIZE)
    whole = False
    with half_sent(proxied, objects, "1/a", data) as opened:
        before = faults.pids()
        faults.kill(victim)
        try:
            opened.sendall(data[-MIB:])
            answer = HTTPResponse(opened)
            answer.begin()
            # S3 may be back before the gateway gives up.
            whole = victim == "seaweed" and answer.status == 200
            assert whole or answer.status == 503, answer.read()
        except CUT_OFF:
            assert victim == "gateway"
    faults.all_ready({victim: before[victim]})
    assert proxied.listed("1") == {"before": 6} | ({"a": SIZE} if whole else {})
    assert proxied.get("1/before").body == b"before"
    # The same upload, sent again.
    assert proxied.put("1/a", data).status == 200
    assert proxied.get("1/a").body == data


@pytest.mark.parametrize("victim", ["gateway", "seaweed"])
def test_a_download_that_a_kill_breaks_never_ends_well(proxied: Proxied, faults: Faults, victim: str) -> None:
    data = os.urandom(SIZE)
    assert proxied.put("1/a", data).status == 200
    before = faults.pids()
    opened = proxied.begin_get("1/a")
    assert opened.read(MIB) == data[:MIB]
    faults.kill(victim)
    with pytest.raises(CUT_OFF):
        opened.read()
    faults.all_ready({victim: before[victim]})
    assert proxied.get("1/a").body == data


def test_without_s3_and_without_the_service_it_is_said(proxied: Proxied, faults: Faults) -> None:
    proxied.put("1/a", b"here")
    with faults.gone("seaweed"):
        for answer in (proxied.put("1/b", b"x"), proxied.get("1/a"), proxied.put("1/b", bytes(20 * MIB))):
            assert answer.error == (503, "TEMPORARILY_UNAVAILABLE")
            assert "S3 does not answer" in answer.message
        assert proxied.listed("1") == {"a": 4}
    faults.all_ready()
    before = faults.pids()
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(proxied.put, f"1/{number}", b"x") for number in range(8)]
        faults.kill("artifacts-serve")
    # What was sent while it was away waits for it, or may be sent again.
    assert {answer.result().status for answer in answers} <= {200, 503}
    faults.all_ready({"artifacts-serve": before["artifacts-serve"]})
    for number in range(8):
        assert proxied.put(f"1/{number}", b"x").status == 200
    assert len(proxied.listed("1")) == 9
