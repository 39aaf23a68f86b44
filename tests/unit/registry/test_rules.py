"""Rules of names, aliases, sources and uris."""

from __future__ import annotations

import pytest

from rekam_proto.registry.v1 import model_pb2, read_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry import rules, uris
from rekam_registry.uris import ModelUri
from rekam_runtime.errors import Invalid


@pytest.mark.parametrize("name", ["a", "é ☃ 🦉", "x" * 256, "a.b", "@", "a@b", "...", "%2F", "\u202e"])
def test_good_names(name: str) -> None:
    rules.name(name)


@pytest.mark.parametrize("name", ["", "  ", "\n", "a/b", "a:b", ".", "..", "x" * 257, "a\0"])
def test_bad_names_are_refused_by_field(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.name(name, "new_name")
    assert refused.value.field == "new_name"


@pytest.mark.parametrize("alias", ["a", "champion-2", "été", "x" * 255, "v", "v1a", "1", "latest2", "_"])
def test_good_aliases(alias: str) -> None:
    rules.alias(alias)


@pytest.mark.parametrize(
    "alias", ["", "a b", "a/b", "a@b", "a\n", "latest", "LaTest", "v1", "V23", "x" * 256, "a.b"]
)
def test_bad_aliases_are_refused(alias: str) -> None:
    with pytest.raises(Invalid):
        rules.alias(alias)


@pytest.mark.parametrize(
    "source",
    [
        "s3://bucket/a/b",
        "mlflow-artifacts:/1/run/artifacts/model",
        "runs:/0af1/model",
        "models:/Fraud/3",
        "https://host/a%20b/",
        "dbfs:/a/..b/c",
        "s3://bucket",
        "s3://bucket/a//b",
    ],
)
def test_good_sources(source: str) -> None:
    rules.source(source, owned=False)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "model",
        "/tmp/model",
        "file:///tmp/model",
        "C:\\model",
        "s3://bucket/a/../b",
        "s3://bucket/a/%2e%2e/b",
        "s3://bucket/a/%252e%252e/b",
        "s3://bucket/a/./b",
        "s3://bucket/a%00",
        "mlflow-artifacts://..%2f..%2f..%2fb",
        "s3://bucket/%" + "25" * 12 + "2e",
        "s3://bucket/" + "x" * 2048,
        "http://[bad",
    ],
)
def test_bad_sources_are_refused(source: str) -> None:
    with pytest.raises(Invalid):
        rules.source(source, owned=False)


def test_a_path_of_a_disk_is_a_source_when_it_is_said_whose() -> None:
    for source in ("/shared/1/model", "file:///shared/1/model"):
        rules.source(source, owned=True)
    for source in ("model", "", "file:model", "/shared/../model", "file:///shared/%2e%2e/model", "C:\\model"):
        with pytest.raises(Invalid):
            rules.source(source, owned=True)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("models:/Fraud/3", ModelUri("Fraud", version=3)),
        ("models:///Fraud/3", ModelUri("Fraud", version=3)),
        ("models:/Fraud/Production", ModelUri("Fraud", stage=read_pb2.STAGE_PRODUCTION)),
        ("models:/Fraud/NONE", ModelUri("Fraud", stage=read_pb2.STAGE_NONE)),
        ("models:/Fraud/latest", ModelUri("Fraud")),
        ("models:/Fraud@champion", ModelUri("Fraud", alias="champion")),
        ("models:/Fraud@LATEST", ModelUri("Fraud")),
        ("models:/a@b@c", ModelUri("a@b", alias="c")),
        ("models:/été ☃/1", ModelUri("été ☃", version=1)),
        ("models:/a?b#c/1", ModelUri("a?b#c", version=1)),
    ],
)
def test_uris(text: str, uri: ModelUri) -> None:
    assert uris.parse(text) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Fraud/3",
        "runs:/a/b",
        "models:/",
        "models:/Fraud",
        "models:/Fraud/",
        "models:/Fraud/3/4",
        "models:/Fraud/0",
        "models:/Fraud/-1",
        "models:/Fraud/²",
        "models:/Fraud/99999999999999999999",
        "models:/Fraud/Nowhere",
        "models:/@a",
        "models:/Fraud@",
        "models:/Fraud@a b",
        "models:/m-3f2a9c0d1e4b5a6978879605a4b3c2d1",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        uris.parse(text)


def test_limits_of_texts_and_counts() -> None:
    for bad in (
        lambda: rules.by(By(actor="x" * 257)),
        lambda: rules.by(By(reason="x" * 2_001)),
        lambda: rules.by(By(roles=["r"] * 101)),
        lambda: rules.by(By(roles=[" "])),
        lambda: rules.description("x" * 5_001),
        lambda: rules.tags([Tag(key="k", value="x" * 100_001)]),
        lambda: rules.tags([Tag(key="a//b", value="")]),
        lambda: rules.tags([Tag(key=str(n), value="") for n in range(1_001)]),
        lambda: rules.size(1_000_001),
        lambda: rules.digest("ab"),
        lambda: rules.version(0),
        lambda: rules.stage(0),
        lambda: rules.archiving(read_pb2.STAGE_ARCHIVED, True),
        lambda: rules.protection(model_pb2.Protection(stages=[read_pb2.STAGE_PRODUCTION])),
        lambda: rules.protection(model_pb2.Protection(roles=["r"])),
    ):
        with pytest.raises(Invalid):
            bad()


def test_of_two_tags_with_one_key_the_last_one_wins() -> None:
    assert rules.tags([Tag(key="k", value="1"), Tag(key="k", value="2")]) == {"k": "2"}
