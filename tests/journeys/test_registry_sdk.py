"""The registry by the SDK: from a run's files to what is in production, and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import rekam
from rekam import Client, Protection
from rekam.errors import (
    AlreadyExists,
    FailedPrecondition,
    Forbidden,
    Invalid,
    NotFound,
    Stale,
    Unsupported,
)

MLMODEL = """\
artifact_path: model
flavors: {}
signature:
  inputs: '[{"type": "double", "name": "x"}]'
  outputs: null
  params: null
"""
FILES = {"model/MLmodel": MLMODEL, "model/data/weights.txt": "1 2 3"}


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def run_id(client: Client) -> str:
    """A run with a model among its files."""
    run_id = str(client.create_run("0").info.run_id)
    for path, text in FILES.items():
        client.log_text(run_id, text, path)
    return run_id


def test_what_a_run_made_is_registered_with_what_its_files_tell(
    client: Client, run_id: str, rekam_tracking_uri: str, tmp_path: Path
) -> None:
    rekam.set_tracking_uri(rekam_tracking_uri)
    first = rekam.register_model(f"runs:/{run_id}/model", "Fraud ☃", tags={"team": 7}, reason="a first one")
    assert (first.version, first.current_stage, first.run_id) == (1, "None", run_id)
    assert first.source == f"runs:/{run_id}/model"
    assert first.location == client.artifact_uri(run_id, "model")
    assert first.tags == {"team": "7"}
    lines = [
        f"{hashlib.sha256(text.encode()).hexdigest()}  {path.removeprefix('model/')}\n"
        for path, text in FILES.items()
    ]
    assert first.digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert first.signature is not None
    assert json.loads(first.signature)["inputs"] == '[{"type": "double", "name": "x"}]'
    assert client.get_model_version("Fraud ☃", "1") == first
    second = rekam.register_model(f"runs:/{run_id}/model/data/weights.txt", "Fraud ☃")
    assert (second.version, second.signature) == (2, None)
    with pytest.raises(NotFound):
        rekam.register_model("models:/Fraud ☃/9", "Other")
    with pytest.raises(Invalid, match="with all its files"):
        rekam.register_model("models:/Fraud ☃/1/MLmodel", "Other")
    copied = rekam.register_model("models:/Fraud ☃/1", "Other")
    assert (copied.location, copied.digest, copied.signature, copied.run_id) == (
        first.location,
        first.digest,
        first.signature,
        run_id,
    )
    assert rekam.register_model("s3://elsewhere/model", "Other").location == "s3://elsewhere/model"
    with pytest.raises(NotFound, match="there are no files"):
        rekam.register_model(f"runs:/{run_id}/nothing", "Third")
    assert [each.name for each in rekam.search_registered_models()] == ["Fraud ☃", "Other"]
    assert {(each.name, each.version) for each in rekam.search_model_versions()} == {
        ("Fraud ☃", 1),
        ("Fraud ☃", 2),
        ("Other", 1),
        ("Other", 2),
    }


def test_a_logged_model_says_what_it_is_registered_as(client: Client) -> None:
    model = client.create_logged_model("0", "model")
    client.create_registered_model("Fraud")
    for model_id in (model.model_id, f"m-{'0' * 32}", model.model_id):
        client.create_model_version("Fraud", "s3://elsewhere/model", model_id=model_id)
    assert json.loads(client.get_logged_model(model.model_id).tags["mlflow.modelVersions"]) == [
        {"name": "Fraud", "version": 1},
        {"name": "Fraud", "version": 3},
    ]
    # Of one that is not there nothing is said, and the version is there.
    assert client.get_model_version("Fraud", 2).model_id == f"m-{'0' * 32}"


def test_files_of_a_version_are_read_by_its_uri(client: Client, run_id: str, tmp_path: Path) -> None:
    client.register_model(f"runs:/{run_id}/model", "Fraud")
    client.register_model(f"runs:/{run_id}/model/data/weights.txt", "Fraud")
    client.set_registered_model_alias("Fraud", "champion", 1)
    for uri in ("models:/Fraud/1", "models:/Fraud@champion"):
        assert [info.path for info in client.list_uri(uri)] == ["MLmodel", "data"]
        assert [info.path for info in client.list_uri(f"{uri}/data")] == ["data/weights.txt"]
        folder = Path(client.download_uri(uri, tmp_path / uri.rpartition("/")[2]))
        assert (folder / "data" / "weights.txt").read_text() == "1 2 3"
        one = Path(client.download_uri(f"{uri}/data/weights.txt", tmp_path / "one"))
        assert (one.name, one.read_text()) == ("weights.txt", "1 2 3")
    alone = Path(client.download_uri("models:/Fraud/latest", tmp_path / "alone"))
    assert (alone.name, alone.read_text()) == ("weights.txt", "1 2 3")
    with pytest.raises(NotFound):
        client.download_uri("models:/Fraud/1/nothing", tmp_path)
    with pytest.raises(NotFound):
        client.download_uri("models:/Fraud/Production", tmp_path)
    with pytest.raises(Unsupported, match="stay as they are"):
        client.upload_uri(tmp_path, "models:/Fraud/1")
    # One that says it is where it is itself.
    client.create_model_version("Fraud", "s3://b/m", location="models:/Fraud/3")
    with pytest.raises(Unsupported, match="leads nowhere"):
        client.list_uri("models:/Fraud/3")


def test_a_logged_model_is_registered_by_its_id_and_by_its_run(client: Client, tmp_path: Path) -> None:
    run_id = str(client.create_run("0").info.run_id)
    logged = client.create_logged_model("0", "forest", source_run_id=run_id)
    (tmp_path / "MLmodel").write_text(MLMODEL)
    client.upload_uri(tmp_path, f"models:/{logged.model_id}")
    for uri in (f"models:/{logged.model_id}", f"runs:/{run_id}/forest"):
        version = client.register_model(uri, "Forest")
        assert (version.run_id, version.model_id) == (run_id, logged.model_id)
        assert (version.source, version.location) == (uri, logged.artifact_location)
        assert version.signature is not None
        assert [info.path for info in client.list_uri(f"models:/Forest/{version.version}")] == ["MLmodel"]
    told = json.loads(client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"])
    assert [(each["name"], int(each["version"])) for each in told] == [("Forest", 1), ("Forest", 2)]


def test_a_version_goes_through_its_stages_and_all_is_remembered(client: Client) -> None:
    client.create_registered_model("Fraud", {"team": "search"}, "Finds it.", reason="new")
    with pytest.raises(AlreadyExists):
        client.create_registered_model("Fraud")
    for number in (1, 2):
        client.create_model_version("Fraud", f"s3://b/{number}", description=f"no. {number}")
    client.transition_model_version_stage("Fraud", 1, "production", reason="it is good", actor="ada")
    now = datetime.now(UTC)
    (promoted,) = client.get_registered_model_history("Fraud", stage="Production")
    assert (promoted.event, promoted.actor, promoted.reason) == ("version_transitioned", "ada", "it is good")
    assert promoted.details == {"version": 1, "previous_stage": "None", "stage": "Production"}
    moved = client.transition_model_version_stage("Fraud", 2, "Production", True, expected_stage="None")
    assert moved.current_stage == "Production"
    assert [(each.version, each.current_stage) for each in client.get_latest_versions("Fraud")] == [
        (2, "Production"),
        (1, "Archived"),
    ]
    assert [each.version for each in client.get_latest_versions("Fraud", ["archived"])] == [1]
    with pytest.raises(Stale) as stale:
        client.transition_model_version_stage("Fraud", 2, "Staging", expected_stage="None")
    assert stale.value.field == "expected_stage"
    with pytest.raises(Stale) as stale:
        client.transition_model_version_stage("Fraud", 1, "Production", expected_version=1)
    assert stale.value.field == "expected_version"
    # Nothing is left to do: so it is when a request comes twice, because its answer was lost.
    client.transition_model_version_stage("Fraud", 2, "Production", True, expected_version=1)
    assert client.resolve_model("models:/Fraud/Production").version == 2
    for as_of in (promoted.position, datetime.fromtimestamp(promoted.time_us / 1e6, UTC)):
        assert client.resolve_model("models:/Fraud/Production", as_of=as_of).version == 1
    assert promoted.time_us / 1e6 == pytest.approx(now.timestamp(), abs=600)
    with pytest.raises(NotFound):
        client.get_registered_model("Fraud", as_of=now - timedelta(days=1))
    with pytest.raises(Invalid, match="has a zone"):
        client.get_registered_model("Fraud", as_of=now.replace(tzinfo=None))
    with pytest.raises(Invalid):
        client.get_registered_model("Fraud", as_of=-1)
    with pytest.raises(Invalid, match="a stage is one of"):
        client.transition_model_version_stage("Fraud", 2, "prod")
    with pytest.raises(Invalid, match="a version is a number"):
        client.get_model_version("Fraud", "v2")


def test_aliases_tags_and_texts(client: Client) -> None:
    client.create_registered_model("Fraud")
    for _ in range(2):
        client.create_model_version("Fraud", "s3://b/m")
    assert client.set_registered_model_alias("Fraud", "champion", "1") is None
    assert client.set_registered_model_alias("Fraud", "champion", 2, expected_version=1) == 1
    with pytest.raises(Stale):
        client.set_registered_model_alias("Fraud", "champion", 1, expected_version=1)
    assert client.get_model_version_by_alias("Fraud", "champion").aliases == ("champion",)
    client.set_model_version_tag("Fraud", 2, "auc", 0.9)
    client.set_registered_model_tag("Fraud", "team", "search")
    client.update_model_version("Fraud", 2, "the better one")
    client.update_registered_model("Fraud", "Finds it.")
    version = client.get_model_version("Fraud", 2)
    assert (version.tags, version.description) == ({"auc": "0.9"}, "the better one")
    model = client.get_registered_model("Fraud")
    assert (model.tags, model.description) == ({"team": "search"}, "Finds it.")
    assert model.aliases == {"champion": 2}
    assert model.last_updated_timestamp >= model.creation_timestamp > 0
    found = client.search_registered_models("tags.team = 'search'", max_results=1)
    assert ([each.name for each in found], found.token) == (["Fraud"], None)
    page = client.search_model_versions("name = 'Fraud'", 1, ["version_number ASC"])
    assert [each.version for each in page] == [1]
    page = client.search_model_versions("name = 'Fraud'", 1, ["version_number ASC"], page.token)
    assert [each.version for each in page] == [2]
    client.delete_model_version_tag("Fraud", 2, "auc")
    client.delete_registered_model_tag("Fraud", "team")
    client.delete_registered_model_alias("Fraud", "champion", reason="nobody is")
    with pytest.raises(NotFound) as missing:
        client.get_model_version_by_alias("Fraud", "champion")
    assert missing.value.field == "alias"
    fraud = client.get_model_version("Fraud", 2)
    with pytest.raises(NotFound):
        client.copy_model_version(replace(fraud, version=9), "Fraud in production")
    assert [each.name for each in client.search_registered_models()] == ["Fraud"]
    copied = client.copy_model_version(fraud, "Fraud in production")
    assert (copied.name, copied.version, copied.source) == ("Fraud in production", 1, "models:/Fraud/2")
    assert copied.copied_from is not None
    assert (copied.copied_from.name, copied.copied_from.version) == ("Fraud", 2)
    client.delete_model_version("Fraud", 1)
    renamed = client.rename_registered_model("Fraud", "Fraud 2")
    assert renamed.registered_model_id == model.registered_model_id
    client.delete_registered_model("Fraud 2", reason="nobody needs it")
    history = client.get_registered_model_history("Fraud 2", max_results=2)
    assert [change.event for change in history] == ["model_deleted", "model_renamed"]
    assert history[1].details == {"name": "Fraud 2", "old_name": "Fraud"}
    by_id = client.get_registered_model_history(
        registered_model_id=model.registered_model_id, page_token=history.token, max_results=1
    )
    assert [change.event for change in by_id] == ["version_deleted"]


def test_what_is_protected_is_asked_for_and_decided_by_somebody_else(client: Client) -> None:
    guarded = Protection(stages=("Production",), aliases=("champion",), roles=("lead",))
    client.create_registered_model("Fraud", protection=guarded)
    assert client.get_registered_model("Fraud").protection == guarded
    client.create_model_version("Fraud", "s3://b/m")
    with pytest.raises(Forbidden):
        client.transition_model_version_stage("Fraud", 1, "Production", actor="ada")
    with pytest.raises(Forbidden):
        client.set_registered_model_alias("Fraud", "champion", 1, actor="ada", roles=["reader"])
    asked = client.request_model_transition("Fraud", 1, stage="Production", actor="ada", reason="it is good")
    assert (asked.request_id, asked.state, asked.stage, asked.decider) == (1, "PENDING", "Production", None)
    with pytest.raises(Forbidden, match="somebody else"):
        client.approve_model_transition("Fraud", 1, actor="ada", roles=["lead"])
    done = client.approve_model_transition("Fraud", 1, actor="bob", roles=["lead"], reason="so it is")
    assert (done.state, done.decider, done.decision_reason) == ("APPROVED", "bob", "so it is")
    with pytest.raises(FailedPrecondition):
        client.reject_model_transition("Fraud", 1, actor="bob", roles=["lead"])
    assert client.resolve_model("models:/Fraud/production").version == 1
    client.request_model_transition("Fraud", 1, alias="champion", actor="ada")
    client.reject_model_transition("Fraud", 2, actor="ada", reason="not yet")
    states = [(each.request_id, each.state) for each in client.list_model_transitions("Fraud")]
    assert states == [(2, "REJECTED"), (1, "APPROVED")]
    assert client.list_model_transitions("Fraud", state="PENDING") == []
    with pytest.raises(Invalid):
        client.request_model_transition("Fraud", 1, stage="Staging", alias="a")
    with pytest.raises(Invalid):
        client.list_model_transitions("Fraud", state="open")
    client.protect_registered_model("Fraud", Protection(), actor="bob", roles=["lead"])
    client.set_registered_model_alias("Fraud", "champion", 1, actor="ada")
