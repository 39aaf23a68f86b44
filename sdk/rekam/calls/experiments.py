"""Calls about experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rekam import conversion
from rekam.calls.session import Session, new_origin, page_size, tags_of
from rekam.entities import Experiment, PagedList, ViewType
from rekam.errors import Invalid, NotFound
from rekam.server import user_name
from rekam_proto.tracking.v1 import experiment_pb2


class Experiments(Session):
    """Experiments, by id or name."""

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Create an experiment; returns its id. AlreadyExists when the name is taken, deleted or not."""
        request = _create_experiment(name, artifact_location, tags)
        return str(self._call(self._server.experiments.CreateExperiment, request).experiment_id)

    def ensure_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> Experiment:
        """The experiment of this name, created when there is none. FailedPrecondition when it is deleted."""
        request = _create_experiment(name, artifact_location, tags)
        return conversion.experiment_from(self._call(self._server.experiments.EnsureExperiment, request))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """An experiment, also a deleted one."""
        request = experiment_pb2.GetExperimentRequest(
            experiment_id=experiment_id, consistency=self._consistency
        )
        return conversion.experiment_from(self._query(self._server.experiments.GetExperiment, request))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of this name, also a deleted one; None when there is none."""
        request = experiment_pb2.GetExperimentRequest(name=name, consistency=self._consistency)
        try:
            return conversion.experiment_from(self._query(self._server.experiments.GetExperiment, request))
        except NotFound:
            return None

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an experiment. FailedPrecondition when it is deleted."""
        request = experiment_pb2.RenameExperimentRequest(
            experiment_id=experiment_id, name=new_name, actor=user_name()
        )
        self._call(self._server.experiments.RenameExperiment, request)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and its runs softly: restore_experiment brings them back."""
        request = experiment_pb2.DeleteExperimentRequest(
            experiment_id=experiment_id, actor=user_name(), origin=new_origin()
        )
        self._call(self._server.experiments.DeleteExperiment, request)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring back a deleted experiment and all its runs."""
        request = experiment_pb2.RestoreExperimentRequest(
            experiment_id=experiment_id, actor=user_name(), origin=new_origin()
        )
        self._call(self._server.experiments.RestoreExperiment, request)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set a tag of an experiment (value: up to 5,000 characters)."""
        request = experiment_pb2.SetExperimentTagsRequest(
            experiment_id=experiment_id, tags=tags_of({key: value}), actor=user_name()
        )
        self._call(self._server.experiments.SetExperimentTags, request)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete a tag of an experiment; one that is not set is passed over."""
        request = experiment_pb2.DeleteExperimentTagsRequest(
            experiment_id=experiment_id, keys=[key], actor=user_name()
        )
        self._call(self._server.experiments.DeleteExperimentTags, request)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of Experiment. max_results: 1 to 50,000. An error points at what is wrong in a filter."""
        request = experiment_pb2.SearchExperimentsRequest(
            filter=filter_string or "",
            order_by=order_by or [],
            view=conversion.view_of(view_type),
            page_size=page_size(max_results),
            page_token=page_token or "",
            consistency=self._consistency,
        )
        answer = self._query(self._server.experiments.SearchExperiments, request)
        found = [conversion.experiment_from(each) for each in answer.experiments]
        return PagedList(found, answer.next_page_token or None)


def _create_experiment(
    name: str, artifact_location: str | None, tags: Mapping[str, Any] | None
) -> experiment_pb2.CreateExperimentRequest:
    if not str(name).strip():
        raise Invalid(f"an experiment's name is text that is not blank, got {name!r}", field="name")
    return experiment_pb2.CreateExperimentRequest(
        name=name,
        artifact_location=artifact_location or "",
        tags=tags_of(tags),
        actor=user_name(),
        origin=new_origin(),
    )
