"""Blobs in one bucket of any S3.

The client is imported and made when it is first used: it takes a second and 45 MB, and a
process that reads the log normally has no need of the archive.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, TypeVar

from rekam_runtime.blobs.port import Blob, Part, SignedRequest, Upload
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    Invalid,
    NotFound,
    RekamError,
    Retry,
    SlowDown,
    Unsupported,
)

# Every stream that is read holds one for as long as its reader takes.
CONNECTIONS = 256
# Hashing more than this is done beside the event loop.
_LARGE = 256 * 1024
_CONNECT_S = 3.0
_READ_S = 30.0
_TRIES = 3
_Result = TypeVar("_Result")

# S3's own codes; where there is none (a proxy answers, or HEAD), the HTTP status.
_BY_CODE: dict[str, type[RekamError]] = {
    **dict.fromkeys(("NoSuchKey", "NoSuchUpload", "404"), NotFound),
    **dict.fromkeys(("PreconditionFailed", "412"), AlreadyExists),
    **dict.fromkeys(("InvalidRange", "416"), Invalid),
    **dict.fromkeys(("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"), Invalid),
    **dict.fromkeys(("BadDigest", "ConditionalRequestConflict", "409", "RequestTimeout"), Retry),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "TooManyRequests", "429", "503"), SlowDown),
    **dict.fromkeys(("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"), SlowDown),
    "NoSuchBucket": FailedPrecondition,
    **dict.fromkeys(
        ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401", "403"),
        FailedPrecondition,
    ),
}


class S3Store:
    """`BlobStore` in the bucket that the settings name; share one among all tasks of a process.

    page: keys of a listing that are asked for at a time; S3 has at most 1,000.
    """

    def __init__(self, settings: S3Settings, page: int = 1000) -> None:
        self._settings = settings
        self._page = page
        self._bucket = settings.s3_bucket
        self._stack = AsyncExitStack()
        # By endpoint: requests for others are signed for the address that they know.
        self._made: dict[str, Any] = {}
        self._making = asyncio.Lock()

    @property
    def signs(self) -> bool:
        return bool(self._settings.s3_public_endpoint)

    async def put(self, key: str, data: bytes, sha256: str = "") -> None:
        client = await self._client()
        digest = bytes.fromhex(sha256) if sha256 else await _hashed(data)
        with self._faults(key):
            await client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=io.BytesIO(data),
                IfNoneMatch="*",
                ChecksumSHA256=_base64(digest),
            )

    async def get(self, key: str) -> bytes:
        return b"".join([chunk async for chunk in self.read(key)])

    async def get_range(self, key: str, start: int, size: int) -> bytes:
        if size < 1:
            raise Invalid(f"blob {key} has no {size} bytes at {start}")
        return b"".join([chunk async for chunk in self.read(key, start, size)])

    async def read(self, key: str, start: int = 0, size: int | None = None) -> AsyncGenerator[bytes, None]:
        client = await self._client()
        options = {}
        if start or size is not None:
            last = "" if size is None else start + size - 1
            options["Range"] = f"bytes={start}-{last}"
        with self._faults(key):
            answer = await client.get_object(Bucket=self._bucket, Key=key, **options)
            async with answer["Body"] as body:
                async for chunk in body.content.iter_any():
                    yield chunk

    async def stat(self, key: str) -> Blob:
        client = await self._client()
        with self._faults(key):
            answer = await client.head_object(Bucket=self._bucket, Key=key)
        return Blob(key, answer["ContentLength"], answer["LastModified"])

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        async for page in self._pages("list_objects_v2", prefix, Prefix=prefix, StartAfter=after):
            for entry in page.get("Contents", ()):
                yield Blob(entry["Key"], entry["Size"], entry["LastModified"])

    async def list_uploads(self, prefix: str) -> AsyncIterator[Upload]:
        async for page in self._pages("list_multipart_uploads", prefix, Prefix=prefix):
            for entry in page.get("Uploads", ()):
                yield Upload(entry["Key"], entry["UploadId"], entry["Initiated"])

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        async for page in self._pages("list_parts", key, Key=key, UploadId=upload_id):
            for entry in page.get("Parts", ()):
                yield Part(entry["PartNumber"], entry["ETag"], size=entry["Size"])

    async def _pages(self, operation: str, key: str, **options: str) -> AsyncIterator[dict[str, Any]]:
        client = await self._client()
        pages = client.get_paginator(operation).paginate(
            Bucket=self._bucket, PaginationConfig={"PageSize": self._page}, **options
        )
        iterator = aiter(pages)
        while True:
            with self._faults(key):
                page = await anext(iterator, None)
            if page is None:
                return
            yield page

    async def delete(self, key: str) -> None:
        client = await self._client()
        with self._faults(key):
            await client.delete_object(Bucket=self._bucket, Key=key)

    async def begin_upload(self, key: str, *, signed: bool = False) -> str:
        client = await self._client()
        # Whoever holds a signed request puts bytes alone, without a checksum of ours.
        options = {} if signed else {"ChecksumAlgorithm": "CRC32"}
        with self._faults(key):
            answer = await client.create_multipart_upload(Bucket=self._bucket, Key=key, **options)
        upload_id: str = answer["UploadId"]
        return upload_id

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> Part:
        client = await self._client()
        checksum = _base64((await _beside(zlib.crc32, data)).to_bytes(4))
        with self._faults(key):
            answer = await client.upload_part(
                **self._part(key, upload_id, number), Body=io.BytesIO(data), ChecksumCRC32=checksum
            )
        return Part(number, answer["ETag"], checksum)

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        client = await self._client()
        stored = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                **({"ChecksumCRC32": part.checksum} if part.checksum else {}),
            }
            for part in sorted(parts, key=lambda part: part.number)
        ]
        with self._faults(key):
            await client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": stored}
            )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        client = await self._client()
        with suppress(NotFound), self._faults(key):
            await client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    async def sign_put(self, key: str, sha256: str, valid_s: int) -> SignedRequest:
        checksum = _base64(bytes.fromhex(sha256))
        parameters = {"Bucket": self._bucket, "Key": key, "ChecksumSHA256": checksum}
        url = await self._sign("put_object", parameters, valid_s)
        return SignedRequest(url, {"x-amz-checksum-sha256": checksum})

    async def sign_part(self, key: str, upload_id: str, number: int, valid_s: int) -> SignedRequest:
        return SignedRequest(await self._sign("upload_part", self._part(key, upload_id, number), valid_s), {})

    async def sign_get(
        self, key: str, valid_s: int, *, media_type: str = "", disposition: str = ""
    ) -> SignedRequest:
        parameters = {"Bucket": self._bucket, "Key": key}
        if media_type:
            parameters["ResponseContentType"] = media_type
        if disposition:
            parameters["ResponseContentDisposition"] = disposition
        return SignedRequest(await self._sign("get_object", parameters, valid_s), {})

    async def close(self) -> None:
        await self._stack.aclose()
        self._made.clear()

    def _part(self, key: str, upload_id: str, number: int) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}

    async def _sign(self, operation: str, parameters: dict[str, Any], valid_s: int) -> str:
        if not self.signs:
            raise Unsupported("blobs: clients cannot reach S3 (REKAM_S3_PUBLIC_ENDPOINT is not set)")
        client = await self._client(self._settings.s3_public_endpoint)
        with self._faults(str(parameters["Key"])):
            url: str = await client.generate_presigned_url(operation, Params=parameters, ExpiresIn=valid_s)
        return url

    async def _client(self, endpoint: str = "") -> Any:
        endpoint = endpoint or self._settings.s3_endpoint
        async with self._making:
            if endpoint not in self._made:
                opened = _client(self._settings, endpoint)
                self._made[endpoint] = await self._stack.enter_async_context(opened)
            return self._made[endpoint]

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        """S3's errors as ours."""
        from aiohttp import ClientError as ConnectionFailed
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            raise self._error_of(key, error.response) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise FailedPrecondition(f"blobs: {error} (REKAM_S3_ACCESS_KEY, REKAM_S3_SECRET_KEY)") from error
        except (exceptions.BotoCoreError, ConnectionFailed, OSError) as error:
            raise Retry(f"blobs: S3 does not answer: {error!r}") from error

    def _error_of(self, key: str, answer: dict[str, Any]) -> RekamError:
        status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        fault = answer.get("Error", {})
        code = str(fault.get("Code", ""))
        message = (
            f"blobs: {key} in bucket {self._bucket}: {fault.get('Message') or 'refused'} ({code or status})"
        )
        if code == "InternalError":
            message += "; some S3 say so when their disk is full"
        known = _BY_CODE.get(code) or _BY_CODE.get(status)
        if known is not None:
            return known(message)
        return Retry(message) if status.startswith("5") else FailedPrecondition(message)


async def _hashed(data: bytes) -> bytes:
    return (await _beside(hashlib.sha256, data)).digest()


async def _beside(call: Callable[[bytes], _Result], data: bytes) -> _Result:
    """What is large is worked on in a thread: zlib and hashlib leave the event loop alone then."""
    return await asyncio.to_thread(call, data) if len(data) > _LARGE else call(data)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _client(settings: S3Settings, endpoint: str) -> Any:
    import aioboto3
    from aiobotocore.config import AioConfig

    session = aioboto3.Session(
        aws_access_key_id=settings.s3_access_key.reveal() or None,
        aws_secret_access_key=settings.s3_secret_key.reveal() or None,
        region_name=settings.s3_region,
    )
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        # Every body goes with a checksum of ours, which is signed: no other is computed.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "payload_signing_enabled": False,
            # A name of a bucket before the host's is not known to every S3, nor to a laptop's DNS.
            "addressing_style": "path" if endpoint else "auto",
        },
    )
    return session.client("s3", endpoint_url=endpoint or None, config=config)
