"""A file as the response to a GET: its headers, the range that is asked for, its bytes as they come."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from rekam_gateway.artifacts.transfer import IDLE_S, Transfer
from rekam_gateway.http.errors import answer
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.errors import RekamError

# Shown as text, as MLflow does.
_TEXTS = frozenset(
    "txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv tsv md rst"
    " MLmodel MLproject".split()
)
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(;[ -~]*)?", re.ASCII)
_TOKEN = re.compile(r"[\w!#$&+.^`|~-]+", re.ASCII)

log = structlog.get_logger(__name__)


async def file_response(transfer: Transfer, request: Request, path: str) -> Response:
    """The file at the path, or what the request wants of it.

    Raises NotFound, or FailedPrecondition for a folder.
    """
    file = await transfer.find(path)
    etag = f'"{file.digest}"'
    headers = {
        "Content-Type": media_type_of(file),
        "Content-Disposition": disposition_of(file),
        "Accept-Ranges": "bytes",
        "ETag": etag,
    }
    wanted = request.headers.get("range", "")
    if request.headers.get("if-range", etag) != etag:
        wanted = ""
    part = part_of(wanted, file.size)
    if part is None:
        unsatisfied = {"Content-Range": f"bytes */{file.size}"}
        return answer(416, "INVALID_PARAMETER_VALUE", f"{path} has {file.size} bytes", unsatisfied)
    headers["Content-Length"] = str(part.size)
    if part.partial:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.size - 1}/{file.size}"
    status = 206 if part.partial else 200
    if request.method == "HEAD":
        return Response(None, status, headers)
    chunks = transfer.read(file, part.start, part.size)
    # What S3 says against it is said before the headers.
    first = await anext(chunks, b"")
    return _Streamed(first, chunks, status, headers, path)


def media_type_of(file: artifact_pb2.File) -> str:
    """What was said of the file, else a guess from its name."""
    name = file.path.rpartition("/")[2]
    if (name.rpartition(".")[2] or name) in _TEXTS:
        return "text/plain"
    said = file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else ""
    return said or mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition_of(file: artifact_pb2.File) -> str:
    """To be saved under its name, never shown by a browser as a page of this server."""
    name = file.path.rpartition("/")[2]
    if _TOKEN.fullmatch(name):
        return f"attachment; filename={name}"
    if name.isascii() and name.isprintable():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment; filename="{escaped}"'
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


@dataclass(frozen=True)
class Part:
    """partial: it was asked for by its range, which may be all of the file."""

    start: int
    size: int
    partial: bool


def part_of(wanted: str, size: int) -> Part | None:
    """What a Range header asks for; None for what is not there.

    All of it when the header says nothing that is understood.
    """
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match[0] == "bytes=-":
        return Part(0, size, partial=False)
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return Part(0, size, partial=False)
    return Part(start, end - start, partial=True) if start < end else None


class _Streamed(StreamingResponse):
    """Sends chunks as they come, at the client's pace; what breaks breaks the connection."""

    def __init__(
        self,
        first: bytes,
        chunks: AsyncGenerator[bytes, None],
        status: int,
        headers: dict[str, str],
        path: str,
    ) -> None:
        super().__init__(_joined(first, chunks), status, headers)
        self._chunks = chunks
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patiently(message: Message) -> None:
            async with asyncio.timeout(IDLE_S):
                await send(message)

        async with aclosing(self._chunks):
            try:
                await super().__call__(scope, receive, patiently)
            except (RekamError, OSError) as error:  # a timeout is one
                # The server closes a connection whose response is not whole.
                log.warning("a download broke off", path=self._path, error=str(error) or repr(error))


async def _joined(first: bytes, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk
