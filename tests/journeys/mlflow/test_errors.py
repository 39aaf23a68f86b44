"""What MLflow refuses, Rekam refuses with the same code, and with a text that begins as MLflow's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.journeys.mlflow.conftest import Answers, Program

# MLflow answers these with a 500: its client tries again, and hides why.
REFUSED_AT_ONCE = {
    "experiment: rename a deleted one": "INVALID_STATE",
    "runs, filter: unquoted in a list": "INVALID_PARAMETER_VALUE",
    "models: bad token": "INVALID_PARAMETER_VALUE",
}
# Where Rekam says in words of its own which rule was broken.
OWN_WORDS = {
    "experiment: long name",
    "experiment: long tag",
    "experiment: restore an active one",
    "metric: long key",
    "models, filter: unknown attribute",
    "param: long key",
    "runs, filter: attribute is null",
    "runs, filter: list for a name",
    "runs, filter: metric is null",
    "runs, filter: status in a list",
    "runs: too many",
    "tag: long key",
}
# What follows these is a list, a value, or the words of MLflow's database.
_BEGINNING = re.compile(
    r".*?(?:already exists\.|Valid keys are |Valid values are |not one of |filter string: |page token, "
    r"|multiple expression|Got value )"
)


@pytest.fixture
def told(program: Program) -> dict[str, Any]:
    """Code and text of each call that is refused."""
    answers: dict[str, Any] = program("errors", MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    return answers


@pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)
def test_codes(told: dict[str, Any], answers_of_mlflow: Answers, tracking_uri: str) -> None:
    expected = answers_of_mlflow("errors", told)
    assert told.keys() == expected.keys()
    by_plugin = tracking_uri.startswith("rekam:")
    for name, answer in expected.items():
        if not isinstance(answer, list):
            assert told[name] == answer, name
            continue
        code = REFUSED_AT_ONCE.get(name, answer[0])
        assert told[name][0] == (
            "INVALID_PARAMETER_VALUE" if by_plugin and code == "INVALID_STATE" else code
        ), name
        if not by_plugin and name not in OWN_WORDS and name not in REFUSED_AT_ONCE:
            beginning = _BEGINNING.match(answer[1])
            assert told[name][1].startswith(beginning[0] if beginning else answer[1].rstrip(".")), name
