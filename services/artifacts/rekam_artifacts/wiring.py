"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rekam_artifacts import events
from rekam_artifacts.collection.collector import Collector
from rekam_artifacts.files.ledger import Files
from rekam_artifacts.journal import Journal
from rekam_artifacts.plan import PACKAGE, PLAN, parts
from rekam_artifacts.reads import Reads
from rekam_artifacts.rpc import ArtifactServicer, CollectionServicer, StorageServicer
from rekam_artifacts.settings import ArtifactsSettings, ProjectSettings, ServeSettings
from rekam_artifacts.uploads.ledger import Uploads
from rekam_proto.artifacts.v1 import artifact_pb2_grpc, storage_pb2_grpc
from rekam_proto.log.v1 import log_pb2_grpc
from rekam_runtime import roles
from rekam_runtime.archive import ArchivedLog
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import EventLog, StreamSpec
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.postgres import Pool
from rekam_runtime.projection import FreshReads, Replica, quarantine_stream
from rekam_runtime.roles import Projection, Role
from rekam_runtime.rpc.server import Service

_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 6
_REBUILD_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """What both roles have."""

    log: EventLog
    pool: Pool
    store: BlobStore
    reads: Reads
    journal: Journal
    collector: Collector


@asynccontextmanager
async def connected(
    log: EventLog, pool: Pool, store: BlobStore, *, deadline_s: float, grace_s: float
) -> AsyncIterator[Parts]:
    """See the settings; every stream of the service is there."""
    async with FreshReads(log, pool) as fresh:
        reads = Reads(pool, fresh, deadline_s=deadline_s)
        journal = Journal(log, reads)
        collector = Collector(journal, reads, store, grace_s=grace_s)
        yield Parts(log, pool, store, reads, journal, collector)


def services(own: Parts) -> list[Service]:
    """What `serve` serves."""
    files = Files(own.journal, own.reads)
    uploads = Uploads(own.journal, own.reads, own.store)
    artifacts = ArtifactServicer(own.journal, own.reads, files, uploads, own.store)
    return [
        Service(
            "rekam_proto.artifacts.v1.ArtifactService",
            lambda server: artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(artifacts, server),
        ),
        Service(
            "rekam_proto.artifacts.v1.CollectionService",
            lambda server: artifact_pb2_grpc.add_CollectionServiceServicer_to_server(
                CollectionServicer(own.collector), server
            ),
        ),
        Service(
            "rekam_proto.artifacts.v1.StorageService",
            lambda server: storage_pb2_grpc.add_StorageServiceServicer_to_server(
                StorageServicer(files), server
            ),
        ),
        Service(
            LOG_SERVICE,
            lambda server: log_pb2_grpc.add_LogServiceServicer_to_server(
                LogServicer(events.SERVICE, own.pool, Quarantined(own.pool, parts)), server
            ),
        ),
    ]


def streams(replicas: int = 1) -> list[StreamSpec]:
    """What the service appends to."""
    return [events.artifacts_stream(replicas), quarantine_stream(events.SERVICE, replicas=replicas)]


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands and queries."""
    async with _opened(settings, f"rekam {events.SERVICE} serve", _SERVE_CONNECTIONS) as (log, own):

        async def missing() -> list[str]:
            return await _missing(log, own.pool)

        async def reset() -> None:
            """Nothing is kept here."""

        yield Role(missing, reset, services(own))


@asynccontextmanager
async def projecting(settings: ProjectSettings) -> AsyncIterator[Role]:
    """The stream into Postgres, and collection; replicas share the work."""
    replica = Replica(f"rekam {events.SERVICE} project")
    name = replica.application_name
    async with (
        _opened(settings, name, _PROJECT_CONNECTIONS) as (log, own),
        await roles.rebuild_pool(settings, name, _REBUILD_CONNECTIONS) as rebuilding,
    ):
        whole = ArchivedLog(own.log, own.store)
        projection = Projection(
            whole, own.pool, rebuilding, replica, PLAN, parts(), retired_kept_s=settings.retired_kept_s
        )
        projection.work["collection"] = lambda: own.collector.run(
            settings.collect_every_s, settings.sweep_every_s
        )

        async def missing() -> list[str]:
            return [*await _missing(log, own.pool), *projection.faults()]

        yield Role(missing, projection.reset, work={"projecting": projection.share})


@asynccontextmanager
async def _opened(
    settings: ArtifactsSettings, name: str, connections: int
) -> AsyncIterator[tuple[JetStreamLog, Parts]]:
    """The log, the database and S3."""
    async with AsyncExitStack() as stack:
        log, pool = await stack.enter_async_context(
            roles.connected(settings, name, connections, streams(settings.stream_replicas))
        )
        store = S3Store(settings)
        stack.push_async_callback(store.close)
        own = connected(log, pool, store, deadline_s=settings.read_deadline_s, grace_s=settings.grace_s)
        yield log, await stack.enter_async_context(own)


async def _missing(log: JetStreamLog, pool: Pool) -> list[str]:
    return [*roles.log_faults(log), *await roles.database_faults(pool, PACKAGE)]
