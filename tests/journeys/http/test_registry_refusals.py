"""What the registry's endpoints refuse, by status, code and message."""

from __future__ import annotations

from typing import Any

import pytest

from rekam.client import Client
from rekam.testing import LocalStack
from rekam_proto.registry.v1 import model_pb2, model_pb2_grpc, read_pb2
from tests.support.faults import Faults
from tests.support.gateways import gateways_beside
from tests.support.mlflow_rest import Rest

CODES = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST"}
NO_MODEL = "Registered Model with name=Nothing not found"
NO_VERSION = "Model Version (name=Fraud, version={}) not found"
V1 = {"name": "Fraud", "version": "1"}

# Fields that must be there, and not be empty.
REQUIRED: list[tuple[str, str, list[str]]] = [
    ("POST", "registered-models/create", ["name"]),
    ("GET", "registered-models/get", ["name"]),
    ("POST", "registered-models/rename", ["name", "new_name"]),
    ("PATCH", "registered-models/update", ["name"]),
    ("DELETE", "registered-models/delete", ["name"]),
    ("POST", "registered-models/get-latest-versions", ["name"]),
    ("GET", "registered-models/get-latest-versions", ["name"]),
    ("POST", "registered-models/set-tag", ["name", "key"]),
    ("DELETE", "registered-models/delete-tag", ["name", "key"]),
    ("POST", "registered-models/alias", ["name", "alias", "version"]),
    ("DELETE", "registered-models/alias", ["name", "alias"]),
    ("GET", "registered-models/alias", ["name", "alias"]),
    ("POST", "model-versions/create", ["name", "source"]),
    ("GET", "model-versions/get", ["name", "version"]),
    ("PATCH", "model-versions/update", ["name", "version"]),
    ("DELETE", "model-versions/delete", ["name", "version"]),
    ("GET", "model-versions/get-download-uri", ["name", "version"]),
    ("POST", "model-versions/transition-stage", ["name", "version", "stage"]),
    ("POST", "model-versions/set-tag", ["name", "version", "key"]),
    ("DELETE", "model-versions/delete-tag", ["name", "version", "key"]),
]
# Of those, what needs a model that is there, and what a version of it.
WITH = {
    "alias": "a",
    "key": "k",
    "new_name": "Other",
    "source": "s3://b/m",
    "stage": "Staging",
    "version": "1",
}
OF_MODEL = [each for each in REQUIRED if each[1] != "registered-models/create"]
OF_VERSION = [each for each in REQUIRED if "version" in each[2]]


@pytest.fixture(scope="module")
def door(door: Rest) -> Rest:
    """With one model that has one version."""
    door.tell("registered-models/create", name="Fraud")
    door.tell("model-versions/create", name="Fraud", source="s3://bucket/model")
    return door


@pytest.mark.parametrize(("method", "path", "names"), REQUIRED)
def test_missing_fields(door: Rest, method: str, path: str, names: list[str]) -> None:
    whole = {name: WITH.get(name, "Fraud") for name in names}
    for missing in names:
        without = {name: value for name, value in whole.items() if name != missing}
        for fields in (without, {**whole, missing: ""}):
            status, code, message = door.refused(path, method, **fields)
            assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
            assert message.startswith(f"Missing value for required parameter '{missing}'.")


@pytest.mark.parametrize(("method", "path", "names"), OF_MODEL)
def test_a_model_that_is_not_there(door: Rest, method: str, path: str, names: list[str]) -> None:
    fields = {**{name: WITH.get(name, "") for name in names}, "name": "Nothing"}
    assert door.refused(path, method, **fields) == (404, CODES[404], NO_MODEL)


@pytest.mark.parametrize(("method", "path", "names"), OF_VERSION)
def test_a_version_that_is_not_there(door: Rest, method: str, path: str, names: list[str]) -> None:
    fields = {**{name: WITH.get(name, "") for name in names}, "name": "Fraud"}
    for version in ("2", "0", "-1", "99999999999999999999"):
        refused = door.refused(path, method, **{**fields, "version": version})
        assert refused == (404, CODES[404], NO_VERSION.format(version))
    for version in ("x", "1.0", "1" * 5_000):
        status, code, message = door.refused(path, method, **{**fields, "version": version})
        assert (status, code) == (400, CODES[400])
        assert message == f"Parameter 'version' must be an integer, got '{version[:300]}'."


REFUSALS: list[tuple[str, str, dict[str, Any], str]] = [
    *(
        ("POST", "registered-models/create", {"name": name}, text)
        for name, text in (
            (" ", "Missing value for required parameter 'name'."),
            ("a/b", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
            ("a:b", "Invalid model name 'a:b'. Names cannot contain '/' or ':'."),
            ("..", "Invalid value \"..\" for parameter 'name' supplied: Names may be treated as files"),
            ("x" * 257, "A registered model's name has at most 256 characters, this one has 257"),
            (7, "Invalid value 7 for parameter 'name' supplied:  Hint: Value was of type 'int'."),
        )
    ),
    (
        "POST",
        "registered-models/create",
        {"name": "New", "tags": [{"key": "a//b"}]},
        "Invalid value \"a//b\" for parameter 'tags[0].key' supplied: Names may be treated as files",
    ),
    (
        "POST",
        "registered-models/create",
        {"name": "New", "tags": [{"value": "b"}]},
        "Missing value for required parameter 'tags[0].key'.",
    ),
    (
        "POST",
        "registered-models/create",
        {"name": "New", "description": "x" * 5_001},
        "for parameter 'description' supplied: A description has at most 5,000 characters",
    ),
    (
        "POST",
        "registered-models/set-tag",
        {"name": "Fraud", "key": "k*"},
        "Invalid value \"k*\" for parameter 'key' supplied: Names may only contain alphanumerics",
    ),
    (
        "POST",
        "registered-models/set-tag",
        {"name": "Fraud", "key": "k", "value": "x" * 100_001},
        "for parameter 'value' supplied: A tag's value has at most 100,000 characters",
    ),
    (
        "DELETE",
        "model-versions/delete-tag",
        {**V1, "key": "/k"},
        "Invalid value \"/k\" for parameter 'key' supplied: Names may be treated as files",
    ),
    ("POST", "registered-models/rename", {"name": "Fraud", "new_name": "a/b"}, "Invalid model name 'a/b'."),
    ("POST", "registered-models/rename", {"name": "Fraud", "new_name": " "}, "parameter 'new_name'"),
    *(
        ("POST", "registered-models/alias", {**V1, "alias": alias}, text)
        for alias, text in (
            ("latest", "'latest' alias name (case insensitive) is reserved."),
            ("LATEST", "'latest' alias name (case insensitive) is reserved."),
            ("v1", "Version alias name 'v1' is reserved."),
            ("V23", "Version alias name 'V23' is reserved."),
            ("a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and"),
            ("x" * 256, "An alias has at most 255 characters"),
        )
    ),
    (
        "GET",
        "registered-models/alias",
        {"name": "Fraud", "alias": "a"},
        "Registered model alias a not found.",
    ),
    (
        "POST",
        "model-versions/transition-stage",
        {**V1, "stage": "Nowhere"},
        "Invalid Model Version stage: Nowhere. Value must be one of None, Staging, Production, Archived.",
    ),
    *(
        (
            "POST",
            "model-versions/transition-stage",
            {**V1, "stage": stage, "archive_existing_versions": True},
            text,
        )
        for stage, text in (
            ("archived", "cannot archive existing model versions because 'Archived' is not an Active stage."),
            ("None", "cannot archive existing model versions because 'None' is not an Active stage."),
        )
    ),
    (
        "POST",
        "model-versions/transition-stage",
        {**V1, "stage": "Staging", "archive_existing_versions": "yes"},
        "Invalid value \"yes\" for parameter 'archive_existing_versions' supplied:  Hint: Value was of",
    ),
    (
        "POST",
        "registered-models/get-latest-versions",
        {"name": "Fraud", "stages": ["Staging", "Nowhere"]},
        "Invalid Model Version stage: Nowhere. Value must be one of None, Staging, Production, Archived.",
    ),
    ("POST", "registered-models/get-latest-versions", {"name": "Fraud", "stages": "Staging"}, "'stages'"),
    (
        "POST",
        "model-versions/create",
        {"name": "Fraud", "source": "s3://b/m", "run_link": "x" * 501},
        "for parameter 'run_link' supplied: A run's link has at most 500 characters",
    ),
    (
        "POST",
        "model-versions/create",
        {"name": "Fraud", "source": "s3://b/m", "tags": {"a": "b"}},
        "Invalid value {\"a\":\"b\"} for parameter 'tags' supplied:  Hint: Value was of type 'dict'.",
    ),
    *(
        ("GET", path, {"max_results": max_results}, "'max_results'")
        for path, most in (("registered-models/search", 1_000), ("model-versions/search", 200_000))
        for max_results in (0, -1, most + 1, "x")
    ),
    *(
        ("GET", path, {"page_token": "made up"}, "Invalid page token")
        for path in ("registered-models/search", "model-versions/search")
    ),
]


@pytest.mark.parametrize(("method", "path", "fields", "text"), REFUSALS)
def test_refusals(door: Rest, method: str, path: str, fields: dict[str, Any], text: str) -> None:
    status, code, message = door.refused(path, method, **fields)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert text in message


def test_names_that_are_taken(rest: Rest) -> None:
    prompt = {"tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    rest.tell("registered-models/create", name="Fraud")
    rest.tell("registered-models/create", name="Greeting", **prompt)
    taken = "but the name is already taken by a"
    for name, fields, text in (
        ("Fraud", {}, "Registered Model (name=Fraud) already exists."),
        ("Greeting", prompt, "Prompt (name=Greeting) already exists."),
        ("Fraud", prompt, f"Tried to create a prompt with name 'Fraud', {taken} registered model."),
        ("Greeting", {}, f"Tried to create a registered model with name 'Greeting', {taken} prompt."),
    ):
        status, code, message = rest.refused("registered-models/create", name=name, **fields)
        assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
        assert message.startswith(text)
    assert rest.refused("registered-models/rename", name="Greeting", new_name="Fraud") == (
        400,
        "RESOURCE_ALREADY_EXISTS",
        "Registered Model (name=Fraud) already exists.",
    )
    # To its own name is fine.
    rest.tell("registered-models/rename", name="Fraud", new_name="Fraud")


def test_what_is_protected(rest: Rest, client: Client) -> None:
    rest.tell("registered-models/create", name="Fraud")
    rest.tell("model-versions/create", name="Fraud", source="s3://bucket/model")
    protection = model_pb2.Protection(
        stages=[read_pb2.STAGE_PRODUCTION], aliases=["champion"], roles=["release"]
    )
    model_pb2_grpc.RegisteredModelServiceStub(client._server.channel).ProtectRegisteredModel(
        model_pb2.ProtectRegisteredModelRequest(name="Fraud", protection=protection), timeout=30
    )
    for method, path, fields in (
        ("POST", "model-versions/transition-stage", {**V1, "stage": "Production"}),
        ("POST", "registered-models/alias", {**V1, "alias": "champion"}),
        ("DELETE", "registered-models/delete", {"name": "Fraud"}),
    ):
        status, code, message = rest.refused(path, method, **fields)
        assert (status, code) == (403, "PERMISSION_DENIED")
        assert "of 'Fraud' is protected: it takes one of the roles release" in message
    rest.tell("model-versions/transition-stage", **V1, stage="Staging")
    rest.tell("registered-models/alias", **V1, alias="challenger")


def test_a_server_without_a_registry_says_so(rekam_clean: LocalStack) -> None:
    with (
        gateways_beside(Faults(rekam_clean), 1, REKAM_REGISTRY_TARGET="") as (gateway,),
        Rest(gateway.http) as rest,
    ):
        # Not to be asked again.
        assert rest.refused("registered-models/create", name="Fraud") == (
            501,
            "NOT_IMPLEMENTED",
            "this server has no model registry",
        )
