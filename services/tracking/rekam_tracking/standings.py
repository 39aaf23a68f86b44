"""What runs and models need to know of their experiments; the experiments' own folder answers it."""

from __future__ import annotations

from typing import Protocol

from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import FailedPrecondition, NotFound
from rekam_runtime.eventlog.envelope import Cause


class Standing(Protocol):
    """An experiment as far as what lies in it depends on it."""

    @property
    def experiment_id(self) -> str: ...

    @property
    def artifact_location(self) -> str: ...

    @property
    def lifecycle(self) -> read_pb2.Lifecycle: ...

    @property
    def lifecycle_position(self) -> int:
        """Position of the event that deleted or restored it last, 0 when none did."""
        ...


class Experiments(Protocol):
    async def catch_up(self) -> None:
        """After this, the answers below hold what lay in the log at the call."""
        ...

    @property
    def remembered(self) -> bool:
        """Whether they hold every delete that was answered, if not all else, without asking."""
        ...

    def standing(self, experiment_id: str) -> Standing | None: ...

    def standing_by_name(self, name: str) -> Standing | None: ...

    async def ensure(self, name: str, cause: Cause) -> Standing:
        """The experiment of this name, created when there is none."""
        ...


def require_for_creation(experiment: Standing | None, experiment_id: str) -> Standing:
    """The experiment that something is created in; None when there is none of this id."""
    if experiment is None:
        raise NotFound(f"No Experiment with id={experiment_id} exists", field="experiment_id")
    if experiment.lifecycle == read_pb2.LIFECYCLE_DELETED:
        raise FailedPrecondition(
            f"The experiment {experiment.experiment_id} must be in the 'active' state. "
            "Current state is deleted.",
            field="experiment_id",
        )
    return experiment


def artifact_uri(experiment: Standing, owner: str) -> str:
    """Where an owner's artifacts lie; owner: its path below the experiment's location."""
    path, mark, query = experiment.artifact_location.partition("?")
    return f"{path.rstrip('/')}/{owner}/artifacts{mark}{query}"
