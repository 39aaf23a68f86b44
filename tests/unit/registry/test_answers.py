"""Kept answers are true, and bounded."""

from __future__ import annotations

from rekam_proto.registry.v1 import history_pb2, model_pb2, version_pb2
from rekam_registry.resolving.answers import MOST_MODELS, MOST_URIS, Answers
from rekam_registry.uris import ModelUri

URI = ModelUri("m", alias="a")
VERSION = version_pb2.ModelVersion(version=1)


def change(position: int, name: str = "m") -> history_pb2.Change:
    return history_pb2.Change(position=position, name=name)


def test_an_answer_goes_with_the_next_change_of_its_model() -> None:
    answers = Answers()
    answers.keep(URI, VERSION, 5)
    answers.take(change(6, "other"))
    assert answers.get(URI) == VERSION
    answers.take(change(7))
    assert answers.get(URI) is None


def test_what_was_read_before_a_change_that_is_known_is_not_kept() -> None:
    answers = Answers()
    answers.take(change(6))
    answers.keep(URI, VERSION, 5)
    assert answers.get(URI) is None
    answers.keep(URI, VERSION, 6)
    assert answers.get(URI) == VERSION


def test_both_names_of_a_renamed_model_lose_their_answers() -> None:
    answers = Answers()
    for name in ("old", "new"):
        answers.keep(ModelUri(name), VERSION, 5)
    renamed = model_pb2.ModelRenamed(name="new", old_name="old")
    answers.take(history_pb2.Change(position=6, name="new", model_renamed=renamed))
    assert answers.get(ModelUri("old")) is None
    assert answers.get(ModelUri("new")) is None


def test_after_a_new_begin_only_what_was_read_since_is_kept() -> None:
    answers = Answers()
    answers.keep(URI, VERSION, 5)
    answers.begin(10)
    assert answers.get(URI) is None
    answers.keep(URI, VERSION, 9)
    assert answers.get(URI) is None
    answers.keep(URI, VERSION, 10)
    assert answers.get(URI) == VERSION


def test_models_and_uris_are_bounded() -> None:
    answers = Answers()
    for number in range(MOST_MODELS + 10):
        answers.keep(ModelUri(f"m{number}"), VERSION, 1)
    assert answers.get(ModelUri("m9")) is None
    assert answers.get(ModelUri("m10")) == VERSION
    for version in range(1, MOST_URIS + 2):
        answers.keep(ModelUri("m", version=version), VERSION, 1)
    assert answers.get(ModelUri("m", version=1)) is None
    assert answers.get(ModelUri("m", version=MOST_URIS + 1)) == VERSION


def test_a_change_that_is_forgotten_still_speaks_against_what_was_read_before_it() -> None:
    answers = Answers()
    answers.take(change(1))
    for number in range(MOST_MODELS):
        answers.take(change(number + 2, f"m{number}"))
    answers.keep(URI, VERSION, 0)
    assert answers.get(URI) is None
    answers.keep(URI, VERSION, 1)
    assert answers.get(URI) == VERSION
