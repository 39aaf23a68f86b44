"""experiments/* as MLflow's clients know it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

INVALID = "INVALID_PARAMETER_VALUE"
MISSING = "RESOURCE_DOES_NOT_EXIST"
TAKEN = "RESOURCE_ALREADY_EXISTS"


def created(rest: Rest, name: str, **more: Any) -> str:
    id = rest.tell("experiments/create", name=name, **more)["experiment_id"]
    assert isinstance(id, str)
    return id


def described(rest: Rest, id: str) -> dict[str, Any]:
    found: dict[str, Any] = rest.ask("experiments/get", experiment_id=id)["experiment"]
    return found


def test_the_default_experiment_is_there_from_the_start(rest: Rest) -> None:
    default = described(rest, "0")
    assert default["creation_time"] == default["last_update_time"]
    del default["creation_time"], default["last_update_time"]
    # No tags: the field is absent.
    assert default == {
        "experiment_id": "0",
        "name": "Default",
        "artifact_location": "mlflow-artifacts:/0",
        "lifecycle_stage": "active",
    }


def test_an_experiment_is_read_as_it_was_created(rest: Rest) -> None:
    tags = [{"key": "team", "value": "prices"}, {"key": "empty", "value": ""}]
    id = created(rest, "Häuser ☃", artifact_location="s3://bucket/there", tags=tags)
    assert id == "1"
    found = described(rest, id)
    assert found == rest.ask("experiments/get-by-name", experiment_name="Häuser ☃")["experiment"]
    assert found["artifact_location"] == "s3://bucket/there"
    assert sorted(found["tags"], key=lambda tag: str(tag["key"]), reverse=True) == tags


def test_what_there_is_not(rest: Rest) -> None:
    assert rest.refused("experiments/get", "GET", experiment_id="77") == (
        404,
        MISSING,
        "No Experiment with id=77 exists",
    )
    assert rest.refused("experiments/get", "GET", experiment_id="abc") == (
        400,
        INVALID,
        "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.",
    )
    assert rest.refused("experiments/get-by-name", "GET", experiment_name="x") == (
        404,
        MISSING,
        "Could not find experiment with name 'x'",
    )


def test_a_name_stays_taken_and_may_change(rest: Rest) -> None:
    id = created(rest, "first")
    created(rest, "second")
    assert rest.refused("experiments/create", name="first")[:2] == (400, TAKEN)
    assert rest.refused("experiments/update", experiment_id=id, new_name="second")[:2] == (400, TAKEN)
    assert rest.tell("experiments/update", experiment_id=id, new_name="first") == {}
    before = described(rest, id)
    assert rest.tell("experiments/update", experiment_id=id, new_name="third") == {}
    after = described(rest, id)
    assert after["name"] == "third"
    assert after["last_update_time"] > before["last_update_time"]
    assert rest.refused("experiments/update", experiment_id=id)[2].startswith(
        "Missing value for required parameter 'new_name'."
    )


def test_deletion_and_restoration_take_the_runs_along(rest: Rest) -> None:
    id = created(rest, "gone")
    runs = [rest.tell("runs/create", experiment_id=id)["run"]["info"]["run_id"] for _ in range(2)]
    rest.tell("runs/delete", run_id=runs[0])
    assert rest.tell("experiments/delete", experiment_id=id) == {}
    assert described(rest, id)["lifecycle_stage"] == "deleted"
    assert rest.ask("experiments/get-by-name", experiment_name="gone")["experiment"]["experiment_id"] == id
    assert rest.refused("experiments/delete", experiment_id=id)[:2] == (404, MISSING)
    assert rest.refused("experiments/create", name="gone")[:2] == (400, TAKEN)
    message = f"The experiment {id} must be in the 'active' state. Current state is deleted."
    assert rest.refused("runs/create", experiment_id=id) == (400, INVALID, message)
    tag = {"experiment_id": id, "key": "k", "value": "v"}
    assert rest.refused("experiments/set-experiment-tag", **tag) == (400, INVALID, message)
    assert rest.refused("experiments/delete-experiment-tag", experiment_id=id, key="k")[:2] == (400, INVALID)
    # MLflow says 500: its clients would send it again for minutes.
    assert rest.refused("experiments/update", experiment_id=id, new_name="x") == (
        400,
        "INVALID_STATE",
        "Cannot rename a non-active experiment.",
    )
    for run_id in runs:
        assert rest.ask("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    assert rest.tell("experiments/restore", experiment_id=id) == {}
    assert rest.refused("experiments/restore", experiment_id=id)[:2] == (404, MISSING)
    for run_id in runs:
        assert rest.ask("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "active"


def test_tags_are_set_and_deleted(rest: Rest) -> None:
    id = created(rest, "tagged")
    for key, value in (("b", "1"), ("a", ""), ("b", "2")):
        assert rest.tell("experiments/set-experiment-tag", experiment_id=id, key=key, value=value) == {}
    assert described(rest, id)["tags"] == [{"key": "a", "value": ""}, {"key": "b", "value": "2"}]
    assert rest.tell("experiments/delete-experiment-tag", experiment_id=id, key="b") == {}
    assert described(rest, id)["tags"] == [{"key": "a", "value": ""}]
    code, error, message = rest.refused("experiments/set-experiment-tag", experiment_id=id, key="a//b")
    assert (code, error) == (400, INVALID)
    assert message.startswith(
        "Invalid value \"a//b\" for parameter 'key' supplied: Names may be treated as files in certain "
        "cases, and must not resolve to other names when treated as such. This name would resolve to 'a/b'"
    )
    too_long = "v" * 5_001
    refusal = rest.refused("experiments/set-experiment-tag", experiment_id=id, key="k", value=too_long)
    assert refusal[:2] == (400, INVALID)


@pytest.mark.parametrize(
    ("field", "value"), [("name", 5), ("artifact_location", ["a"]), ("tags", {"key": "a"}), ("tags", [1])]
)
def test_a_value_of_the_wrong_type_is_named(door: Rest, field: str, value: object) -> None:
    code, error, message = door.refused("experiments/create", "POST", **{"name": "typed", field: value})
    assert (code, error) == (400, INVALID)
    assert message.startswith("Invalid value ")
    assert f"for parameter '{field}" in message
    assert " supplied:  Hint: Value was of type '" in message


def test_search_by_both_methods_with_filter_order_and_pages(rest: Rest) -> None:
    ids = [created(rest, f"run {number}", tags=[{"key": "n", "value": str(number)}]) for number in range(5)]
    rest.tell("experiments/delete", experiment_id=ids[0])

    def found(answer: dict[str, Any]) -> list[str]:
        return [each["experiment_id"] for each in answer.get("experiments", [])]

    # Newest first; the deleted one only when asked for.
    assert found(rest.tell("experiments/search", max_results=10)) == [*ids[:0:-1], "0"]
    assert found(rest.ask("experiments/search", max_results="10", view_type="DELETED_ONLY")) == ids[:1]
    assert (
        found(rest.tell("experiments/search", max_results=10, view_type=3, filter="name LIKE 'run%'"))
        == (ids[::-1])
    )
    assert found(rest.ask("experiments/search", max_results=9, filter="tags.n = '3'")) == ids[3:4]
    order = ["name DESC", "experiment_id ASC"]
    first = rest.ask("experiments/search", max_results=3, order_by=order)
    assert found(first) == [ids[4], ids[3], ids[2]]
    rest_of_it = rest.ask(
        "experiments/search", max_results=3, order_by=order, page_token=first["next_page_token"]
    )
    assert found(rest_of_it) == [ids[1], "0"]
    assert "next_page_token" not in rest_of_it
    assert "next_page_token" not in rest.tell("experiments/search", max_results=5)
    assert rest.tell("experiments/search", max_results=5, filter="name = 'nothing'") == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
        (
            {"max_results": 50_001},
            "Invalid value 50001 for parameter 'max_results' supplied. It must be at most",
        ),
        (
            {"max_results": "x"},
            "Invalid value \"x\" for parameter 'max_results' supplied:  Hint: Value was of",
        ),
        ({"max_results": 1, "page_token": "x"}, "Invalid page token, "),
        ({"max_results": 1, "filter": "x.y = 'z'"}, "Invalid entity type 'x'."),
        ({"max_results": 1, "filter": "name > 'z'"}, "Invalid comparator '>' not one of "),
        ({"max_results": 1, "order_by": ["nope"]}, "Invalid attribute key 'nope' specified. Valid keys are "),
        (
            {"max_results": 1, "view_type": "NOPE"},
            "Invalid value \"NOPE\" for parameter 'view_type' supplied:",
        ),
    ],
)
def test_a_wrong_search_is_explained(door: Rest, fields: dict[str, Any], message: str) -> None:
    code, error, said = door.refused("experiments/search", **fields)
    assert (code, error) == (400, INVALID)
    assert said.startswith(message)
