"""The only module that builds adapters: what the archive is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rekam_archive.archiver import Archiver
from rekam_archive.cutting import CutRules
from rekam_archive.retention import Retention, RetentionRules
from rekam_archive.rpc import ArchiveServicer
from rekam_archive.settings import Settings
from rekam_proto.log.v1 import archive_pb2_grpc
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.rpc.server import Service


@dataclass(frozen=True, slots=True)
class Role:
    """The archive role's parts, connected."""

    log: JetStreamLog
    archiver: Archiver
    services: tuple[Service, ...]

    async def missing(self) -> list[str]:
        """What is not ready, as text."""
        found = [] if self.log.connected else ["the event log is not connected"]
        if self.archiver.waits_for:
            found.append(f"the archive waits: {self.archiver.waits_for}")
        return found


@asynccontextmanager
async def archiving(settings: Settings) -> AsyncIterator[Role]:
    async with AsyncExitStack() as stack:
        log = await JetStreamLog.connect(settings.nats_url.reveal(), "rekam archive")
        stack.push_async_callback(log.close)
        store = S3Store(settings)
        stack.push_async_callback(store.close)
        retention = RetentionRules(settings.points_kept_hours * 3600, settings.points_kept_bytes)
        archiver = Archiver(
            log,
            store,
            Retention(log, store, retention),
            points=CutRules(settings.points_bytes, settings.points_age_s),
            control=CutRules(settings.control_bytes, settings.control_age_s),
            every_s=settings.every_s,
        )
        servicer = ArchiveServicer(log, archiver)
        yield Role(
            log,
            archiver,
            (
                Service(
                    "rekam_proto.log.v1.ArchiveService",
                    lambda server: archive_pb2_grpc.add_ArchiveServiceServicer_to_server(servicer, server),
                ),
            ),
        )
