"""ArchiveService: what is archived, stream by stream."""

from __future__ import annotations

from typing import Any

import grpc

from rekam_archive.archiver import Archiver
from rekam_archive.copying import StreamCopier
from rekam_proto.log.v1 import archive_pb2, archive_pb2_grpc
from rekam_runtime.eventlog.port import EventLog


class ArchiveServicer(archive_pb2_grpc.ArchiveServiceServicer):
    def __init__(self, log: EventLog, archiver: Archiver) -> None:
        self._log = log
        self._archiver = archiver

    async def ListStreams(
        self, request: archive_pb2.ListStreamsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> archive_pb2.ListStreamsResponse:
        streams = sorted(self._archiver.copiers.items())
        return archive_pb2.ListStreamsResponse(
            streams=[await self._described(name, copier) for name, copier in streams],
            waits_for=self._archiver.waits_for,
        )

    async def _described(self, name: str, copier: StreamCopier) -> archive_pb2.ArchivedStream:
        extent = await self._log.extent(name)
        segments = copier.catalogue.segments
        return archive_pb2.ArchivedStream(
            name=name,
            origin=extent.origin,
            first=extent.first,
            last=extent.last,
            bytes=extent.bytes,
            archived=copier.archived,
            segments=len(segments),
            archived_bytes=sum(segment.size for segment in segments),
        )
