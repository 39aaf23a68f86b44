"""Requests made from the published schema, right and wrong: each is answered, none with a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import response_schema_conformance

from rekam_gateway.http.app import ENDPOINTS
from rekam_gateway.http.openapi import describe
from tests.support.mlflow_rest import Rest

DOCUMENT = describe(ENDPOINTS)
# What takes away the things that the others need comes last.
OPERATIONS: list[Any] = sorted(
    (
        each.ok()  # type: ignore[union-attr]
        for each in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    ),
    key=lambda operation: operation.method == "delete" or operation.path.endswith(("/delete", "/rename")),
)


@pytest.fixture(scope="module")
def there(door: Rest) -> dict[str, str]:
    """Things that exist, so that a request gets past the question whether they do."""
    experiment = door.tell("experiments/create", name="schema")["experiment_id"]
    run = door.tell("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    model = door.tell("logged-models", experiment_id=experiment)["model"]["info"]["model_id"]
    door.tell("registered-models/create", name="schema")
    version = door.tell("model-versions/create", name="schema", source="s3://bucket/model")
    webhook = door.tell(
        "webhooks",
        name="schema",
        url="http://127.0.0.1:9/",
        events=[{"entity": "MODEL_VERSION", "action": "CREATED"}],
    )
    return {
        "experiment_id": experiment,
        "run_id": run,
        "model_id": model,
        "name": "schema",
        "webhook_id": webhook["webhook"]["webhook_id"],
        "version": version["model_version"]["version"],
    }


def test_the_schema_is_published(door: Rest) -> None:
    assert door.ask("openapi.json") == DOCUMENT


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_request_is_answered(operation: Any, door: Rest, there: dict[str, str]) -> None:
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong, known=st.booleans())
    def answered(case: Any, known: bool) -> None:
        for fields in (case.path_parameters, case.query, case.body):
            if known and isinstance(fields, dict):
                fields.update((name, id) for name, id in there.items() if name in fields)
        response = case.call(base_url=str(door.base_url))
        # 501: what this deployment does not have.
        assert response.status_code < 500 or response.status_code == 501, response.text
        if response.status_code == 200:
            case.validate_response(response, checks=[response_schema_conformance])
        elif response.status_code != 403:
            assert response.json()["error_code"], response.text

    answered()
