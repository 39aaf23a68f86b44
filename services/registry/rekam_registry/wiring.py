"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rekam_proto.log.v1 import log_pb2_grpc
from rekam_proto.registry.v1 import (
    alias_pb2_grpc,
    history_pb2_grpc,
    model_pb2_grpc,
    resolve_pb2_grpc,
    transition_pb2_grpc,
    version_pb2_grpc,
)
from rekam_registry import events
from rekam_registry.aliases.rpc import SERVICE as ALIAS_SERVICE
from rekam_registry.aliases.rpc import AliasServicer
from rekam_registry.history.rpc import SERVICE as HISTORY_SERVICE
from rekam_registry.history.rpc import HistoryServicer
from rekam_registry.ledger import Ledger
from rekam_registry.models.rpc import SERVICE as MODEL_SERVICE
from rekam_registry.models.rpc import RegisteredModelServicer
from rekam_registry.plan import PACKAGE, parts, plan
from rekam_registry.reads import Reads
from rekam_registry.resolving.answers import Answers
from rekam_registry.resolving.rpc import SERVICE as RESOLVE_SERVICE
from rekam_registry.resolving.rpc import ResolveServicer
from rekam_registry.settings import ConnectedSettings, ProjectSettings, ServeSettings
from rekam_registry.tail import LogEnd, Tail
from rekam_registry.transitions.rpc import SERVICE as TRANSITION_SERVICE
from rekam_registry.transitions.rpc import TransitionServicer
from rekam_registry.versions.rpc import SERVICE as VERSION_SERVICE
from rekam_registry.versions.rpc import ModelVersionServicer
from rekam_registry.watching.hub import Hub
from rekam_registry.watching.rpc import SERVICE as WATCH_SERVICE
from rekam_registry.watching.rpc import WatchServicer
from rekam_runtime.archive import ArchivedLog
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.postgres import Pool, acquire, connect_pool, pending
from rekam_runtime.projection import FreshReads, Projector, Replica, emptying, quarantine_stream
from rekam_runtime.rebuild import Rebuilder
from rekam_runtime.rpc.server import Service

_MB = 1024 * 1024
_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 5
_REBUILD_CONNECTIONS = 7


@dataclass(frozen=True)
class Role:
    """A role's parts, connected.

    drain: ends what would last, before the server stops.

    missing: what is not ready, as text.
    reset: forgets everything, after the log was emptied.
    work: goes on until the process stops.
    """

    missing: Callable[[], Awaitable[list[str]]]
    reset: Callable[[], Awaitable[None]]
    work: Coroutine[None, None, None]
    services: list[Service] = field(default_factory=list)
    drain: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands, decided against the log, and queries of the projection."""
    async with (
        _connected(settings, _name("serve"), _SERVE_CONNECTIONS) as (log, pool),
        FreshReads(log, pool) as fresh,
    ):
        reads = Reads(log, pool, fresh, deadline_s=settings.read_deadline_s)
        ledger = Ledger(log, max_weight=settings.kept_models_mb * _MB)
        quarantined = Quarantined(pool, parts)
        hub, answers = Hub(), Answers()
        tail = Tail(log, [hub, answers])
        resolving = ResolveServicer(reads, tail, LogEnd(log), answers)
        watching = WatchServicer(log, reads, tail, hub)

        async def missing() -> list[str]:
            found = await _missing(log, pool)
            return found if tail.position >= 0 else [*found, f"{events.STREAM} is not followed"]

        async def reset() -> None:
            ledger.forget()
            tail.start_over()

        async def drain() -> None:
            hub.close(Retry("the registry stops: watch again, resumed"))

        yield Role(
            missing,
            reset,
            drain=drain,
            work=tail.run(),
            services=[
                Service(
                    MODEL_SERVICE,
                    lambda server: model_pb2_grpc.add_RegisteredModelServiceServicer_to_server(
                        RegisteredModelServicer(ledger, reads), server
                    ),
                ),
                Service(
                    VERSION_SERVICE,
                    lambda server: version_pb2_grpc.add_ModelVersionServiceServicer_to_server(
                        ModelVersionServicer(ledger, reads), server
                    ),
                ),
                Service(
                    ALIAS_SERVICE,
                    lambda server: alias_pb2_grpc.add_AliasServiceServicer_to_server(
                        AliasServicer(ledger, reads), server
                    ),
                ),
                Service(
                    TRANSITION_SERVICE,
                    lambda server: transition_pb2_grpc.add_TransitionServiceServicer_to_server(
                        TransitionServicer(ledger, reads), server
                    ),
                ),
                Service(
                    HISTORY_SERVICE,
                    lambda server: history_pb2_grpc.add_HistoryServiceServicer_to_server(
                        HistoryServicer(reads), server
                    ),
                ),
                Service(
                    RESOLVE_SERVICE,
                    lambda server: resolve_pb2_grpc.add_ResolveServiceServicer_to_server(resolving, server),
                ),
                Service(WATCH_SERVICE, lambda server: server.add_generic_rpc_handlers((watching.handler(),))),
                Service(
                    LOG_SERVICE,
                    lambda server: log_pb2_grpc.add_LogServiceServicer_to_server(
                        LogServicer(events.SERVICE, pool, quarantined), server
                    ),
                ),
            ],
        )


@asynccontextmanager
async def projecting(settings: ProjectSettings) -> AsyncIterator[Role]:
    """The registry's stream into Postgres; replicas take over from each other."""
    replica = Replica(_name("project"))
    async with (
        _connected(settings, replica.application_name, _PROJECT_CONNECTIONS) as (log, pool),
        _whole(log, settings) as whole,
        # Its statements take as long as they take, and see another generation.
        await connect_pool(
            settings.postgres_url.reveal(),
            max_size=_REBUILD_CONNECTIONS,
            application_name=replica.application_name,
            statement_s=None,
        ) as rebuild_pool,
    ):
        (part,) = parts().values()
        projector = Projector(
            whole,
            pool,
            stream=events.STREAM,
            service=events.SERVICE,
            apply=part.apply,
            rolled_back=part.forget,
        )
        rebuilder = Rebuilder(whole, rebuild_pool, plan(), retired_kept_s=settings.retired_kept_s)

        async def missing() -> list[str]:
            found = await _missing(log, pool)
            if not replica.attending:
                found.append("the leases cannot be renewed")
            if events.STREAM in replica.held and not projector.running:
                found.append(f"{events.STREAM} is not projected")
            return found

        async def reset() -> None:
            await emptying.empty(pool, log, [events.STREAM])

        work = {events.STREAM: projector.run, "rebuild": rebuilder.run}
        yield Role(missing, reset, work=replica.share(pool, work))


@asynccontextmanager
async def _connected(
    settings: ConnectedSettings, name: str, connections: int
) -> AsyncIterator[tuple[JetStreamLog, Pool]]:
    """The log, with every stream of the service there, and the database."""
    log = await JetStreamLog.connect(settings.nats_url.reveal(), name)
    try:
        await log.ensure(events.control_stream(settings.stream_replicas))
        await log.ensure(quarantine_stream(events.SERVICE, replicas=settings.stream_replicas))
        pool = await connect_pool(settings.postgres_url.reveal(), max_size=connections, application_name=name)
        try:
            yield log, pool
        finally:
            await pool.close()
    finally:
        await log.close()


@asynccontextmanager
async def _whole(log: EventLog, settings: ProjectSettings) -> AsyncIterator[EventLog]:
    """The log with its archive, if there is one: a projection may be behind what the stream has."""
    if not settings.s3_bucket:
        yield log
        return
    store = S3Store(settings)
    try:
        yield ArchivedLog(log, store)
    finally:
        await store.close()


async def _missing(log: JetStreamLog, pool: Pool) -> list[str]:
    found = [] if log.connected else ["the event log is not connected"]
    try:
        async with acquire(pool) as connection:
            if lacking := await pending(connection, PACKAGE):
                found.append(f"the database lacks {', '.join(lacking)}")
    except Retry as error:
        found.append(error.message)
    return found


def _name(role: str) -> str:
    return f"rekam {events.SERVICE} {role}"
