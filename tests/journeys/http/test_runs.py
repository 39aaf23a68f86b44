"""runs/*: creation, reading, changes and search, as MLflow's clients know them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

INVALID = "INVALID_PARAMETER_VALUE"
MISSING = "RESOURCE_DOES_NOT_EXIST"


@pytest.fixture
def experiment(rest: Rest) -> str:
    id: str = rest.tell("experiments/create", name="runs")["experiment_id"]
    return id


def created(rest: Rest, experiment: str, **more: Any) -> str:
    id = rest.tell("runs/create", experiment_id=experiment, **more)["run"]["info"]["run_id"]
    assert isinstance(id, str)
    return id


def info(rest: Rest, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = rest.ask("runs/get", run_id=run_id)["run"]["info"]
    return found


def data(rest: Rest, run_id: str, what: str) -> dict[str, str]:
    return {
        each["key"]: each["value"]
        for each in rest.ask("runs/get", run_id=run_id)["run"]["data"].get(what, [])
    }


def test_a_run_is_read_as_it_was_created(rest: Rest, experiment: str) -> None:
    tags = [{"key": "mlflow.user", "value": "ada"}, {"key": "note", "value": ""}]
    run = rest.tell(
        "runs/create", experiment_id=experiment, user_id="ada", start_time=123, run_name="forest", tags=tags
    )["run"]
    run_id = run["info"]["run_id"]
    assert re.fullmatch("[0-9a-f]{32}", run_id)
    assert run == {
        "info": {
            "run_uuid": run_id,
            "run_id": run_id,
            "experiment_id": experiment,
            "run_name": "forest",
            "user_id": "ada",
            "status": "RUNNING",
            "start_time": 123,
            "artifact_uri": f"mlflow-artifacts:/{experiment}/{run_id}/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {"tags": [{"key": "mlflow.runName", "value": "forest"}, *tags]},
        "inputs": {},
        "outputs": {},
    }
    assert rest.ask("runs/get", run_id=run_id)["run"] == run
    assert rest.ask("runs/get", run_uuid=run_id)["run"] == run
    assert rest.get("/ajax-api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"] == run


def test_a_run_always_has_a_name(rest: Rest, experiment: str) -> None:
    generated = created(rest, experiment)
    assert re.fullmatch(r"[a-z]+-[a-z]+-[0-9]+", info(rest, generated)["run_name"])
    assert data(rest, generated, "tags") == {"mlflow.runName": info(rest, generated)["run_name"]}
    name = [{"key": "mlflow.runName", "value": "tagged"}]
    assert info(rest, created(rest, experiment, tags=name))["run_name"] == "tagged"
    assert info(rest, created(rest, experiment, tags=name, run_name="tagged"))["run_name"] == "tagged"
    code, error, message = rest.refused("runs/create", experiment_id=experiment, tags=name, run_name="other")
    assert (code, error) == (400, INVALID)
    assert message.startswith("Both 'run_name' argument and 'mlflow.runName' tag are specified")


def test_name_and_tag_stay_in_step(rest: Rest, experiment: str) -> None:
    run_id = created(rest, experiment, run_name="one")
    rest.tell("runs/update", run_id=run_id, run_name="two")
    assert data(rest, run_id, "tags")["mlflow.runName"] == "two"
    rest.tell("runs/set-tag", run_id=run_id, key="mlflow.runName", value="three")
    assert info(rest, run_id)["run_name"] == "three"
    # Empty names change nothing.
    rest.tell("runs/update", run_id=run_id, run_name="")
    rest.tell("runs/set-tag", run_id=run_id, key="mlflow.runName", value="")
    assert info(rest, run_id)["run_name"] == "three"
    rest.tell("runs/delete-tag", run_id=run_id, key="mlflow.runName")
    assert info(rest, run_id)["run_name"] == "three"
    assert data(rest, run_id, "tags") == {}


def test_an_update_changes_what_it_names(rest: Rest, experiment: str) -> None:
    run_id = created(rest, experiment, start_time=5)
    updated = rest.tell("runs/update", run_id=run_id, status="FINISHED", end_time="9")["run_info"]
    assert (updated["status"], updated["end_time"]) == ("FINISHED", 9)
    assert updated == info(rest, run_id)
    # By number; null is absent; the old name of the id.
    updated = rest.tell("runs/update", run_uuid=run_id, status=1, end_time=None)["run_info"]
    assert (updated["status"], updated["end_time"]) == ("RUNNING", 9)
    assert "end_time" not in rest.tell("runs/update", run_id=run_id, end_time=0)["run_info"]
    assert rest.tell("runs/update", run_id=run_id)["run_info"] == info(rest, run_id)
    code, error, message = rest.refused("runs/update", run_id=run_id, status="DONE")
    assert (code, error) == (400, INVALID)
    assert message.startswith("Invalid value \"DONE\" for parameter 'status' supplied:")


def test_params_are_written_once(rest: Rest, experiment: str) -> None:
    run_id = created(rest, experiment)
    for value in ("1", "1"):
        assert rest.tell("runs/log-parameter", run_id=run_id, key="depth", value=value) == {}
    assert rest.refused("runs/log-parameter", run_id=run_id, key="depth", value="2") == (
        400,
        INVALID,
        "Changing param values is not allowed. Param with key='depth' was already logged with value='1' for "
        f"run ID='{run_id}'. Attempted logging new value '2'.",
    )
    rest.tell("runs/log-parameter", run_id=run_id, key="empty", value="")
    rest.tell("runs/log-parameter", run_id=run_id, key="none")
    # What does not fit is cut; the same long value again is the same value.
    for _ in range(2):
        rest.tell("runs/log-parameter", run_id=run_id, key="long", value="ä" * 6_001)
    assert data(rest, run_id, "params") == {"depth": "1", "empty": "", "none": "", "long": "ä" * 6_000}


def test_tags_are_set_and_deleted(rest: Rest, experiment: str) -> None:
    run_id = created(rest, experiment, run_name="n")
    for key, value in (("a/b c.d-e:f_é", "1"), ("a/b c.d-e:f_é", "2"), ("long", "x" * 8_001), ("gone", "")):
        assert rest.tell("runs/set-tag", run_id=run_id, key=key, value=value) == {}
    assert rest.tell("runs/delete-tag", run_id=run_id, key="gone") == {}
    assert rest.refused("runs/delete-tag", run_id=run_id, key="gone") == (
        404,
        MISSING,
        f"No tag with name: gone in run with id {run_id}",
    )
    found = data(rest, run_id, "tags")
    assert found == {"a/b c.d-e:f_é": "2", "long": "x" * 8_000, "mlflow.runName": "n"}


@pytest.mark.parametrize("path", ["runs/set-tag", "runs/log-parameter"])
@pytest.mark.parametrize("key", ["a//b", "../a", "/a", "a/", ".", "a*", "a\n", "k" * 251])
def test_keys_must_be_clean(door: Rest, path: str, key: str) -> None:
    run_id = created(door, "0")
    code, error, message = door.refused(path, run_id=run_id, key=key, value="v")
    assert (code, error) == (400, INVALID)
    assert "for parameter 'key' supplied: " in message


def test_a_deleted_run_is_read_and_not_written(rest: Rest, experiment: str) -> None:
    run_id = created(rest, experiment)
    for _ in range(2):
        assert rest.tell("runs/delete", run_id=run_id) == {}
    assert info(rest, run_id)["lifecycle_stage"] == "deleted"
    message = f"The run {run_id} must be in the 'active' state. Current state is deleted."
    writes: list[tuple[str, dict[str, Any]]] = [
        ("runs/set-tag", {"key": "k", "value": "v"}),
        ("runs/delete-tag", {"key": "mlflow.runName"}),
        ("runs/log-parameter", {"key": "k", "value": "v"}),
        ("runs/update", {"status": "FAILED"}),
    ]
    for path, fields in writes:
        assert rest.refused(path, run_id=run_id, **fields) == (400, INVALID, message)
    for _ in range(2):
        assert rest.tell("runs/restore", run_id=run_id) == {}
    for path, fields in writes:
        rest.tell(path, run_id=run_id, **fields)


@pytest.mark.parametrize("run_id", ["nope", "0" * 32])
def test_a_run_that_there_is_not(door: Rest, run_id: str) -> None:
    answer = (404, MISSING, f"Run with id={run_id} not found")
    assert door.refused("runs/get", "GET", run_id=run_id) == answer
    for path in ("update", "delete", "restore"):
        assert door.refused(f"runs/{path}", run_id=run_id) == answer
    for path in ("set-tag", "delete-tag", "log-parameter"):
        assert door.refused(f"runs/{path}", run_id=run_id, key="k") == answer
    assert door.refused("runs/get", "GET")[2].startswith("Missing value for required parameter 'run_id'.")


def test_search_with_filter_order_and_pages(rest: Rest, experiment: str) -> None:
    runs = [created(rest, experiment, start_time=number + 1, run_name=f"r{number}") for number in range(4)]
    for number, run_id in enumerate(runs):
        rest.tell("runs/log-parameter", run_id=run_id, key="depth", value=str(number % 2))
    rest.tell("runs/delete", run_id=runs[3])

    def found(**fields: Any) -> list[str]:
        answer = rest.tell("runs/search", experiment_ids=[experiment], **fields)
        return [run["info"]["run_id"] for run in answer.get("runs", [])]

    # The latest start comes first.
    assert found() == runs[2::-1]
    assert found(run_view_type="ALL") == runs[::-1]
    assert found(run_view_type="DELETED_ONLY") == runs[3:]
    assert found(filter="params.depth = '0' AND attributes.run_name != 'r2'") == runs[:1]
    assert found(order_by=["params.depth DESC", "attributes.start_time"]) == [runs[1], runs[0], runs[2]]
    first = rest.tell("runs/search", experiment_ids=[experiment], max_results=2)
    assert rest.ask("runs/get", run_id=runs[2])["run"] == first["runs"][0]
    last = rest.tell(
        "runs/search", experiment_ids=[experiment], max_results=2, page_token=first["next_page_token"]
    )
    assert [run["info"]["run_id"] for run in last["runs"]] == runs[:1]
    assert "next_page_token" not in last
    assert rest.tell("runs/search") == {}
    assert rest.tell("runs/search", experiment_ids=["66666"]) == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"max_results": 0},
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
        ),
        ({"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied. "),
        ({"experiment_ids": "0"}, "Invalid value \"0\" for parameter 'experiment_ids' supplied:  Hint: "),
        ({"experiment_ids": ["a"]}, "Invalid experiment ID 'a'. Experiment ID must be a valid integer."),
        ({"page_token": "x"}, "Invalid page token, "),
        ({"filter": 5}, "Invalid value 5 for parameter 'filter' supplied:  Hint: Value was of type 'int'."),
        ({"filter": "metrics.m > 'a'"}, "Expected numeric value type for metric. Found 'a'"),
        (
            {"filter": "params.p = 1"},
            "Expected a quoted string value for parameter (e.g. 'my-value'). Got value",
        ),
        ({"run_view_type": "X"}, "Invalid value \"X\" for parameter 'run_view_type' supplied:"),
    ],
)
def test_a_wrong_search_is_explained(door: Rest, fields: dict[str, Any], message: str) -> None:
    code, error, said = door.refused("runs/search", **{"experiment_ids": ["0"], **fields})
    assert (code, error) == (400, INVALID)
    assert said.startswith(message)
