"""A stack of several: two gateways on one address, two of tracking's processes, three servers of the log."""

from __future__ import annotations

import rekam
from rekam.testing import LocalStack
from tests.support import stack as support
from tests.support.faults import Faults
from tests.support.gateways import answers, gateways_beside
from tests.support.stack import until

REPLICAS = ("gateway", "tracking-serve", "tracking-project")


def test_there_are_as_many_as_were_asked_for(replicated_stack: LocalStack) -> None:
    names = {process.name for process in support.described(replicated_stack.grpc).processes}
    assert {f"{name}{suffix}" for name in REPLICAS for suffix in ("", "-2")} <= names
    assert {"nats", "nats-2", "nats-3"} <= names


def test_reset_leaves_all_of_them_as_new(replicated_stack: LocalStack) -> None:
    experiment = rekam.Client(replicated_stack.tracking_uri).create_experiment("gone soon")
    replicated_stack.reset()
    # As many as make it likely that each serve process answered.
    for _ in range(4):
        found = rekam.Client(replicated_stack.tracking_uri).search_experiments()
        assert [each.name for each in found] == ["Default"]
    assert rekam.Client(replicated_stack.tracking_uri).create_experiment("gone soon") == experiment


def test_either_gateway_answers_both_doors_alone(replicated_stack: LocalStack) -> None:
    host, port = replicated_stack.http.removeprefix("http://").split(":")
    faults = Faults(replicated_stack)
    for name in ("gateway", "gateway-2"):
        with faults.gone(name):
            # The first connection may still have been meant for the dead one.
            until("the HTTP door answers", lambda: answers(host, int(port), "/health"))
            rekam.Client(replicated_stack.tracking_uri).search_experiments()
        faults.all_ready()


def test_what_one_gateway_acknowledged_is_read_through_another(replicated_stack: LocalStack) -> None:
    replicated_stack.reset()
    with gateways_beside(Faults(replicated_stack), 2) as gateways:
        one, other = (rekam.Client(gateway.uri) for gateway in gateways)
        for number in range(30):
            experiment_id = one.create_experiment(f"experiment {number}")
            run_id = other.create_run(experiment_id, run_name=f"run {number}").info.run_id
            assert one.get_run(run_id).info.run_name == f"run {number}"
            one.log_metric(run_id, "loss", number, step=number)
            one.flush()
            assert list(other.get_history(run_id, "loss").values) == [number]
            other.log_param(run_id, "depth", number)
            other.set_tag(run_id, "kind", "even" if number % 2 == 0 else "odd")
            other.flush()
            found = one.search_runs([experiment_id], f"params.depth = '{number}' and metrics.loss = {number}")
            assert [run.info.run_id for run in found] == [run_id]
            one.delete_run(run_id)
            assert other.search_runs([experiment_id]) == []
            one, other = other, one


def test_the_projection_goes_on_when_either_of_its_processes_is_gone(replicated_stack: LocalStack) -> None:
    replicated_stack.reset()
    faults = Faults(replicated_stack)
    client = rekam.Client(replicated_stack.tracking_uri)
    run_id = client.create_run("0").info.run_id
    for number, name in enumerate(("tracking-project", "tracking-project-2")):
        with faults.gone(name):
            client.log_metric(run_id, "loss", number, step=number)
            client.flush()
            until(
                "the other one has taken over",
                lambda number=number: _steps(client, run_id) == list(range(number + 1)),  # type: ignore[misc]
            )
        faults.all_ready()


def _steps(client: rekam.Client, run_id: str) -> list[int]:
    try:
        return [int(step) for step in client.get_history(run_id, "loss").steps]
    except rekam.errors.Unavailable:
        return []  # not within a strong read's deadline
