"""registered-models/* and model-versions/* over HTTP: a model from its creation to its deletion."""

from __future__ import annotations

from typing import Any

from tests.support.mlflow_rest import Rest

SOURCE = "s3://bucket/model"


def create(rest: Rest, name: str = "Fraud", **fields: Any) -> Any:
    return rest.tell("registered-models/create", name=name, **fields)["registered_model"]


def register(rest: Rest, name: str = "Fraud", source: str = SOURCE, **fields: Any) -> Any:
    return rest.tell("model-versions/create", name=name, source=source, **fields)["model_version"]


def get(rest: Rest, name: str = "Fraud") -> Any:
    return rest.ask("registered-models/get", name=name)["registered_model"]


def get_version(rest: Rest, version: str, name: str = "Fraud") -> Any:
    return rest.ask("model-versions/get", name=name, version=version)["model_version"]


def move(rest: Rest, version: str, stage: str, **fields: Any) -> Any:
    return rest.tell("model-versions/transition-stage", name="Fraud", version=version, stage=stage, **fields)[
        "model_version"
    ]


def test_a_model_from_its_creation_to_its_deletion(rest: Rest) -> None:
    bare = create(rest, "Bare")
    moment = bare["creation_timestamp"]
    assert bare == {"name": "Bare", "creation_timestamp": moment, "last_updated_timestamp": moment}
    model = create(rest, description="finds fraud", tags=[{"key": "team", "value": "risk"}, {"key": "empty"}])
    assert model == {
        "name": "Fraud",
        "creation_timestamp": model["creation_timestamp"],
        "last_updated_timestamp": model["creation_timestamp"],
        "description": "finds fraud",
        "tags": [{"key": "empty", "value": ""}, {"key": "team", "value": "risk"}],
    }
    assert get(rest) == model
    renamed = rest.tell("registered-models/rename", name="Fraud", new_name="Risk")["registered_model"]
    assert renamed["name"] == "Risk"
    assert renamed["last_updated_timestamp"] >= model["last_updated_timestamp"]
    assert get(rest, "Risk") == renamed
    assert rest.refused("registered-models/get", "GET", name="Fraud")[0] == 404
    updated = rest.tell("registered-models/update", "PATCH", name="Risk", description="new")
    assert updated["registered_model"]["description"] == "new"
    # What is not said is cleared.
    assert (
        "description" not in rest.tell("registered-models/update", "PATCH", name="Risk")["registered_model"]
    )
    assert rest.tell("registered-models/set-tag", name="Risk", key="empty", value="full") == {}
    for _ in range(2):
        assert rest.tell("registered-models/delete-tag", "DELETE", name="Risk", key="team") == {}
    assert get(rest, "Risk")["tags"] == [{"key": "empty", "value": "full"}]
    assert rest.tell("registered-models/delete", "DELETE", name="Risk") == {}
    assert rest.refused("registered-models/delete", "DELETE", name="Risk") == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "Registered Model with name=Risk not found",
    )


def test_a_version_from_its_creation_to_its_deletion(rest: Rest) -> None:
    create(rest)
    bare = register(rest)
    moment = bare["creation_timestamp"]
    assert bare == {
        "name": "Fraud",
        "version": "1",
        "creation_timestamp": moment,
        "last_updated_timestamp": moment,
        "current_stage": "None",
        "description": "",
        "source": SOURCE,
        "run_id": "",
        "run_link": "",
        "status": "READY",
    }
    version = register(
        rest,
        run_id="f" * 32,
        run_link="https://ci.example/7",
        description="second",
        tags=[{"key": "a", "value": "b"}],
    )
    assert version == {
        **bare,
        "version": "2",
        "run_id": "f" * 32,
        "run_link": "https://ci.example/7",
        "description": "second",
        "tags": [{"key": "a", "value": "b"}],
        "creation_timestamp": version["creation_timestamp"],
        "last_updated_timestamp": version["creation_timestamp"],
    }
    assert get_version(rest, "2") == version
    assert rest.ask("model-versions/get-download-uri", name="Fraud", version="2") == {"artifact_uri": SOURCE}
    place = {"name": "Fraud", "version": "2"}
    updated = rest.tell("model-versions/update", "PATCH", **place, description="better")["model_version"]
    assert updated["description"] == "better"
    assert rest.tell("model-versions/update", "PATCH", **place)["model_version"]["description"] == ""
    assert rest.tell("model-versions/set-tag", **place, key="c", value="d") == {}
    for _ in range(2):
        assert rest.tell("model-versions/delete-tag", "DELETE", **place, key="a") == {}
    assert get_version(rest, "2")["tags"] == [{"key": "c", "value": "d"}]
    assert rest.tell("model-versions/delete", "DELETE", **place) == {}
    assert rest.refused("model-versions/get", "GET", **place) == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "Model Version (name=Fraud, version=2) not found",
    )
    # A number is not given twice, but to a model that is another one.
    assert register(rest)["version"] == "3"
    rest.tell("registered-models/delete", "DELETE", name="Fraud")
    create(rest)
    assert register(rest)["version"] == "1"


def test_stages(rest: Rest) -> None:
    create(rest)
    for _ in range(4):
        register(rest)
    for version, stage in (("1", "staging"), ("2", "PRODUCTION"), ("3", "Production")):
        moved = move(rest, version, stage)
        assert moved["current_stage"] == stage.capitalize()
    latest = rest.tell("registered-models/get-latest-versions", name="Fraud")["model_versions"]
    assert {each["current_stage"]: each["version"] for each in latest} == {
        "None": "4",
        "Staging": "1",
        "Production": "3",
    }
    assert get(rest)["latest_versions"] == latest
    asked = rest.ask("registered-models/get-latest-versions", name="Fraud", stages=["production", "Archived"])
    assert [each["version"] for each in asked["model_versions"]] == ["3"]
    assert rest.tell("registered-models/get-latest-versions", name="Fraud", stages=["Archived"]) == {}
    # Everything else in the stage makes room, when it is asked to.
    move(rest, "4", "Production", archive_existing_versions=True)
    stages = [get_version(rest, version)["current_stage"] for version in "1234"]
    assert stages == ["Staging", "Archived", "Archived", "Production"]
    model = get(rest)
    assert model["last_updated_timestamp"] == get_version(rest, "4")["last_updated_timestamp"]


def test_aliases(rest: Rest) -> None:
    create(rest)
    for _ in range(3):
        register(rest)
    for alias, version in (("champion", "1"), ("other", "2"), ("champion", "2")):
        said = {"name": "Fraud", "alias": alias, "version": version}
        assert rest.tell("registered-models/alias", **said) == {}
    found = rest.ask("registered-models/alias", name="Fraud", alias="champion")["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["champion", "other"])
    assert get_version(rest, "2")["aliases"] == ["champion", "other"]
    assert "aliases" not in get_version(rest, "1")
    assert get(rest)["aliases"] == [
        {"alias": "champion", "version": "2"},
        {"alias": "other", "version": "2"},
    ]
    # The highest, whatever its stage.
    move(rest, "3", "Archived")
    for alias in ("latest", "LATEST"):
        found = rest.ask("registered-models/alias", name="Fraud", alias=alias)["model_version"]
        assert found["version"] == "3"
    for _ in range(2):
        assert rest.tell("registered-models/alias", "DELETE", name="Fraud", alias="other") == {}
    assert rest.refused("registered-models/alias", "GET", name="Fraud", alias="other") == (
        400,
        "INVALID_PARAMETER_VALUE",
        "Registered model alias other not found.",
    )
    # What points to a version is gone with it.
    rest.tell("model-versions/delete", "DELETE", name="Fraud", version="2")
    assert "aliases" not in get(rest)
