"""What MLflow refuses, Rekam refuses with the same code, and with a text that begins as MLflow's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from tests.journeys.mlflow.conftest import Answers, Program

INVALID = "INVALID_PARAMETER_VALUE"


@dataclass(frozen=True)
class Differences:
    """What is not as MLflow has it, of a program's calls.

    at_once: the codes of what MLflow answers with a 500, so that its client tries again, and hides why.
    own_words: where Rekam says in words of its own which rule was broken. refused, served: here only.
    """

    at_once: dict[str, str] = field(default_factory=dict)
    own_words: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    served: frozenset[str] = frozenset()


DIFFERENCES = {
    "errors": Differences(
        at_once={
            "experiment: rename a deleted one": "INVALID_STATE",
            "runs, filter: unquoted in a list": INVALID,
            "models: bad token": INVALID,
        },
        own_words=frozenset(
            {
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
        ),
    ),
    "errors_registry": Differences(
        at_once={
            "stage: archive for none": INVALID,
            "stage: archive for archived": INVALID,
            "versions, filter: unquoted in a list": INVALID,
            "models, order: twice": INVALID,
            "versions, order: twice": INVALID,
        },
        own_words=frozenset(
            {
                "alias latest: set",
                "alias LATEST: set",
                "alias: latest of none",
                "model tag: long key",
                "model tag: long value",
                "model: bad tag",
                "models, filter: comparator of a name",
                "models, filter: comparator of a tag",
                "models, filter: no value",
                "models, filter: number for a name",
                "models, filter: unknown entity",
                "models, order: unknown",
                "models: too many",
                "source: no model's uri",
                "source: unknown logged model",
                "version of an unknown model",
                "version tag: long value",
                "version: bad tag",
                "versions, filter: LIKE of a number",
                "versions, filter: comparator of a name",
                "versions, filter: comparator of a tag",
                "versions, filter: number for a name",
                "versions, filter: text for a number",
                "versions, filter: unknown entity",
                "versions: fewer than none",
                "versions: none",
                "versions: too many",
            }
        ),
        refused=frozenset({"models: none", "models: fewer than none"}),
        served=frozenset({"models, filter: tag is null", "versions, filter: tag is null"}),
    ),
    "errors_webhooks": Differences(
        own_words=frozenset({"webhook: bad name", "webhook: long name", "webhook: update with a bad name"})
    ),
}
# What follows these is a list, a value, or the words of MLflow's database.
_BEGINNING = re.compile(
    r".*?(?:already exists\.|Valid keys are |Valid values are |not one of |filter string: |page token, "
    r"|multiple expression|Got value |Allowed schemes are: )"
)


@pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)
@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_mlflow_refuses(
    name: str, program: Program, answers_of_mlflow: Answers, tracking_uri: str
) -> None:
    differences = DIFFERENCES[name]
    told = program(name, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    expected = answers_of_mlflow(name, told)
    if told == expected:
        return
    assert told.keys() == expected.keys()
    by_plugin = tracking_uri.startswith("rekam:")
    for call, answer in expected.items():
        if call in differences.served:
            assert told[call] == "no error", call
        elif call in differences.refused:
            assert told[call][0] == INVALID, call
        elif not isinstance(answer, list) or not answer:
            assert told[call] == answer, call
        else:
            code = differences.at_once.get(call, answer[0])
            assert told[call][0] == (INVALID if by_plugin and code == "INVALID_STATE" else code), call
            if not by_plugin and call not in differences.own_words and call not in differences.at_once:
                beginning = _BEGINNING.match(answer[1])
                assert told[call][1].startswith(beginning[0] if beginning else answer[1].rstrip(".")), call
