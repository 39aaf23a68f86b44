"""The services: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_artifacts import rules
from rekam_artifacts.collection.collector import Collector
from rekam_artifacts.files import query as files_query
from rekam_artifacts.files.ledger import Files, put_event
from rekam_artifacts.journal import Journal
from rekam_artifacts.lineage import query as lineage_query
from rekam_artifacts.lineage.ledger import record_use
from rekam_artifacts.reads import Reads
from rekam_artifacts.requests import Context, cause_of
from rekam_artifacts.uploads.ledger import Uploads
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc, storage_pb2_grpc
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import Invalid

_STRONG = read_pb2.CONSISTENCY_STRONG
_MAX_LISTED = 10_000
_LISTED = 1_000
_MAX_EDGES = 1_000
_EDGES = 100


class ArtifactServicer(artifact_pb2_grpc.ArtifactServiceServicer):
    """Files, uploads and lineage, for clients."""

    def __init__(
        self, journal: Journal, reads: Reads, files: Files, uploads: Uploads, store: BlobStore
    ) -> None:
        self._journal = journal
        self._reads = reads
        self._files = files
        self._uploads = uploads
        self._store = store

    async def PutFiles(
        self, request: artifact_pb2.PutFilesRequest, context: Context
    ) -> artifact_pb2.PutFilesResponse:
        for index, file in enumerate(request.files):
            if file.object_key:
                raise Invalid("an object's key is in answers only", field=f"files[{index}].object_key")
        return await _put(self._files, request, context)

    async def GetFile(self, request: artifact_pb2.GetFileRequest, context: Context) -> artifact_pb2.File:
        rules.path(request.path)
        async with self._reads.connection(request.consistency, context) as connection:
            return await files_query.get_file(connection, request.path)

    async def ListFiles(
        self, request: artifact_pb2.ListFilesRequest, context: Context
    ) -> artifact_pb2.ListFilesResponse:
        if request.path:
            rules.path(request.path)
        page_size = rules.page_size(request.page_size, default=_LISTED, most=_MAX_LISTED)
        async with self._reads.connection(request.consistency, context) as connection:
            return await files_query.list_files(connection, request, page_size)

    async def DeleteFiles(
        self, request: artifact_pb2.DeleteFilesRequest, context: Context
    ) -> artifact_pb2.DeleteFilesResponse:
        rules.path(request.path)
        await self._files.delete(
            request.path, cause_of(request, context), context, recursive=request.recursive
        )
        return artifact_pb2.DeleteFilesResponse()

    async def FindBlobs(
        self, request: artifact_pb2.FindBlobsRequest, context: Context
    ) -> artifact_pb2.FindBlobsResponse:
        rules.some(len(request.digests), "digests")
        for index, digest in enumerate(request.digests):
            rules.digest(digest, f"digests[{index}]")
        async with self._reads.connection(_STRONG, context) as connection:
            digests = [bytes.fromhex(digest) for digest in request.digests]
            return artifact_pb2.FindBlobsResponse(blobs=await files_query.find_blobs(connection, digests))

    async def StartUpload(
        self, request: artifact_pb2.StartUploadRequest, context: Context
    ) -> artifact_pb2.Upload:
        rules.path(request.path)
        rules.size(request.size)
        rules.media_type(request.media_type)
        rules.part_count(request.parts)
        if request.digest:
            rules.digest(request.digest)
        expires_s = rules.expires_s(request.expires_s)
        cause = cause_of(request, context)
        await self._files.check_path(request.path, context)
        return await self._uploads.start(request, expires_s, cause, context)

    async def GetUpload(
        self, request: artifact_pb2.GetUploadRequest, context: Context
    ) -> artifact_pb2.Upload:
        rules.upload_id(request.upload_id)
        if len(request.sign) > rules.MAX_FILES:
            raise Invalid(f"a request signs at most {rules.MAX_FILES} parts", field="sign")
        for index, number in enumerate(request.sign):
            rules.part_number(number, f"sign[{index}]")
        return await self._uploads.get(request, rules.expires_s(request.expires_s), context)

    async def CompleteUpload(
        self, request: artifact_pb2.CompleteUploadRequest, context: Context
    ) -> artifact_pb2.File:
        rules.upload_id(request.upload_id)
        _check_parts(request.parts)
        if request.digest:
            rules.digest(request.digest)
        cause = cause_of(request, context)
        file, listed = await self._uploads.verified(request, cause, context)
        if listed:
            return file
        (file,) = await self._files.put(put_event([file], request.upload_id), cause, context)
        return file

    async def AbortUpload(
        self, request: artifact_pb2.AbortUploadRequest, context: Context
    ) -> artifact_pb2.AbortUploadResponse:
        rules.upload_id(request.upload_id)
        await self._uploads.abort(request.upload_id, cause_of(request, context), context)
        return artifact_pb2.AbortUploadResponse()

    async def SignDownload(
        self, request: artifact_pb2.SignDownloadRequest, context: Context
    ) -> artifact_pb2.SignedDownload:
        rules.path(request.path)
        expires_s = rules.expires_s(request.expires_s)
        async with self._reads.connection(_STRONG, context) as connection:
            file = await files_query.get_file(connection, request.path)
        signed = await self._store.sign_get(file.object_key, expires_s, media_type=file.media_type)
        return artifact_pb2.SignedDownload(file=file, url=signed.url, headers=signed.headers)

    async def RecordUse(
        self, request: artifact_pb2.RecordUseRequest, context: Context
    ) -> artifact_pb2.RecordUseResponse:
        rules.run_id(request.run_id)
        rules.some(len(request.paths), "paths")
        rules.request_bytes(request.ByteSize(), "paths")
        for index, path in enumerate(request.paths):
            rules.path(path, f"paths[{index}]")
        cause = cause_of(request, context)
        async with self._reads.connection(_STRONG, context) as connection:
            files = await files_query.get_files(connection, request.paths)
            for index, path in enumerate(request.paths):
                if path not in files:  # it says why
                    await files_query.get_file(connection, path, f"paths[{index}]")
        await record_use(self._journal, request.run_id, list(files.values()), cause, context)
        return artifact_pb2.RecordUseResponse()

    async def GetLineage(
        self, request: artifact_pb2.GetLineageRequest, context: Context
    ) -> artifact_pb2.GetLineageResponse:
        of = request.WhichOneof("of")
        match of:
            case "path":
                rules.path(request.path)
            case "digest":
                rules.digest(request.digest)
            case "run_id":
                rules.run_id(request.run_id)
            case "model_id":
                rules.model_id(request.model_id)
            case _:
                raise Invalid("a request names a path, a digest, a run or a model", field="of")
        page_size = rules.page_size(request.page_size, default=_EDGES, most=_MAX_EDGES)
        async with self._reads.connection(request.consistency, context) as connection:
            if of in ("run_id", "model_id"):
                owner = request.run_id or request.model_id
                return await lineage_query.of_owner(connection, owner, request, page_size)
            digest = request.digest
            if of == "path":
                digest = (await files_query.get_file(connection, request.path)).digest
            return await lineage_query.of_digest(connection, bytes.fromhex(digest), request, page_size)


class StorageServicer(storage_pb2_grpc.StorageServiceServicer):
    """Files whose bytes the gateway has put into S3."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def PutStoredFiles(
        self, request: artifact_pb2.PutFilesRequest, context: Context
    ) -> artifact_pb2.PutFilesResponse:
        for index, file in enumerate(request.files):
            if file.object_key:
                rules.object_key(file.object_key, f"files[{index}].object_key")
        return await _put(self._files, request, context)


class CollectionServicer(artifact_pb2_grpc.CollectionServiceServicer):
    """Collection of garbage, asked for by an operator."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def Collect(
        self, request: artifact_pb2.CollectRequest, context: Context
    ) -> artifact_pb2.CollectResponse:
        return await self._collector.collect(cause_of(request, context), dry_run=request.dry_run)


async def _put(
    files: Files, request: artifact_pb2.PutFilesRequest, context: Context
) -> artifact_pb2.PutFilesResponse:
    rules.some(len(request.files), "files")
    rules.request_bytes(request.ByteSize(), "files")
    for index, file in enumerate(request.files):
        rules.path(file.path, f"files[{index}].path")
        rules.digest(file.digest, f"files[{index}].digest")
        rules.size(file.size, f"files[{index}].size")
        rules.media_type(file.media_type, f"files[{index}].media_type")
    listed = await files.put(put_event(request.files), cause_of(request, context), context)
    return artifact_pb2.PutFilesResponse(files=listed)


def _check_parts(parts: Sequence[artifact_pb2.Part]) -> None:
    if len(parts) > rules.MAX_PARTS:
        raise Invalid(
            f"an upload has at most {rules.MAX_PARTS} parts, this one has {len(parts)}", field="parts"
        )
    before = 0
    for index, part in enumerate(parts):
        rules.part_number(part.number, f"parts[{index}].number")
        if part.number <= before:
            raise Invalid(
                "parts are in the order of their numbers, each once", field=f"parts[{index}].number"
            )
        before = part.number
