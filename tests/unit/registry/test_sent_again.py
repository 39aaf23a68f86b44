"""What is decided on a request that comes again, because its answer was lost; and on one that is late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from rekam_proto.registry.v1 import model_pb2, transition_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import STAGE_NONE, STAGE_PRODUCTION, STAGE_STAGING, By
from rekam_registry.aliases import command as aliases
from rekam_registry.errors import Stale
from rekam_registry.events import ModelEvent
from rekam_registry.state import ModelState
from rekam_registry.transitions import command as transitions
from rekam_registry.versions import command as versions
from rekam_runtime.errors import FailedPrecondition

Decide = Callable[[ModelState, int, By], ModelEvent | None]


def by(writer: str) -> By:
    return By(actor="ada", origin=Origin(writer=writer, sequence=1))


def take(state: ModelState, event: ModelEvent | None, writer: str = "") -> None:
    assert event is not None
    state.apply(event, Envelope(actor="ada", origin=Origin(writer=writer), time_us=1), 0)


@pytest.fixture
def state() -> ModelState:
    """A model with three versions, none of them anywhere."""
    state = ModelState()
    take(state, model_pb2.ModelCreated(model_id="m", name="m"))
    for version in (1, 2, 3):
        take(state, version_pb2.VersionCreated(model_id="m", version=version))
    return state


def promote(
    state: ModelState, number: int, *, stage: int = 0, version: int = 0
) -> version_pb2.VersionTransitioned | None:
    return versions.transition(
        state,
        number,
        STAGE_PRODUCTION,
        archive_existing=True,
        expected=stage,
        expected_version=version,
        by=by("w"),
    )


def test_a_promotion_expects_what_it_replaces(state: ModelState) -> None:
    with pytest.raises(Stale, match="no version, not version 2"):
        promote(state, 1, version=2)
    take(state, promote(state, 1))
    with pytest.raises(Stale, match="is version 1, not version 2") as stale:
        promote(state, 3, version=2)
    assert stale.value.field == "expected_version"
    take(state, promote(state, 2, version=1, stage=STAGE_NONE))
    # It comes again, and is done already.
    assert promote(state, 2, version=1, stage=STAGE_NONE) is None
    # Another one comes late.
    with pytest.raises(Stale):
        promote(state, 3, version=1)
    with pytest.raises(Stale) as stale:
        promote(state, 3, stage=STAGE_STAGING)
    assert stale.value.field == "expected_stage"


def test_an_alias_that_points_there_already_expects_nothing(state: ModelState) -> None:
    take(state, aliases.set_alias(state, "a", 1, expected=0, by=by("w")))
    take(state, aliases.set_alias(state, "a", 2, expected=1, by=by("w")))
    assert aliases.set_alias(state, "a", 2, expected=1, by=by("w")) is None
    with pytest.raises(Stale):
        aliases.set_alias(state, "a", 3, expected=1, by=by("w"))


@pytest.mark.parametrize("decide", [transitions.approve, transitions.reject])
def test_a_decision_is_taken_once(state: ModelState, decide: Decide) -> None:
    asked = transition_pb2.RequestTransitionRequest(version=1, alias="a", by=by("asker"))
    take(state, transitions.request(state, asked), "asker")
    take(state, decide(state, 1, by("decider")), "decider")
    assert decide(state, 1, by("decider")) is None
    for other in (by("other"), By(actor="ada")):
        with pytest.raises(FailedPrecondition):
            decide(state, 1, other)
