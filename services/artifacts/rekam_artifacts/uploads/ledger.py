"""Uploads that go to S3 directly: begun, gone on with, checked at their end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from uuid import UUID

from rekam_artifacts.journal import Journal
from rekam_artifacts.reads import Reads
from rekam_artifacts.requests import Context
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import File, SignedPart, Upload, UploadAborted, UploadStarted
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.blobs.port import Blob, BlobStore, Part, SignedRequest
from rekam_runtime.errors import FailedPrecondition, Invalid, NotFound
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.postgres import Row, Statements

_STRONG = read_pb2.CONSISTENCY_STRONG
_statements = Statements.load("rekam_artifacts.uploads", "query.sql")


def new_object_key() -> str:
    """Chosen before the bytes are known, and never again."""
    return f"blobs/{secrets.token_hex(16)}"


class Uploads:
    """Carries commands out."""

    def __init__(self, journal: Journal, reads: Reads, store: BlobStore) -> None:
        self._journal = journal
        self._reads = reads
        self._store = store

    async def start(
        self,
        request: artifact_pb2.StartUploadRequest,
        expires_s: int,
        cause: Cause,
        context: Context,
    ) -> Upload:
        """What comes whole and with its digest is put as it is, checked by S3; all else comes in parts."""
        key = new_object_key()
        whole = request.parts == 1 and bool(request.digest)
        event = UploadStarted(
            upload_id=uuid.uuid4().hex,
            path=request.path,
            object_key=key,
            multipart_id="" if whole else await self._store.begin_upload(key, signed=True),
            size=request.size if request.HasField("size") else None,
            digest=bytes.fromhex(request.digest),
            media_type=request.media_type,
        )
        upload = Upload(
            upload_id=event.upload_id,
            path=event.path,
            object_key=key,
            multipart_id=event.multipart_id,
            size=event.size if event.HasField("size") else None,
            digest=request.digest,
            media_type=event.media_type,
            started_ms=time.time_ns() // 1_000_000,
        )
        if request.sign:
            await self._sign(upload, range(1, request.parts + 1), expires_s)
        await self._journal.write(event, event.path, cause, context)
        return upload

    async def get(self, request: artifact_pb2.GetUploadRequest, expires_s: int, context: Context) -> Upload:
        row = await self._find(request.upload_id, context)
        if row["completed"]:
            raise _no_upload(request.upload_id)
        upload = Upload(
            upload_id=request.upload_id,
            path=row["path"],
            object_key=row["object_key"],
            multipart_id=row["multipart_id"],
            size=row["size"],
            digest=(row["digest"] or b"").hex(),
            media_type=row["media_type"],
            started_ms=row["started_us"] // 1000,
        )
        await self._sign(upload, request.sign, expires_s)
        if upload.multipart_id:
            async for part in self._store.list_parts(upload.object_key, upload.multipart_id):
                upload.uploaded.add(number=part.number, etag=part.etag, size=part.size)
        return upload

    async def verified(
        self, request: artifact_pb2.CompleteUploadRequest, cause: Cause, context: Context
    ) -> tuple[File, bool]:
        """The file as it was uploaded, complete and checked; and whether it is listed already."""
        row = await self._find(request.upload_id, context)
        key, known = row["object_key"], (row["digest"] or b"").hex()
        file = File(path=row["path"], media_type=row["media_type"], object_key=key)
        if row["completed"]:
            file.digest, file.size = known, row["size"]
            return file, True
        blob = await self._finish(row, request.parts)
        file.size = blob.size
        file.digest = await self._digest_of(key) if row["multipart_id"] else known
        faults = [
            f"it has {blob.size} bytes, not {row['size']}" if row["size"] not in (None, blob.size) else "",
            *(
                f"its digest is {file.digest}, not {said}"
                for said in (known, request.digest)
                if said not in ("", file.digest)
            ),
        ]
        if fault := next(filter(None, faults), ""):
            await self._abort(request.upload_id, row, cause, context)
            raise FailedPrecondition(f"what was uploaded for {row['path']!r} is not what was said: {fault}")
        return file, False

    async def abort(self, upload_id: str, cause: Cause, context: Context) -> None:
        async with self._reads.connection(_STRONG, context) as connection:
            row = await connection.fetchrow(_statements.find, UUID(upload_id))
        if row is not None and not row["completed"]:
            await self._abort(upload_id, row, cause, context)

    async def _abort(self, upload_id: str, row: Row, cause: Cause, context: Context) -> None:
        await self._journal.write(UploadAborted(upload_id=upload_id), row["path"], cause, context)

    async def _find(self, upload_id: str, context: Context) -> Row:
        async with self._reads.connection(_STRONG, context) as connection:
            row = await connection.fetchrow(_statements.find, UUID(upload_id))
        if row is None:
            raise _no_upload(upload_id)
        return row

    async def _finish(self, row: Row, parts: Sequence[artifact_pb2.Part]) -> Blob:
        """The object as S3 has it; put together, unless that was done before and the answer was lost."""
        key, multipart_id = row["object_key"], row["multipart_id"]
        missing: NotFound | None = None
        if multipart_id:
            if not parts:
                raise Invalid("an upload in parts is completed with its parts", field="parts")
            try:
                await self._store.complete_upload(
                    key, multipart_id, [Part(part.number, part.etag) for part in parts]
                )
            except NotFound as error:
                missing = error
            except Invalid as error:
                raise Invalid(error.message, field="parts") from error
        try:
            return await self._store.stat(key)
        except NotFound as error:
            raise FailedPrecondition(f"nothing was uploaded for {row['path']!r}") from missing or error

    async def _digest_of(self, key: str) -> str:
        digest = hashlib.sha256()
        async with aclosing(self._store.read(key)) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.hexdigest()

    async def _sign(self, upload: Upload, numbers: Iterable[int], expires_s: int) -> None:
        for number in numbers:
            if upload.multipart_id:
                signed = await self._store.sign_part(
                    upload.object_key, upload.multipart_id, number, expires_s
                )
            else:
                signed = await self._store.sign_put(upload.object_key, upload.digest, expires_s)
            upload.parts.append(_signed_part(number, signed))
            await asyncio.sleep(0)  # there may be thousands


def _signed_part(number: int, signed: SignedRequest) -> SignedPart:
    return SignedPart(number=number, url=signed.url, headers=signed.headers)


def _no_upload(upload_id: str) -> NotFound:
    return NotFound(f"there is no upload {upload_id}: it has ended or was given up", field="upload_id")
