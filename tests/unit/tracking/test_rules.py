"""Every rule of what requests bring in: the field that is named, and what may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import run_pb2
from rekam_proto.tracking.v1.read_pb2 import Param, Tag
from rekam_runtime.errors import Invalid
from rekam_tracking import rules

LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("check", "field", "rule"),
    [
        (lambda: rules.params([Param(key="a", value="1"), Param(key="")]), "params[1].key", "not be empty"),
        (lambda: rules.params([Param(key="k" * 251)]), "params[0].key", "at most 250"),
        (lambda: rules.params([Param(key="a//b")]), "params[0].key", "clean relative path"),
        (lambda: rules.params([Param(key="../a")]), "params[0].key", "clean relative path"),
        (lambda: rules.params([Param(key="a\nb")]), "params[0].key", "may only contain"),
        (lambda: rules.params([Param(key="a", value=LONG)]), "params[0].value", "at most 6000"),
        (lambda: rules.params([Param(key="a", value="\0")]), "params[0].value", "U+0000"),
        (
            lambda: rules.params([Param(key="a", value="1"), Param(key="a", value="2")]),
            "params[1].key",
            "different values",
        ),
        (lambda: rules.run_tags([Tag(key="a", value=LONG)]), "tags[0].value", "at most 8000"),
        (lambda: rules.run_tags([Tag(key="/a")]), "tags[0].key", "clean relative path"),
        (lambda: rules.experiment_tags([Tag(key="a", value="x" * 5_001)]), "tags[0].value", "at most 5000"),
        (lambda: rules.keys(["a", "b?"]), "keys[1]", "may only contain"),
        (lambda: rules.run_id("0" * 31), "run_id", "32 lower-case hex"),
        (lambda: rules.run_id("A" * 32), "run_id", "32 lower-case hex"),
        (lambda: rules.experiment_id("abc"), "experiment_id", "must be a valid integer"),
        (lambda: rules.experiment_id("-1"), "experiment_id", "must be a valid integer"),
        (lambda: rules.experiment_id("٣"), "experiment_id", "must be a valid integer"),
        (lambda: rules.experiment_name(" \t"), "name", "empty or blank"),
        (lambda: rules.experiment_name("x" * 501), "name", "at most 500"),
        (lambda: rules.artifact_location("x" * 2_049), "artifact_location", "at most 2048"),
        (lambda: rules.artifact_location("s3://b/p#f"), "artifact_location", "fragment"),
        (lambda: rules.artifact_location("s3://b/p;x=1"), "artifact_location", "parameters"),
        (lambda: rules.artifact_location("s3://b/p?x=.."), "artifact_location", "'..'"),
        (lambda: rules.artifact_location("runs:/1/a"), "artifact_location", "runs:"),
        (lambda: rules.run_name(LONG), "name", "at most 8000"),
        (lambda: rules.user("x" * 257), "user", "at most 256"),
        (lambda: rules.actor("x" * 257), "actor", "at most 256"),
        (lambda: rules.time_ms(-1, "start_ms"), "start_ms", "not negative"),
        (lambda: rules.status(run_pb2.RUN_STATUS_UNSPECIFIED), "status", "no status"),
        (lambda: rules.status(cast(run_pb2.RunStatus, 17)), "status", "no status"),
        (lambda: rules.origin(Origin(writer="a b", sequence=1)), "origin.writer", "A-Za-z0-9"),
        (lambda: rules.origin(Origin(writer="w", sequence=0)), "origin.sequence", "from 1"),
        (lambda: rules.size(1_001, 1, "tags"), "tags", "at most 1000 tags"),
        (lambda: rules.size(1, 1_000_001, "params"), "params", "at most 1000000 bytes"),
    ],
)
def test_a_broken_rule_names_the_field_and_the_rule(
    check: Callable[[], object], field: str, rule: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        check()
    assert refusal.value.field == field
    assert rule in refusal.value.message


def test_what_keeps_the_rules_passes() -> None:
    names = {"k" * 250: "v" * 6_000, "Lernrate/größe: 1.0-α": "", "a": "'\";--\n\u2603"}
    assert rules.params(Param(key=key, value=value) for key, value in names.items()) == names
    rules.experiment_name('Robert\'); DROP TABLE "runs"; -- ☃')
    rules.artifact_location("s3://bucket/path?versionId=1")
    rules.artifact_location("")


def test_the_same_param_twice_is_one() -> None:
    assert rules.params([Param(key="a", value="1"), Param(key="a", value="1")]) == {"a": "1"}


def test_of_two_tags_the_last_wins() -> None:
    assert rules.run_tags([Tag(key="a", value="1"), Tag(key="a", value="2")]) == {"a": "2"}


def test_an_experiment_id_has_one_form() -> None:
    assert rules.experiment_id("007") == "7"
