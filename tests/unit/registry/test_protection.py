"""What is protected changes only by those who may, or by an approval of one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.registry.v1 import alias_pb2, model_pb2, read_pb2, transition_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry.aliases import command as aliases
from rekam_registry.events import ModelEvent
from rekam_registry.models import command as models
from rekam_registry.state import ModelState
from rekam_registry.transitions import command as transitions
from rekam_registry.versions import command as versions
from rekam_runtime.errors import FailedPrecondition, Forbidden, NotFound

ADA, BOB, BOSS = By(actor="ada"), By(actor="bob"), By(actor="boss", roles=["other", "release"])
PRODUCTION, STAGING = read_pb2.STAGE_PRODUCTION, read_pb2.STAGE_STAGING


@pytest.fixture
def state() -> ModelState:
    """Version 1 is in production and champion, version 2 is new; both are protected."""
    state = ModelState()
    protection = model_pb2.Protection(stages=[PRODUCTION], aliases=["champion"], roles=["release"])
    take(state, model_pb2.ModelCreated(model_id="m", name="m", protection=protection))
    for number in (1, 2):
        take(state, version_pb2.VersionCreated(model_id="m", version=number))
    take(state, version_pb2.VersionTransitioned(version=1, stage=PRODUCTION))
    take(state, alias_pb2.AliasSet(alias="champion", version=1))
    return state


def take(state: ModelState, event: ModelEvent | None, by: By = ADA) -> None:
    assert event is not None
    state.apply(event, Envelope(actor=by.actor), 0)


def move(
    state: ModelState, number: int, to: read_pb2.Stage, by: By, *, archive: bool = False
) -> ModelEvent | None:
    return versions.transition(state, number, to, archive_existing=archive, expected=0, by=by)


CHANGES: list[Callable[[ModelState, By], ModelEvent | None]] = [
    lambda state, by: move(state, 2, PRODUCTION, by),
    lambda state, by: move(state, 2, PRODUCTION, by, archive=True),
    lambda state, by: move(state, 1, STAGING, by),
    lambda state, by: versions.delete(state, 1, by),
    lambda state, by: aliases.set_alias(state, "champion", 2, expected=0, by=by),
    lambda state, by: aliases.delete_alias(state, "champion", by),
    lambda state, by: models.rename(state, "n", by),
    lambda state, by: models.delete(state, by),
    lambda state, by: models.protect(state, model_pb2.Protection(), by),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_protected_takes_a_role(
    state: ModelState, change: Callable[[ModelState, By], ModelEvent | None]
) -> None:
    with pytest.raises(Forbidden):
        change(state, ADA)
    assert change(state, BOSS) is not None


def test_the_rest_is_free(state: ModelState) -> None:
    assert move(state, 2, STAGING, ADA, archive=True) is not None
    assert aliases.set_alias(state, "challenger", 1, expected=0, by=ADA) is not None
    assert versions.delete(state, 2, ADA) is not None
    assert models.update(state, "text") is not None
    # Nothing changes, so nobody is asked for a role.
    assert move(state, 1, PRODUCTION, ADA) is None
    assert aliases.set_alias(state, "champion", 1, expected=0, by=ADA) is None


def ask(state: ModelState, by: By = ADA, **to: object) -> int:
    asked = transition_pb2.RequestTransitionRequest(name="m", version=2, by=by, **to)  # type: ignore[arg-type]
    take(state, transitions.request(state, asked), by)
    return state.last_request


def test_a_request_is_approved_by_somebody_else_with_the_role(state: ModelState) -> None:
    request = ask(state, stage=PRODUCTION, archive_existing=True)
    with pytest.raises(Forbidden):
        transitions.approve(state, request, BOB)
    with pytest.raises(Forbidden):
        transitions.approve(state, request, By(actor="ada", roles=["release"]))
    take(state, transitions.approve(state, request, BOSS), BOSS)
    assert state.in_stage(PRODUCTION) == [2]
    assert state.in_stage(read_pb2.STAGE_ARCHIVED) == [1]
    described = state.describe_request(request)
    assert (described.state, described.requester, described.decider) == (
        transition_pb2.TRANSITION_STATE_APPROVED,
        "ada",
        "boss",
    )
    with pytest.raises(FailedPrecondition):
        transitions.approve(state, request, BOSS)


def test_an_alias_is_asked_for_and_approved(state: ModelState) -> None:
    request = ask(state, alias="champion")
    take(state, transitions.approve(state, request, BOSS), BOSS)
    assert state.aliases == {"champion": 2}


def test_who_asked_takes_it_back_and_who_may_rejects(state: ModelState) -> None:
    for by in (ADA, BOSS):
        request = ask(state, stage=PRODUCTION)
        with pytest.raises(Forbidden):
            transitions.reject(state, request, BOB)
        take(state, transitions.reject(state, request, by), by)
        assert state.describe_request(request).state == transition_pb2.TRANSITION_STATE_REJECTED
    assert move(state, 2, STAGING, ADA) is not None


def test_what_is_not_protected_may_be_approved_by_who_asked(state: ModelState) -> None:
    request = ask(state, stage=STAGING)
    take(state, transitions.approve(state, request, ADA))
    assert state.in_stage(STAGING) == [2]


def test_requests_of_a_deleted_version_are_void(state: ModelState) -> None:
    request = ask(state, stage=STAGING)
    take(state, versions.delete(state, 2, ADA))
    assert state.describe_request(request).state == transition_pb2.TRANSITION_STATE_VOID
    with pytest.raises(FailedPrecondition):
        transitions.approve(state, request, ADA)
    with pytest.raises(NotFound):
        transitions.approve(state, 99, ADA)


def test_a_model_without_protection_is_everybodys(state: ModelState) -> None:
    take(state, models.protect(state, model_pb2.Protection(), BOSS), BOSS)
    for change in CHANGES[:-1]:
        assert change(state, ADA) is not None
