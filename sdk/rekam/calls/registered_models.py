"""Calls about registered models: a name, under which versions are numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from rekam import registered_conversion as conversion
from rekam.calls.deciding import By, by_message
from rekam.calls.session import Session, page_size, tags_of
from rekam.entities import PagedList
from rekam.registered import AsOf, ModelChange, Protection, RegisteredModel
from rekam_proto.registry.v1 import history_pb2, model_pb2


class RegisteredModels(Session):
    """Registered models, by name.

    Every change takes reason, actor and roles (By). Every read takes as_of: a position of the registry's
    log, or a datetime; it answers for now if None. Forbidden when the model is protected.
    """

    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        *,
        protection: Protection | None = None,
        **by: Unpack[By],
    ) -> RegisteredModel:
        """Create a model without versions. AlreadyExists when the name is taken."""
        request = model_pb2.CreateRegisteredModelRequest(
            name=name,
            description=description or "",
            tags=tags_of(tags),
            protection=conversion.protection_message(protection),
            by=by_message(by),
        )
        return self._model(self._server.registry.models.CreateRegisteredModel, request)

    def get_registered_model(self, name: str, *, as_of: AsOf | None = None) -> RegisteredModel:
        """A model with its tags, aliases and the latest version of each stage."""
        request = model_pb2.GetRegisteredModelRequest(
            name=name, as_of=conversion.moment_of(as_of), consistency=self._consistency
        )
        return self._model(self._server.registry.models.GetRegisteredModel, request)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        as_of: AsOf | None = None,
    ) -> PagedList:
        """A page of RegisteredModel, by name if not ordered otherwise. max_results: 1 to 1,000.

        Filters are over name and tags. Prompts are found only by a filter that speaks of their tag.
        """
        request = model_pb2.SearchRegisteredModelsRequest(
            filter=filter_string or "",
            order_by=order_by or [],
            page_size=page_size(max_results),
            page_token=page_token or "",
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        answer = self._call(self._server.registry.models.SearchRegisteredModels, request)
        found = [conversion.registered_model_from(each) for each in answer.models]
        return PagedList(found, answer.next_page_token or None)

    def rename_registered_model(self, name: str, new_name: str, **by: Unpack[By]) -> RegisteredModel:
        """Rename a model: everything moves along, the old name is free. AlreadyExists when it is taken."""
        request = model_pb2.RenameRegisteredModelRequest(name=name, new_name=new_name, by=by_message(by))
        return self._model(self._server.registry.models.RenameRegisteredModel, request)

    def update_registered_model(
        self, name: str, description: str | None = None, **by: Unpack[By]
    ) -> RegisteredModel:
        """Replace a model's description; None clears it."""
        request = model_pb2.UpdateRegisteredModelRequest(
            name=name, description=description or "", by=by_message(by)
        )
        return self._model(self._server.registry.models.UpdateRegisteredModel, request)

    def delete_registered_model(self, name: str, **by: Unpack[By]) -> None:
        """Delete a model with its versions, tags and aliases. Reads as of an earlier moment still find it."""
        request = model_pb2.DeleteRegisteredModelRequest(name=name, by=by_message(by))
        self._call(self._server.registry.models.DeleteRegisteredModel, request)

    def set_registered_model_tag(self, name: str, key: str, value: Any, **by: Unpack[By]) -> None:
        """Set a tag of a model."""
        request = model_pb2.SetRegisteredModelTagsRequest(
            name=name, tags=tags_of({key: value}), by=by_message(by)
        )
        self._call(self._server.registry.models.SetRegisteredModelTags, request)

    def delete_registered_model_tag(self, name: str, key: str, **by: Unpack[By]) -> None:
        """Delete a tag of a model; one that is not set is passed over."""
        request = model_pb2.DeleteRegisteredModelTagsRequest(name=name, keys=[key], by=by_message(by))
        self._call(self._server.registry.models.DeleteRegisteredModelTags, request)

    def protect_registered_model(
        self, name: str, protection: Protection, **by: Unpack[By]
    ) -> RegisteredModel:
        """Replace what protects a model; Protection() lifts it."""
        request = model_pb2.ProtectRegisteredModelRequest(
            name=name, protection=conversion.protection_message(protection), by=by_message(by)
        )
        return self._model(self._server.registry.models.ProtectRegisteredModel, request)

    def get_registered_model_history(
        self,
        name: str | None = None,
        *,
        registered_model_id: str | None = None,
        version: int | str | None = None,
        stage: str | None = None,
        alias: str | None = None,
        max_results: int = 100,
        page_token: str | None = None,
        as_of: AsOf | None = None,
    ) -> PagedList:
        """A page of ModelChange, the newest first: of a model, or of one version, stage or alias of it.

        The model is named by who has the name, else who had it last, or by its id, deleted or not.
        max_results: 1 to 1,000.
        """
        request = history_pb2.GetHistoryRequest(
            name=name,
            model_id=registered_model_id,
            version=None if version is None else conversion.version_of(version),
            stage=None if stage is None else conversion.stage_of(stage),
            alias=alias,
            page_size=page_size(max_results),
            page_token=page_token or "",
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        answer = self._call(self._server.registry.history.GetHistory, request)
        changes: list[ModelChange] = [conversion.change_from(each) for each in answer.changes]
        return PagedList(changes, answer.next_page_token or None)

    def _model(self, method: Any, request: Any) -> RegisteredModel:
        return conversion.registered_model_from(self._call(method, request))
