"""Many clients at once, and two on one run: no error, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.gateways import gateways_beside
from tests.support.mlflow_rest import Rest

CLIENTS = 64
ROUNDS = 4


def test_many_clients_lose_nothing(rest: Rest) -> None:
    experiment = rest.tell("experiments/create", name="crowd")["experiment_id"]

    def work(number: int) -> str:
        with Rest(str(rest.base_url)) as client:
            run_id = client.tell("runs/create", experiment_id=experiment, run_name=f"r{number}")["run"][
                "info"
            ]["run_id"]
            for step in range(ROUNDS):
                point = {"key": "loss", "value": number + step, "timestamp": step, "step": step}
                client.tell("runs/log-metric", run_id=run_id, **point)
                client.tell(
                    "runs/log-batch",
                    run_id=run_id,
                    metrics=[{**point, "key": f"m{metric}"} for metric in range(10)],
                    params=[{"key": f"p{step}", "value": str(number)}],
                    tags=[{"key": "step", "value": str(step)}],
                )
                data = client.ask("runs/get", run_id=run_id)["run"]["data"]
                # A write is seen by the read that follows it.
                assert {metric["step"] for metric in data["metrics"]} == {step}
                assert len(data["params"]) == step + 1
            return str(run_id)

    with ThreadPoolExecutor(CLIENTS) as clients:
        runs = set(clients.map(work, range(CLIENTS)))
    found = rest.tell("runs/search", experiment_ids=[experiment])["runs"]
    assert {run["info"]["run_id"] for run in found} == runs
    for run in found:
        assert len(run["data"]["metrics"]) == 11
        assert len(run["data"]["params"]) == ROUNDS
    history = rest.ask("metrics/get-history", run_id=found[0]["info"]["run_id"], metric_key="loss")["metrics"]
    assert [point["step"] for point in history] == list(range(ROUNDS))


def test_two_clients_on_one_run_do_not_stand_in_each_others_way(rest: Rest) -> None:
    run_id = rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    rounds = 30

    def work(name: str) -> None:
        with Rest(str(rest.base_url)) as client:
            for step in range(rounds):
                metrics: list[dict[str, Any]] = [
                    {"key": key, "value": step, "timestamp": step, "step": step} for key in ("both", name)
                ]
                params = [{"key": f"{name}{step}", "value": "v"}, {"key": "both", "value": "same"}]
                client.tell("runs/log-batch", run_id=run_id, metrics=metrics, params=params)
                client.tell("runs/set-tag", run_id=run_id, key="last", value=name)
                client.tell("runs/update", run_id=run_id, status="RUNNING")

    with ThreadPoolExecutor(2) as clients:
        list(clients.map(work, ("a", "b")))
    data = rest.ask("runs/get", run_id=run_id)["run"]["data"]
    assert len(data["params"]) == 2 * rounds + 1
    for key in ("a", "b", "both"):
        history = rest.ask("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
        # Equal points of both count once.
        assert [point["step"] for point in history] == list(range(rounds))


def test_a_hundred_register_at_once_through_two_gateways(rest: Rest, rekam_clean: LocalStack) -> None:
    rest.tell("registered-models/create", name="Fraud")
    with gateways_beside(Faults(rekam_clean), 1) as (other,):

        def register(number: int) -> Any:
            with Rest((str(rest.base_url), other.http)[number % 2]) as client:
                asked = {"name": "Fraud", "source": f"s3://bucket/{number}"}
                made = client.tell("model-versions/create", **asked)["model_version"]
                # What was answered is there for the next read.
                place = {"name": "Fraud", "version": made["version"]}
                assert client.ask("model-versions/get", **place)["model_version"] == made
                return made

        with ThreadPoolExecutor(100) as clients:
            made = list(clients.map(register, range(100)))
    assert sorted(int(version["version"]) for version in made) == list(range(1, 101))
    assert len({version["source"] for version in made}) == 100
    found = rest.ask("model-versions/search", order_by="version_number ASC")["model_versions"]
    assert found == sorted(made, key=lambda version: int(version["version"]))
