"""Processes killed while clients log over REST: every value once, and a retry cures whatever they see."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.gateways import gateways_beside
from tests.support.mlflow_rest import Rest
from tests.support.rest_fleet import rest_fleet
from tests.support.stack import until

CLIENTS = 8
VICTIMS = ("gateway", "tracking-project", "tracking-serve", "nats", "postgres")


def test_each_killed_in_turn_loses_nothing_and_doubles_nothing(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    with rest_fleet(mortal_stack.http) as fleet:
        fleet.caught_up()
        for name in (*VICTIMS, "gateway"):
            before = faults.pids()[name]
            faults.kill(name)
            faults.all_ready({name: before})
            fleet.caught_up()
    assert fleet.check() > 0
    assert any(logger.repeated for logger in fleet.loggers)


def test_no_gateway_takes_points_for_a_run_once_its_delete_is_answered(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    metric: dict[str, Any] = {"key": "loss", "value": 1.0, "timestamp": 1}
    with (
        gateways_beside(Faults(mortal_stack), 1) as (beside,),
        Rest(mortal_stack.http) as one,
        Rest(beside.http) as other,
    ):
        for _ in range(20):
            run_id = one.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
            other.tell("runs/log-metric", run_id=run_id, **metric)
            one.tell("runs/delete", run_id=run_id)
            assert other.refused("runs/log-metric", run_id=run_id, **metric)[0] == 400
            other.tell("runs/restore", run_id=run_id)
            one.tell("runs/log-metric", run_id=run_id, **metric)


def test_versions_are_registered_once_whoever_is_killed(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    answered: dict[str, str] = {}
    stopped = threading.Event()

    def register(client: int) -> None:
        with Rest(mortal_stack.http) as rest:
            for number in itertools.count():
                if stopped.is_set():
                    return
                source = f"s3://bucket/{client}/{number}"
                try:
                    made = rest.tell("model-versions/create", name="Fraud", source=source)["model_version"]
                except (httpx.TransportError, AssertionError):
                    # Whether it was made is not known, and it is not sent again.
                    continue
                answered[source] = made["version"]

    def went_on() -> None:
        there = len(answered)
        until("versions are registered", lambda: len(answered) >= there + 2 * CLIENTS)

    with Rest(mortal_stack.http) as rest, ThreadPoolExecutor(CLIENTS) as clients:
        rest.tell("registered-models/create", name="Fraud")
        working = [clients.submit(register, number) for number in range(CLIENTS)]
        try:
            went_on()
            for name in ("registry-serve", "gateway", "nats"):
                before = faults.pids()[name]
                faults.kill(name)
                faults.all_ready({name: before})
                went_on()
        finally:
            stopped.set()
        for each in working:
            each.result()
        found = rest.ask("model-versions/search", order_by="version_number ASC")["model_versions"]
    assert [version["version"] for version in found] == [str(number + 1) for number in range(len(found))]
    there = {version["source"]: version["version"] for version in found}
    assert len(there) == len(found)
    assert answered.items() <= there.items()
