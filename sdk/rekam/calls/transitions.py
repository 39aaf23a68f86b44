"""Calls about requests for transitions: somebody asks, somebody else decides."""

from __future__ import annotations

from typing import Unpack

from rekam import registered_conversion as conversion
from rekam.calls.deciding import By, by_message
from rekam.calls.session import Session, page_size
from rekam.entities import PagedList
from rekam.errors import Invalid
from rekam.registered import AsOf, ModelTransition
from rekam_proto.registry.v1 import transition_pb2


class Transitions(Session):
    """Requests for transitions, by their model's name and their number; see RegisteredModels."""

    def request_model_transition(
        self,
        name: str,
        version: int | str,
        *,
        stage: str | None = None,
        alias: str | None = None,
        archive_existing_versions: bool = False,
        **by: Unpack[By],
    ) -> ModelTransition:
        """Ask to move a version into a stage, or an alias to it."""
        if (stage is None) == (alias is None):
            raise Invalid("give exactly one of stage and alias", field="stage")
        request = transition_pb2.RequestTransitionRequest(
            name=name,
            version=conversion.version_of(version),
            stage=None if stage is None else conversion.stage_of(stage),
            alias=alias,
            archive_existing=archive_existing_versions,
            by=by_message(by),
        )
        answer = self._call(self._server.registry.transitions.RequestTransition, request)
        return conversion.transition_from(answer)

    def approve_model_transition(self, name: str, request_id: int, **by: Unpack[By]) -> ModelTransition:
        """Carry out what was asked for. Of what is protected: by another actor, who has one of the roles.

        FailedPrecondition when it is decided already.
        """
        request = transition_pb2.ApproveTransitionRequest(name=name, request_id=request_id, by=by_message(by))
        answer = self._call(self._server.registry.transitions.ApproveTransition, request)
        return conversion.transition_from(answer)

    def reject_model_transition(self, name: str, request_id: int, **by: Unpack[By]) -> ModelTransition:
        """Refuse what was asked for; whoever asked may take it back so. FailedPrecondition as to approve."""
        request = transition_pb2.RejectTransitionRequest(name=name, request_id=request_id, by=by_message(by))
        answer = self._call(self._server.registry.transitions.RejectTransition, request)
        return conversion.transition_from(answer)

    def list_model_transitions(
        self,
        name: str,
        version: int | str | None = None,
        state: str | None = None,
        max_results: int = 100,
        page_token: str | None = None,
        *,
        as_of: AsOf | None = None,
    ) -> PagedList:
        """A page of ModelTransition, the newest first. max_results: 1 to 1,000."""
        request = transition_pb2.ListTransitionsRequest(
            name=name,
            version=0 if version is None else conversion.version_of(version),
            state=conversion.state_of(state),
            page_size=page_size(max_results),
            page_token=page_token or "",
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        answer = self._call(self._server.registry.transitions.ListTransitions, request)
        found = [conversion.transition_from(each) for each in answer.requests]
        return PagedList(found, answer.next_page_token or None)
