"""Fetches files: many at once, each into a `.part` beside it until its bytes are whole and right."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rekam.errors import ArtifactError, Unavailable
from rekam.server import Patience, Server, error_from
from rekam.settings import Settings
from rekam.transfer import direct
from rekam.transfer.progress import Progress
from rekam.transfer.threads import in_parallel
from rekam_proto.artifacts.v1 import artifact_pb2, transfer_pb2

# From this size on a file comes straight from S3, where that can be.
LARGE_BYTES = 64 * 1024 * 1024
_SIGNED_SECONDS = 3_600
# A file that is replaced while it is fetched is fetched anew, so often.
_TRIES = 5
_READ = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, and where it is to lie."""

    file: artifact_pb2.File
    target: Path


class _Replaced(Exception):
    """The path has another file now."""

    def __init__(self, file: artifact_pb2.File) -> None:
        super().__init__(file.path)
        self.file = file


class Downloader:
    """Fetches files from one server, for one call."""

    def __init__(self, server: Server, options: Settings, retry_timeout: float, progress: Progress) -> None:
        self._server = server
        self._threads = options.transfers
        self._retry_timeout = retry_timeout
        self._progress = progress
        self._direct = options.direct_transfers
        self._stop = threading.Event()

    def fetch(self, files: Sequence[Wanted]) -> None:
        """Returns when all of them are there. One that is there with the same bytes is left as it is."""
        self._progress.expect(sum(each.file.size for each in files))
        in_parallel(self._fetch, files, self._threads, self._stop)

    def _fetch(self, wanted: Wanted) -> None:
        file, target = wanted.file, wanted.target
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            try:
                if _has(target, file):
                    self._progress.add(file.size)
                    return
                with _gathering(target, file.digest) as (part, stream):
                    self._complete(file, stream)
                    os.replace(part, target)
                return
            except _Replaced as replaced:
                self._progress.expect(replaced.file.size - file.size)
                file = replaced.file
        raise ArtifactError(f"{file.path!r} was replaced again and again while it was downloaded")

    def _complete(self, file: artifact_pb2.File, stream: IO[bytes]) -> None:
        """Bring a part to its end, from where it is."""
        hashed, at = hashlib.sha256(), 0
        while chunk := stream.read(_READ):
            hashed.update(chunk)
            at += len(chunk)
        began = at
        self._progress.add(at)
        patience = Patience(self._server.target, self._retry_timeout)
        while at < file.size:
            try:
                for chunk in self._chunks(file, at):
                    if self._stop.is_set():
                        raise ArtifactError("the transfer was stopped")
                    stream.write(chunk)
                    hashed.update(chunk)
                    at += len(chunk)
                    self._progress.add(len(chunk))
                    patience.renew()
                if at < file.size:
                    raise Unavailable(f"{self._server.target}: {file.path!r} ended early")
            except Unavailable as error:
                patience.wait(error)
            except _Replaced:
                self._progress.add(-at)
                raise
        if at == file.size and hashed.hexdigest() == file.digest:
            stream.flush()
            return
        stream.truncate(0)
        self._progress.add(-at)
        if not began:
            raise ArtifactError(
                f"{file.path!r}: the bytes that came are not those of its digest {file.digest}"
            )
        # What an earlier program left was not of this file.
        stream.seek(0)
        self._complete(file, stream)

    def _chunks(self, file: artifact_pb2.File, at: int) -> Iterator[bytes]:
        if file.size >= LARGE_BYTES and self._direct and direct.worth_a_try(self._server.target):
            try:
                yield from self._from_s3(file, at)
                return
            except direct.Unreachable:
                # Nothing came of it: it is said before the first byte.
                direct.leave(self._server.target)
        yield from self._from_gateway(file, at)

    def _from_gateway(self, file: artifact_pb2.File, at: int) -> Iterator[bytes]:
        import grpc

        call = self._server.transfers.Download(transfer_pb2.DownloadRequest(path=file.path, offset=at))
        try:
            for answer in call:
                if answer.HasField("header"):
                    _check(answer.header, file)
                else:
                    yield answer.chunk
        except grpc.RpcError as error:
            raise error_from(error, self._server.target) from None
        finally:
            call.cancel()

    def _from_s3(self, file: artifact_pb2.File, at: int) -> Iterator[bytes]:
        request = artifact_pb2.SignDownloadRequest(path=file.path, expires_s=_SIGNED_SECONDS)
        with direct.signing():
            signed = self._call(self._server.artifacts.SignDownload, request)
        _check(signed.file, file)
        yield from direct.get(signed.url, signed.headers, at)

    def _call(self, method: Any, request: Any) -> Any:
        return self._server.call(method, request, self._retry_timeout)


def _check(found: artifact_pb2.File, wanted: artifact_pb2.File) -> None:
    if found.digest != wanted.digest:
        raise _Replaced(found)


def _has(target: Path, file: artifact_pb2.File) -> bool:
    """Whether the file is there already."""
    try:
        if target.stat().st_size != file.size:
            return False
        with target.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.digest
    except FileNotFoundError:
        return False


def part_of(target: Path, digest: str) -> Path:
    """Where the bytes gather that become `target`; as long a name as it may have itself."""
    name = hashlib.sha256(os.fsencode(target.name) + digest.encode()).hexdigest()[:32]
    return target.with_name(f".{name}.part")


@contextmanager
def _gathering(target: Path, digest: str) -> Iterator[tuple[Path, IO[bytes]]]:
    """The file that becomes `target`, and how far an earlier program came with it. Nobody else writes it."""
    part = part_of(target, digest)
    stream = _locked(part)
    if stream is None:
        # Another program fetches the same into the same place.
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        stream = part.open("xb+")
    with stream:
        try:
            yield part, stream
        except BaseException:
            if stream.seek(0, os.SEEK_END) == 0:
                part.unlink(missing_ok=True)
            raise


def _locked(part: Path) -> IO[bytes] | None:
    stream = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "rb+")
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before may have given it its name.
        if part.stat().st_ino == os.fstat(stream.fileno()).st_ino:
            return stream
    except (BlockingIOError, FileNotFoundError):
        pass
    stream.close()
    return None
