"""What an event of the log means to webhooks."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from rekam_proto.registry.v1 import (
    alias_pb2,
    history_pb2,
    model_pb2,
    read_pb2,
    transition_pb2,
    version_pb2,
    webhook_pb2,
)
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry.rules import PROMPT_TAG
from rekam_registry.webhooks.examples import example_of
from rekam_registry.webhooks.occurrences import occurrences_of
from rekam_registry.webhooks.pairs import ACTIONS, action_name, entity_name

TAGS = [Tag(key="a", value="1"), Tag(key="b", value="2")]
PROMPT_TAGS = [
    Tag(key=PROMPT_TAG, value="true"),
    Tag(key="_mlflow_prompt_type", value="text"),
    Tag(key="a", value="1"),
]
TEXT = Tag(key="mlflow.prompt.text", value="Hello {{name}}!")
PRODUCTION, STAGING, ARCHIVED = (
    read_pb2.STAGE_PRODUCTION,
    read_pb2.STAGE_STAGING,
    read_pb2.STAGE_ARCHIVED,
)
WHY = {"actor": "ada", "reason": "because"}


def told(kind: str, event: Message, *, is_prompt: bool = False) -> list[tuple[str, dict[str, Any]]]:
    change = history_pb2.Change(actor="ada", reason="because")
    getattr(change, kind).CopyFrom(event)
    return [
        (f"{entity_name(one.pair[0])}.{action_name(one.pair[1])}", one.data)
        for one in occurrences_of(change, is_prompt=is_prompt)
    ]


def test_a_model_is_created() -> None:
    event = model_pb2.ModelCreated(name="m", tags=TAGS, description="d")
    assert told("model_created", event) == [
        ("registered_model.created", {"name": "m", "tags": {"a": "1", "b": "2"}, "description": "d"})
    ]


def test_a_prompt_is_created_without_the_tags_that_make_it_one() -> None:
    event = model_pb2.ModelCreated(name="p", tags=PROMPT_TAGS)
    expected = {"name": "p", "tags": {"a": "1"}, "description": ""}
    assert told("model_created", event, is_prompt=True) == [("prompt.created", expected)]


def test_a_tag_with_another_value_makes_no_prompt() -> None:
    event = model_pb2.ModelCreated(name="m", tags=[Tag(key=PROMPT_TAG, value="false")])
    assert [name for name, _ in told("model_created", event)] == ["registered_model.created"]


def test_tags_of_a_model_are_told_of_prompts_alone() -> None:
    given, gone = (
        model_pb2.ModelTagsSet(name="p", tags=TAGS),
        model_pb2.ModelTagsDeleted(name="p", keys=["a", "b"]),
    )
    assert told("model_tags_set", given) == told("model_tags_deleted", gone) == []
    assert told("model_tags_set", given, is_prompt=True) == [
        ("prompt_tag.set", {"name": "p", "key": "a", "value": "1"}),
        ("prompt_tag.set", {"name": "p", "key": "b", "value": "2"}),
    ]
    assert told("model_tags_deleted", gone, is_prompt=True) == [
        ("prompt_tag.deleted", {"name": "p", "key": "a"}),
        ("prompt_tag.deleted", {"name": "p", "key": "b"}),
    ]


def test_a_version_is_created() -> None:
    event = version_pb2.VersionCreated(name="m", version=3, source="s3://b/m", run_id="r", tags=TAGS)
    expected = {
        "name": "m",
        "version": "3",
        "source": "s3://b/m",
        "run_id": "r",
        "tags": {"a": "1", "b": "2"},
        "description": None,
    }
    assert told("version_created", event) == [("model_version.created", expected)]
    event.run_id, event.description = "", "d"
    ((_, data),) = told("version_created", event)
    assert (data["run_id"], data["description"]) == (None, "d")


@pytest.mark.parametrize(("tagged", "is_prompt"), [(True, False), (True, True), (False, True)])
def test_a_version_of_a_prompt_is_created(tagged: bool, is_prompt: bool) -> None:
    tags = [*(PROMPT_TAGS if tagged else PROMPT_TAGS[2:]), TEXT]
    event = version_pb2.VersionCreated(name="p", version=1, source="x:y", tags=tags)
    expected = {
        "name": "p",
        "version": "1",
        "template": TEXT.value,
        "tags": {"a": "1"},
        "description": None,
    }
    assert told("version_created", event, is_prompt=is_prompt) == [("prompt_version.created", expected)]


@pytest.mark.parametrize(
    ("is_prompt", "entity"), [(False, "model_version_tag"), (True, "prompt_version_tag")]
)
def test_tags_of_a_version(is_prompt: bool, entity: str) -> None:
    given = version_pb2.VersionTagsSet(name="m", version=2, tags=TAGS)
    gone = version_pb2.VersionTagsDeleted(name="m", version=2, keys=["a"])
    assert told("version_tags_set", given, is_prompt=is_prompt) == [
        (f"{entity}.set", {"name": "m", "version": "2", "key": "a", "value": "1"}),
        (f"{entity}.set", {"name": "m", "version": "2", "key": "b", "value": "2"}),
    ]
    assert told("version_tags_deleted", gone, is_prompt=is_prompt) == [
        (f"{entity}.deleted", {"name": "m", "version": "2", "key": "a"})
    ]


@pytest.mark.parametrize(("is_prompt", "entity"), [(False, "model_version_alias"), (True, "prompt_alias")])
def test_aliases(is_prompt: bool, entity: str) -> None:
    given = alias_pb2.AliasSet(name="m", alias="best", version=2, previous_version=1)
    gone = alias_pb2.AliasDeleted(name="m", alias="best", version=2)
    with_version = version_pb2.VersionDeleted(name="m", version=2, aliases=["best", "new"])
    assert told("alias_set", given, is_prompt=is_prompt) == [
        (f"{entity}.created", {"name": "m", "alias": "best", "version": "2"})
    ]
    assert told("alias_deleted", gone, is_prompt=is_prompt) == [
        (f"{entity}.deleted", {"name": "m", "alias": "best"})
    ]
    assert told("version_deleted", with_version, is_prompt=is_prompt) == [
        (f"{entity}.deleted", {"name": "m", "alias": "best"}),
        (f"{entity}.deleted", {"name": "m", "alias": "new"}),
    ]


def test_a_transition_is_told_of_every_version_that_moved() -> None:
    event = version_pb2.VersionTransitioned(
        name="m", version=3, previous_stage=STAGING, stage=PRODUCTION, archived=[1, 2]
    )
    moved = "model_version_stage.transitioned"
    assert told("version_transitioned", event) == [
        (moved, {"name": "m", "version": "3", "previous_stage": "Staging", "stage": "Production", **WHY}),
        (moved, {"name": "m", "version": "1", "previous_stage": "Production", "stage": "Archived", **WHY}),
        (moved, {"name": "m", "version": "2", "previous_stage": "Production", "stage": "Archived", **WHY}),
    ]


def test_one_that_stays_where_it_is_did_not_move() -> None:
    event = version_pb2.VersionTransitioned(
        name="m", version=3, previous_stage=PRODUCTION, stage=PRODUCTION, archived=[1]
    )
    assert [data["version"] for _, data in told("version_transitioned", event)] == ["1"]


def test_requests_for_transitions() -> None:
    request = {"name": "m", "request_id": 7, "version": "3"}
    asked = transition_pb2.TransitionRequested(name="m", request_id=7, version=3, stage=PRODUCTION)
    assert told("transition_requested", asked) == [
        ("transition_request.created", {**request, "stage": "Production", **WHY})
    ]
    asked.alias = "best"
    assert told("transition_requested", asked) == [
        ("transition_request.created", {**request, "alias": "best", **WHY})
    ]
    refused = transition_pb2.TransitionRejected(name="m", request_id=7, version=3)
    assert told("transition_rejected", refused) == [("transition_request.rejected", {**request, **WHY})]
    moved = version_pb2.VersionTransitioned(
        name="m", version=3, previous_stage=STAGING, stage=PRODUCTION, request_id=7
    )
    assert told("version_transitioned", moved)[1:] == [
        ("transition_request.approved", {**request, "stage": "Production", **WHY})
    ]
    pointed = alias_pb2.AliasSet(name="m", alias="best", version=3, request_id=7)
    assert told("alias_set", pointed)[1:] == [
        ("transition_request.approved", {**request, "alias": "best", **WHY})
    ]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("model_renamed", model_pb2.ModelRenamed(name="n", old_name="m")),
        ("model_updated", model_pb2.ModelUpdated(name="m")),
        ("model_deleted", model_pb2.ModelDeleted(name="m")),
        ("model_protected", model_pb2.ModelProtected(name="m")),
        ("version_updated", version_pb2.VersionUpdated(name="m", version=1)),
        ("version_deleted", version_pb2.VersionDeleted(name="m", version=1)),
    ],
)
def test_other_events_mean_nothing(kind: str, event: Message) -> None:
    assert told(kind, event) == told(kind, event, is_prompt=True) == []


def test_a_change_of_a_later_version_means_nothing() -> None:
    assert occurrences_of(history_pb2.Change(), is_prompt=False) == []


def test_everything_that_can_be_told_has_an_example() -> None:
    for entity, actions in ACTIONS.items():
        for action in actions:
            assert example_of((entity, action))
    assert set(ACTIONS) == set(webhook_pb2.WebhookEntity.values()) - {0}
