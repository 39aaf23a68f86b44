"""Calls about versions of registered models: their stages, aliases and tags."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Unpack

from rekam import registered_conversion as conversion
from rekam.calls.deciding import By, by_message
from rekam.calls.registered_models import RegisteredModels
from rekam.calls.session import new_origin, page_size, tags_of
from rekam.entities import PagedList
from rekam.errors import AlreadyExists, NotFound, RekamError
from rekam.registered import AsOf, ModelVersion
from rekam.server import user_name
from rekam_proto.registry.v1 import alias_pb2, resolve_pb2, version_pb2
from rekam_proto.tracking.v1 import logged_model_pb2

log = logging.getLogger("rekam")


class NamedVersion(Protocol):
    """A version by its model's name and its number."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int | str: ...


class ModelVersions(RegisteredModels):
    """Versions, by their model's name and their number; see RegisteredModels."""

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        model_id: str | None = None,
        *,
        location: str | None = None,
        digest: str | None = None,
        signature: str | None = None,
        **by: Unpack[By],
    ) -> ModelVersion:
        """Create the next version of a model; see rekam.register_model, which finds out the most of this.

        source: a URI. location: where its files are, what the source stands for if None. model_id: of the
        logged model that it is made from, which says so in its tag mlflow.modelVersions. NotFound when there
        is no such model.
        """
        request = version_pb2.CreateModelVersionRequest(
            name=name,
            source=source,
            location=location or "",
            run_id=run_id or "",
            run_link=run_link or "",
            logged_model_id=model_id or "",
            digest=digest or "",
            signature=signature or "",
            description=description or "",
            tags=tags_of(tags),
            by=by_message(by),
        )
        created = self._version(self._server.registry.versions.CreateModelVersion, request)
        if created.model_id:
            self._record(created)
        return created

    def copy_model_version(
        self, src_model_version: NamedVersion, dst_name: str, **by: Unpack[By]
    ) -> ModelVersion:
        """Make a version the next one of another model, which is created when it is missing: same bytes."""
        request = version_pb2.CopyModelVersionRequest(
            name=src_model_version.name,
            version=conversion.version_of(src_model_version.version),
            to_name=dst_name,
            by=by_message(by),
        )
        copy = self._server.registry.versions.CopyModelVersion
        try:
            return self._version(copy, request)
        except NotFound:
            # Nothing is created for a copy of what is not there.
            self.get_model_version(src_model_version.name, src_model_version.version)
            self.ensure_registered_model(dst_name, **by)
            return self._version(copy, request)

    def ensure_registered_model(self, name: str, **by: Unpack[By]) -> None:
        """Create the model when there is none of this name."""
        try:
            self.create_registered_model(name, **by)
        except AlreadyExists:
            pass

    def get_model_version(self, name: str, version: int | str, *, as_of: AsOf | None = None) -> ModelVersion:
        """A version with its signature, tags and aliases."""
        request = version_pb2.GetModelVersionRequest(
            name=name,
            version=conversion.version_of(version),
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        return self._version(self._server.registry.versions.GetModelVersion, request)

    def get_model_version_by_alias(self, name: str, alias: str, *, as_of: AsOf | None = None) -> ModelVersion:
        """The version that an alias points to; "latest" is the highest. NotFound when it is not set."""
        request = alias_pb2.GetVersionByAliasRequest(
            name=name, alias=alias, as_of=conversion.moment_of(as_of), consistency=self._consistency
        )
        return self._version(self._server.registry.aliases.GetVersionByAlias, request)

    def get_model_version_download_uri(
        self, name: str, version: int | str, *, as_of: AsOf | None = None
    ) -> str:
        """Where a version's files are."""
        return self.get_model_version(name, version, as_of=as_of).location

    def resolve_model(self, model_uri: str, *, as_of: AsOf | None = None) -> ModelVersion:
        """The version that a URI means.

        models:/NAME/VERSION, models:/NAME/STAGE (the highest version in it), models:/NAME/latest or
        models:/NAME@ALIAS. rekam.registry answers the same from memory.
        """
        request = resolve_pb2.ResolveRequest(
            uri=model_uri, as_of=conversion.moment_of(as_of), consistency=self._consistency
        )
        answer = self._call(self._server.registry.resolve.Resolve, request)
        return conversion.model_version_from(answer.version)

    def get_latest_versions(
        self, name: str, stages: Sequence[str] | None = None, *, as_of: AsOf | None = None
    ) -> list[ModelVersion]:
        """The highest version of each stage that has one, or of some stages."""
        request = version_pb2.GetLatestVersionsRequest(
            name=name,
            stages=[conversion.stage_of(stage, f"stages[{i}]") for i, stage in enumerate(stages or ())],
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        answer = self._call(self._server.registry.versions.GetLatestVersions, request)
        return [conversion.model_version_from(each) for each in answer.versions]

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 1_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        as_of: AsOf | None = None,
    ) -> PagedList:
        """A page of ModelVersion, the last changed first if not ordered otherwise. max_results: 1 to 10,000.

        Filters are over name, version_number, run_id, source_path, current_stage and tags.
        """
        request = version_pb2.SearchModelVersionsRequest(
            filter=filter_string or "",
            order_by=order_by or [],
            page_size=page_size(max_results),
            page_token=page_token or "",
            as_of=conversion.moment_of(as_of),
            consistency=self._consistency,
        )
        answer = self._call(self._server.registry.versions.SearchModelVersions, request)
        found = [conversion.model_version_from(each) for each in answer.versions]
        return PagedList(found, answer.next_page_token or None)

    def update_model_version(
        self, name: str, version: int | str, description: str | None = None, **by: Unpack[By]
    ) -> ModelVersion:
        """Replace a version's description; None clears it."""
        request = version_pb2.UpdateModelVersionRequest(
            name=name,
            version=conversion.version_of(version),
            description=description or "",
            by=by_message(by),
        )
        return self._version(self._server.registry.versions.UpdateModelVersion, request)

    def delete_model_version(self, name: str, version: int | str, **by: Unpack[By]) -> None:
        """Delete a version with its tags and aliases; its number is not given again."""
        request = version_pb2.DeleteModelVersionRequest(
            name=name, version=conversion.version_of(version), by=by_message(by)
        )
        self._call(self._server.registry.versions.DeleteModelVersion, request)

    def transition_model_version_stage(
        self,
        name: str,
        version: int | str,
        stage: str,
        archive_existing_versions: bool = False,
        *,
        expected_stage: str | None = None,
        expected_version: int | str | None = None,
        **by: Unpack[By],
    ) -> ModelVersion:
        """Move a version into a stage.

        archive_existing_versions: every other version in the stage becomes Archived (Staging and
        Production only). expected_stage: where the version must be now, expected_version: the highest that
        must be in the stage now, or Stale.
        """
        request = version_pb2.TransitionModelVersionRequest(
            name=name,
            version=conversion.version_of(version),
            stage=conversion.stage_of(stage),
            archive_existing=archive_existing_versions,
            expected_version=_expected(expected_version),
            by=by_message(by),
        )
        if expected_stage is not None:
            request.expected_stage = conversion.stage_of(expected_stage, "expected_stage")
        return self._version(self._server.registry.versions.TransitionModelVersion, request)

    def set_model_version_tag(
        self, name: str, version: int | str, key: str, value: Any, **by: Unpack[By]
    ) -> None:
        """Set a tag of a version."""
        request = version_pb2.SetModelVersionTagsRequest(
            name=name,
            version=conversion.version_of(version),
            tags=tags_of({key: value}),
            by=by_message(by),
        )
        self._call(self._server.registry.versions.SetModelVersionTags, request)

    def delete_model_version_tag(self, name: str, version: int | str, key: str, **by: Unpack[By]) -> None:
        """Delete a tag of a version; one that is not set is passed over."""
        request = version_pb2.DeleteModelVersionTagsRequest(
            name=name, version=conversion.version_of(version), keys=[key], by=by_message(by)
        )
        self._call(self._server.registry.versions.DeleteModelVersionTags, request)

    def set_registered_model_alias(
        self,
        name: str,
        alias: str,
        version: int | str,
        *,
        expected_version: int | str | None = None,
        **by: Unpack[By],
    ) -> int | None:
        """Point an alias to a version; answers where it pointed before.

        expected_version: where it must point now, or Stale.
        """
        request = alias_pb2.SetAliasRequest(
            name=name,
            alias=alias,
            version=conversion.version_of(version),
            expected_version=_expected(expected_version),
            by=by_message(by),
        )
        answer = self._call(self._server.registry.aliases.SetAlias, request)
        return int(answer.previous_version) or None

    def delete_registered_model_alias(self, name: str, alias: str, **by: Unpack[By]) -> None:
        """Delete an alias; one that is not set is passed over."""
        request = alias_pb2.DeleteAliasRequest(name=name, alias=alias, by=by_message(by))
        self._call(self._server.registry.aliases.DeleteAlias, request)

    def _version(self, method: Any, request: Any) -> ModelVersion:
        return conversion.model_version_from(self._call(method, request))

    def _record(self, version: ModelVersion) -> None:
        """Say it of the logged model, too. The version is there, whatever becomes of this."""
        request = logged_model_pb2.RecordModelVersionRequest(
            model_id=version.model_id,
            name=version.name,
            version=version.version,
            actor=user_name(),
            origin=new_origin(),
        )
        try:
            self._call(self._server.logged_models.RecordModelVersion, request)
        except RekamError as error:
            log.warning(
                "logged model %s does not say that it is version %d of %s: %s",
                version.model_id,
                version.version,
                version.name,
                error,
            )


def _expected(version: int | str | None) -> int:
    return 0 if version is None else conversion.version_of(version, "expected_version")
