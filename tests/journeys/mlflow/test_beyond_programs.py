"""What MLflow's client does only when it is told to, or where it meets something that Rekam has not."""

from __future__ import annotations

import pytest

from rekam import Client
from rekam.registered import Protection
from rekam.testing import LocalStack
from tests.journeys.mlflow.conftest import Program

MIB = 1024 * 1024


def test_large_files_go_in_parts_past_the_gateway(program: Program) -> None:
    told = program(
        "transfer_in_parts",
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(6 * MIB),
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 * MIB),
        MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE=str(6 * MIB),
        MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE=str(5 * MIB),
    )
    assert told == {
        "large": True,
        "small": True,
        "listed": [["some folder/large.bin", 13 * MIB + 17]],
        "created": [200],
        "completed": [200],
        "put through the server": [200],
        "presigned": [200, 200],
    }


@pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)
def test_a_program_that_traces_goes_on(program: Program) -> None:
    told = program("traces", MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    assert told["doubled"] == [0, 2, 4]
    assert told["metrics"] == {"doubled": 6.0}
    assert told["status"] == "FINISHED"
    assert told["searched"] in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED")


@pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)
def test_events_that_mlflow_does_not_know_stay_out_of_its_sight(
    program: Program, rekam_clean: LocalStack, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--reference"):
        pytest.skip("MLflow knows all its events")
    client = Client(f"grpc://{rekam_clean.grpc}")
    own = "model_version_stage.transitioned"
    url = "http://127.0.0.1:9/hook"
    both = client.create_webhook("both", url, ["model_version.created", own])
    alone = client.create_webhook("alone", url, [own])
    told = program("hidden_webhooks", BOTH=both.webhook_id, ALONE=alone.webhook_id)
    assert told == {
        "listed": [["both", ["model_version.created"]]],
        "updated": ["prompt.created"],
        "alone": ["RESOURCE_DOES_NOT_EXIST"] * 4,
    }
    assert sorted(client.get_webhook(both.webhook_id).events) == [own, "prompt.created"]
    assert client.get_webhook(alone.webhook_id) == alone


@pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)
def test_who_has_no_role_is_told_that_a_model_is_protected(
    program: Program, rekam_clean: LocalStack, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--reference"):
        pytest.skip("MLflow protects nothing")
    client = Client(f"grpc://{rekam_clean.grpc}")
    protection = Protection(stages=("Production",), aliases=("champion",), roles=("lead",))
    client.create_registered_model("guarded", protection=protection)
    client.create_model_version("guarded", "s3://models/1")
    told = program("protected", MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    assert told == {
        "promote": "PERMISSION_DENIED",
        "move": "PERMISSION_DENIED",
        "rename": "PERMISSION_DENIED",
        "stage": "done",
        "describe": "done",
    }
