"""What MLflow's client does only when it is told to, or where it meets something that Rekam has not."""

from __future__ import annotations

import pytest

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
