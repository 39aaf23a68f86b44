"""What runs need to know of their experiments; the experiments' own folder answers it."""

from __future__ import annotations

from typing import Protocol

from rekam_proto.tracking.v1 import read_pb2
from rekam_tracking.aggregates import Cause


class Standing(Protocol):
    """An experiment as far as its runs depend on it."""

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

    def standing(self, experiment_id: str) -> Standing | None: ...

    def standing_by_name(self, name: str) -> Standing | None: ...

    async def ensure(self, name: str, cause: Cause) -> Standing:
        """The experiment of this name, created when there is none."""
        ...
