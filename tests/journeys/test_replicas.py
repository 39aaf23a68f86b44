"""A stack of several: two gateways on one address, two of tracking's processes, three servers of the log."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

import rekam
from rekam.testing import LocalStack, running_stack
from tests.support import stack as support
from tests.support.faults import Faults

REPLICAS = ("gateway", "tracking-serve", "tracking-project")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    data = tmp_path_factory.mktemp("several")
    with running_stack(data, arguments=("--replicas", "2", "--nats-nodes", "3")) as stack:
        yield stack


def test_there_are_as_many_as_were_asked_for(several: LocalStack) -> None:
    names = {process.name for process in support.described(several.grpc).processes}
    assert {f"{name}{suffix}" for name in REPLICAS for suffix in ("", "-2")} <= names
    assert {"nats", "nats-2", "nats-3"} <= names


def test_reset_leaves_all_of_them_as_new(several: LocalStack) -> None:
    experiment = rekam.Client(several.tracking_uri).create_experiment("gone soon")
    several.reset()
    # As many as make it likely that each serve process answered.
    for _ in range(4):
        found = rekam.Client(several.tracking_uri).search_experiments()
        assert [each.name for each in found] == ["Default"]
    assert rekam.Client(several.tracking_uri).create_experiment("gone soon") == experiment


def test_either_gateway_answers_both_doors_alone(several: LocalStack) -> None:
    host, port = several.http.removeprefix("http://").split(":")
    faults = Faults(several)
    for name in ("gateway", "gateway-2"):
        with faults.gone(name):
            door = http.client.HTTPConnection(host, int(port), timeout=10)
            door.request("GET", "/health")
            assert door.getresponse().status == 200
            door.close()
            rekam.Client(several.tracking_uri).search_experiments()
        faults.all_ready()
