"""Blobs in one bucket of any S3.

The client is imported and made when it is first used: it takes a second and 45 MB, and a
process that reads the log normally has no need of the archive.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from rekam_runtime.blobs.port import Blob
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    Invalid,
    NotFound,
    RekamError,
    Retry,
    SlowDown,
)

_CONNECT_S = 3.0
_READ_S = 30.0
_TRIES = 3

# S3's own codes; where there is none (a proxy answers, or HEAD), the HTTP status.
_BY_CODE: dict[str, type[RekamError]] = {
    **dict.fromkeys(("NoSuchKey", "404"), NotFound),
    **dict.fromkeys(("PreconditionFailed", "412"), AlreadyExists),
    **dict.fromkeys(("InvalidRange", "416"), Invalid),
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
        self._made: Any = None
        self._making = asyncio.Lock()

    async def put(self, key: str, data: bytes) -> None:
        client = await self._client()
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        with self._faults(key):
            await client.put_object(
                Bucket=self._bucket, Key=key, Body=io.BytesIO(data), IfNoneMatch="*", ChecksumSHA256=digest
            )

    async def get(self, key: str) -> bytes:
        return await self._read(key)

    async def get_range(self, key: str, start: int, size: int) -> bytes:
        if size < 1:
            raise Invalid(f"blob {key} has no {size} bytes at {start}")
        return await self._read(key, Range=f"bytes={start}-{start + size - 1}")

    async def _read(self, key: str, **options: str) -> bytes:
        client = await self._client()
        with self._faults(key):
            answer = await client.get_object(Bucket=self._bucket, Key=key, **options)
            async with answer["Body"] as body:
                data: bytes = await body.read()
        return data

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        client = await self._client()
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, StartAfter=after, PaginationConfig={"PageSize": self._page}
        )
        iterator = aiter(pages)
        while True:
            with self._faults(prefix):
                page = await anext(iterator, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                yield Blob(entry["Key"], entry["Size"])

    async def delete(self, key: str) -> None:
        client = await self._client()
        with self._faults(key):
            await client.delete_object(Bucket=self._bucket, Key=key)

    async def close(self) -> None:
        await self._stack.aclose()
        self._made = None

    async def _client(self) -> Any:
        async with self._making:
            if self._made is None:
                self._made = await self._stack.enter_async_context(_client(self._settings))
            return self._made

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
        known = _BY_CODE.get(code) or _BY_CODE.get(status)
        if known is not None:
            return known(message)
        return Retry(message) if status.startswith("5") else FailedPrecondition(message)


def _client(settings: S3Settings) -> Any:
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
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        # A name of a bucket before the host's is not known to every S3, nor to a laptop's DNS.
        s3={"addressing_style": "path" if settings.s3_endpoint else "auto"},
    )
    return session.client("s3", endpoint_url=settings.s3_endpoint or None, config=config)
