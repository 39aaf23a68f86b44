"""A command whose answer was lost is sent again by the client, and carried out once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam.testing import LocalStack
from tests.support.lossy_gateway import LossyGateway
from tests.support.programs import Program


@pytest.fixture
def gateway(rekam_clean: LocalStack) -> Iterator[LossyGateway]:
    gateway = LossyGateway(rekam_clean.grpc)
    yield gateway
    gateway.stop()


def test_every_command_whose_answer_was_lost_is_carried_out_once(
    gateway: LossyGateway, tmp_path: Path
) -> None:
    out, _ = Program(
        gateway.uri,
        tmp_path,
        """
        client = rekam.Client()
        made = client.create_experiment("made")
        client.rename_experiment(made, "renamed")
        client.set_experiment_tag(made, "a", 1)
        client.delete_experiment_tag(made, "a")
        client.delete_experiment(made)
        client.restore_experiment(made)
        ensured = client.ensure_experiment("ensured").experiment_id
        run = client.create_run(made, run_name="one").info.run_id
        client.log_params(run, {"depth": 5})
        client.set_tags(run, {"a": 1})
        client.delete_tag(run, "a")
        client.update_run(run, name="two")
        client.set_terminated(run)
        client.delete_run(run)
        client.restore_run(run)
        found = client.search_runs([made, ensured])
        experiment = client.get_experiment(made)
        print(json.dumps({
            "experiments": sorted(each.name for each in client.search_experiments()),
            "experiment": [experiment.name, experiment.tags, experiment.lifecycle_stage],
            "runs": [[each.info.run_id == run, each.info.run_name, each.info.status] for each in found],
            "params": found[0].data.params,
            "tags": sorted(found[0].data.tags),
        }))
        """,
    ).finish()
    assert json.loads(out) == {
        "experiments": ["Default", "ensured", "renamed"],
        "experiment": ["renamed", {}, "active"],
        "runs": [[True, "two", "FINISHED"]],
        "params": {"depth": "5"},
        "tags": ["mlflow.runName"],
    }
    assert {"CreateExperiment", "CreateRun", "DeleteTags", "RestoreExperiment"} <= set(gateway.calls)
    assert min(gateway.calls.values()) == 2
