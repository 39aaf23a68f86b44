"""ModelVersionService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import version_pb2, version_pb2_grpc
from rekam_registry import rules, uris
from rekam_registry.events import ModelEvent
from rekam_registry.ledger import Ledger
from rekam_registry.reads import Reads
from rekam_registry.requests import Context, cause_of
from rekam_registry.state import ModelState, tags_of
from rekam_registry.versions import command, query
from rekam_runtime.eventlog.envelope import Cause

SERVICE = "rekam_proto.registry.v1.ModelVersionService"


class ModelVersionServicer(version_pb2_grpc.ModelVersionServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, ledger: Ledger, reads: Reads) -> None:
        self._ledger = ledger
        self._reads = reads

    async def CreateModelVersion(
        self, request: version_pb2.CreateModelVersionRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        rules.name(request.name)
        tags = rules.tags(request.tags)
        is_prompt = rules.is_prompt(tags)
        if is_prompt:
            rules.text(request.source, rules.MAX_SOURCE, "source", "a source")
        else:
            rules.source(request.source, owned=bool(request.run_id or request.logged_model_id))
        rules.text(request.location, rules.MAX_SOURCE, "location", "a location")
        rules.text(request.run_id, rules.MAX_RUN_ID, "run_id", "a run's id")
        rules.text(request.run_link, rules.MAX_RUN_LINK, "run_link", "a run's link")
        rules.logged_model_id(request.logged_model_id)
        rules.digest(request.digest)
        rules.text(request.signature, rules.MAX_SIGNATURE, "signature", "a signature")
        rules.description(request.description)
        location = request.location
        if not location:
            location = request.source if is_prompt else await self._location(request.source)
        content = version_pb2.VersionCreated(
            source=request.source,
            location=location,
            run_id=request.run_id,
            run_link=request.run_link,
            logged_model_id=request.logged_model_id,
            digest=request.digest,
            signature=request.signature,
            description=request.description,
            tags=tags_of(tags),
        )
        return await self._create(request.name, content, cause)

    async def CopyModelVersion(
        self, request: version_pb2.CopyModelVersionRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        _check_place(request)
        rules.name(request.to_name, "to_name")
        original = await self._ledger.look(
            request.name, lambda state: state.describe_version(request.version)
        )
        return await self._create(request.to_name, command.copy_of(original), cause)

    async def GetModelVersion(
        self, request: version_pb2.GetModelVersionRequest, context: Context
    ) -> version_pb2.ModelVersion:
        _check_place(request)
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.get_version(view, request.name, request.version)

    async def SearchModelVersions(
        self, request: version_pb2.SearchModelVersionsRequest, context: Context
    ) -> version_pb2.SearchModelVersionsResponse:
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.search_versions(view, request)

    async def GetLatestVersions(
        self, request: version_pb2.GetLatestVersionsRequest, context: Context
    ) -> version_pb2.GetLatestVersionsResponse:
        rules.name(request.name)
        for index, stage in enumerate(request.stages):
            rules.stage(stage, f"stages[{index}]")
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            versions = await query.latest_versions(view, request.name, request.stages)
        return version_pb2.GetLatestVersionsResponse(versions=versions)

    async def UpdateModelVersion(
        self, request: version_pb2.UpdateModelVersionRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        _check_place(request)
        rules.description(request.description)
        return await self._ledger.change(
            request.name,
            lambda state: command.update(state, request.version, request.description),
            lambda state, _: state.describe_version(request.version),
            cause,
        )

    async def DeleteModelVersion(
        self, request: version_pb2.DeleteModelVersionRequest, context: Context
    ) -> version_pb2.DeleteModelVersionResponse:
        cause = cause_of(request, context)
        _check_place(request)
        return await self._ledger.change(
            request.name,
            lambda state: command.delete(state, request.version, request.by),
            lambda state, _: version_pb2.DeleteModelVersionResponse(),
            cause,
        )

    async def TransitionModelVersion(
        self, request: version_pb2.TransitionModelVersionRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        _check_place(request)
        rules.stage(request.stage)
        rules.archiving(request.stage, request.archive_existing)
        if request.expected_stage:
            rules.stage(request.expected_stage, "expected_stage")
        if request.expected_version:
            rules.version(request.expected_version, "expected_version")
        return await self._ledger.change(
            request.name,
            lambda state: command.transition(
                state,
                request.version,
                request.stage,
                archive_existing=request.archive_existing,
                expected=request.expected_stage,
                expected_version=request.expected_version,
                by=request.by,
            ),
            lambda state, _: state.describe_version(request.version),
            cause,
        )

    async def SetModelVersionTags(
        self, request: version_pb2.SetModelVersionTagsRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        _check_place(request)
        rules.some(request.tags, "tags")
        tags = rules.tags(request.tags)
        return await self._ledger.change(
            request.name,
            lambda state: command.set_tags(state, request.version, tags),
            lambda state, _: state.describe_version(request.version),
            cause,
        )

    async def DeleteModelVersionTags(
        self, request: version_pb2.DeleteModelVersionTagsRequest, context: Context
    ) -> version_pb2.ModelVersion:
        cause = cause_of(request, context)
        _check_place(request)
        rules.some(request.keys, "keys")
        keys = rules.keys(request.keys)
        return await self._ledger.change(
            request.name,
            lambda state: command.delete_tags(state, request.version, keys),
            lambda state, _: state.describe_version(request.version),
            cause,
        )

    async def _create(
        self, name: str, content: version_pb2.VersionCreated, cause: Cause
    ) -> version_pb2.ModelVersion:
        def answer(state: ModelState, event: ModelEvent | None) -> version_pb2.ModelVersion:
            if isinstance(event, version_pb2.VersionCreated):
                return state.describe_version(event.version)
            # This request created it before.
            return state.describe_version(state.creators[cause.writer])

        return await self._ledger.change(
            name, lambda state: command.create(state, content, cause.writer), answer, cause
        )

    async def _location(self, source: str) -> str:
        """Where the files of a source are: those of a version are where that one's are."""
        if not source.startswith(uris.SCHEME) or uris.is_logged_model(source):
            return source
        uri = uris.parse(source, "source")
        return await self._ledger.look(
            uri.name, lambda state: state.version(uris.find(state, uri)).core.location
        )


_Placed = (
    version_pb2.CopyModelVersionRequest
    | version_pb2.GetModelVersionRequest
    | version_pb2.UpdateModelVersionRequest
    | version_pb2.DeleteModelVersionRequest
    | version_pb2.TransitionModelVersionRequest
    | version_pb2.SetModelVersionTagsRequest
    | version_pb2.DeleteModelVersionTagsRequest
)


def _check_place(request: _Placed) -> None:
    rules.name(request.name)
    rules.version(request.version)
