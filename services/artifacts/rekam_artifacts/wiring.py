"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from rekam_artifacts import control, events
from rekam_artifacts.collection.collector import Collector
from rekam_artifacts.files.ledger import Files
from rekam_artifacts.journal import Journal
from rekam_artifacts.plan import PLAN, parts
from rekam_artifacts.reads import Reads
from rekam_artifacts.rpc import ArtifactServicer, CollectionServicer, StorageServicer
from rekam_artifacts.settings import ProjectSettings, RoleSettings, ServeSettings
from rekam_artifacts.uploads.ledger import Uploads
from rekam_proto.artifacts.v1 import artifact_pb2_grpc, storage_pb2_grpc
from rekam_proto.log.v1 import log_pb2_grpc
from rekam_runtime.archive import ArchivedLog
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.postgres import Pool, acquire, connect_pool, pending
from rekam_runtime.projection import FreshReads, Projector, Replica, emptying, quarantine_stream
from rekam_runtime.projection.leases import Work
from rekam_runtime.rebuild import Rebuilder
from rekam_runtime.rpc.server import Service

_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 6
_REBUILD_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Role:
    """A role's parts, connected.

    missing: what is not ready, as text.
    reset: forgets everything, after the log was emptied.
    work: goes on until the process stops.
    """

    missing: Callable[[], Awaitable[list[str]]]
    reset: Callable[[], Awaitable[None]]
    served: list[Service] = field(default_factory=list)
    work: Coroutine[None, None, None] | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What both roles have."""

    log: EventLog
    pool: Pool
    store: BlobStore
    reads: Reads
    journal: Journal
    collector: Collector

    async def missing(self) -> list[str]:
        try:
            async with acquire(self.pool) as connection:
                lacking = await pending(connection, "rekam_artifacts")
        except Retry as error:
            return [error.message]
        return [f"the database lacks {', '.join(lacking)}"] if lacking else []


@asynccontextmanager
async def connected(
    log: EventLog, pool: Pool, store: BlobStore, *, replicas: int, deadline_s: float, grace_s: float
) -> AsyncIterator[Parts]:
    """Every stream of the service is there; see the settings."""
    await log.ensure(events.artifacts_stream(replicas))
    await log.ensure(quarantine_stream(events.SERVICE, replicas=replicas))
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


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands and queries."""
    async with _opened(settings, f"rekam {events.SERVICE} serve", _SERVE_CONNECTIONS) as (log, own):

        async def missing() -> list[str]:
            return [*_log_faults(log), *await own.missing()]

        async def reset() -> None:
            """Nothing is kept here."""

        yield Role(missing, reset, services(own))


@asynccontextmanager
async def projecting(settings: ProjectSettings) -> AsyncIterator[Role]:
    """The stream into Postgres, and collection; replicas share the work."""
    replica = Replica(f"rekam {events.SERVICE} project")
    async with (
        _opened(settings, replica.application_name, _PROJECT_CONNECTIONS) as (log, own),
        # Its statements take as long as they take, and see another generation.
        await connect_pool(
            settings.postgres_url.reveal(),
            max_size=_REBUILD_CONNECTIONS,
            application_name=replica.application_name,
            statement_s=None,
        ) as rebuild_pool,
    ):
        # The log with its archive: a projection may be behind what the stream has.
        whole = ArchivedLog(own.log, own.store)
        projector = Projector(
            whole, own.pool, stream=events.STREAM, service=events.SERVICE, apply=control.PART.apply
        )
        rebuilder = Rebuilder(whole, rebuild_pool, PLAN, retired_kept_s=settings.retired_kept_s)
        work: dict[str, Work] = {
            events.STREAM: projector.run,
            "collection": lambda: own.collector.run(settings.collect_every_s, settings.sweep_every_s),
            "rebuild": rebuilder.run,
        }

        async def missing() -> list[str]:
            idle = events.STREAM in replica.held and not projector.running
            return [
                *_log_faults(log),
                *await own.missing(),
                *([] if replica.attending else ["the leases cannot be renewed"]),
                *([f"{events.STREAM} is not projected"] if idle else []),
            ]

        async def reset() -> None:
            await emptying.empty(own.pool, own.log, [events.STREAM])

        yield Role(missing, reset, work=replica.share(own.pool, work))


@asynccontextmanager
async def _opened(
    settings: RoleSettings, name: str, connections: int
) -> AsyncIterator[tuple[JetStreamLog, Parts]]:
    """The log, the database and S3."""
    async with AsyncExitStack() as stack:
        log = await JetStreamLog.connect(settings.nats_url.reveal(), name)
        stack.push_async_callback(log.close)
        pool = await connect_pool(settings.postgres_url.reveal(), max_size=connections, application_name=name)
        stack.push_async_callback(pool.close)
        store = S3Store(settings)
        stack.push_async_callback(store.close)
        own = connected(
            log,
            pool,
            store,
            replicas=settings.stream_replicas,
            deadline_s=settings.read_deadline_s,
            grace_s=settings.grace_s,
        )
        yield log, await stack.enter_async_context(own)


def _log_faults(log: JetStreamLog) -> list[str]:
    return [] if log.connected else ["the event log is not connected"]
