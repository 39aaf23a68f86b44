"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rekam_proto.log.v1 import log_pb2_grpc
from rekam_proto.registry.v1 import (
    alias_pb2_grpc,
    history_pb2_grpc,
    model_pb2_grpc,
    resolve_pb2_grpc,
    transition_pb2_grpc,
    version_pb2_grpc,
    webhook_pb2_grpc,
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
from rekam_registry.settings import ProjectSettings, ServeSettings, WebhookSettings
from rekam_registry.tail import LogEnd, Tail
from rekam_registry.transitions.rpc import SERVICE as TRANSITION_SERVICE
from rekam_registry.transitions.rpc import TransitionServicer
from rekam_registry.versions.rpc import SERVICE as VERSION_SERVICE
from rekam_registry.versions.rpc import ModelVersionServicer
from rekam_registry.watching.hub import Hub
from rekam_registry.watching.rpc import SERVICE as WATCH_SERVICE
from rekam_registry.watching.rpc import WatchServicer
from rekam_registry.webhooks.courier import Courier, Patience
from rekam_registry.webhooks.delivering import Delivering
from rekam_registry.webhooks.ledger import Webhooks
from rekam_registry.webhooks.posting import Poster
from rekam_registry.webhooks.queue import Queue
from rekam_registry.webhooks.rpc import SERVICE as WEBHOOK_SERVICE
from rekam_registry.webhooks.rpc import WebhookServicer
from rekam_registry.webhooks.sealing import Sealer
from rekam_runtime import roles
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import StreamSpec
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.postgres import Pool, connect_pool
from rekam_runtime.projection import FreshReads, Replica, quarantine_stream
from rekam_runtime.roles import Projection, Role, RoleSettings
from rekam_runtime.rpc.server import Service

_MB = 1024 * 1024
_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 5
_REBUILD_CONNECTIONS = 7
_WEBHOOK_CONNECTIONS = 4


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands, decided against the log, and queries of the projection."""
    async with (
        roles.connected(settings, _name("serve"), _SERVE_CONNECTIONS, _streams(settings)) as (log, pool),
        FreshReads(log, pool) as fresh,
        _poster(settings) as poster,
    ):
        reads = Reads(log, pool, fresh, deadline_s=settings.read_deadline_s)
        ledger = Ledger(log, max_weight=settings.kept_models_mb * _MB)
        quarantined = Quarantined(pool, parts)
        hub, answers = Hub(), Answers()
        tail = Tail(log, [hub, answers])
        resolving = ResolveServicer(reads, tail, LogEnd(log), answers)
        watching = WatchServicer(log, reads, tail, hub)
        webhooks = Webhooks(log)
        hooking = WebhookServicer(
            webhooks,
            reads,
            Queue(pool),
            poster,
            _sealer(settings),
            private=settings.webhook_private,
            most_webhooks=settings.most_webhooks,
        )

        async def missing() -> list[str]:
            behind = [] if tail.position >= 0 else [f"{events.STREAM} is not followed"]
            return [*await _missing(log, pool), *behind]

        async def reset() -> None:
            ledger.forget()
            webhooks.forget()
            tail.start_over()

        async def drain() -> None:
            hub.close(Retry("the registry stops: watch again, resumed"))

        yield Role(
            missing,
            reset,
            drain=drain,
            work={"following": tail.run},
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
                    WEBHOOK_SERVICE,
                    lambda server: webhook_pb2_grpc.add_WebhookServiceServicer_to_server(hooking, server),
                ),
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
    name = replica.application_name
    async with (
        roles.connected(settings, name, _PROJECT_CONNECTIONS, _streams(settings)) as (log, pool),
        roles.archived(log, settings) as whole,
        await roles.rebuild_pool(settings, name, _REBUILD_CONNECTIONS) as rebuilding,
        # Webhooks wait for each other here, the projection does not wait for them.
        await connect_pool(
            settings.postgres_url.reveal(), max_size=_WEBHOOK_CONNECTIONS, application_name=name
        ) as telling,
        _poster(settings) as poster,
    ):
        projection = Projection(
            whole, pool, rebuilding, replica, plan(), parts(), retired_kept_s=settings.retired_kept_s
        )

        queue, sealer = Queue(telling), _sealer(settings)
        patience = Patience(
            settings.webhook_attempts, settings.webhook_first_pause_s, settings.webhook_longest_pause_s
        )
        projection.work["webhooks"] = Delivering(
            log, queue, lambda webhook_id: Courier(webhook_id, queue, poster, sealer, patience)
        ).run

        async def missing() -> list[str]:
            return [*await _missing(log, pool), *projection.faults()]

        async def reset() -> None:
            await projection.reset()
            await queue.empty()

        yield Role(missing, reset, work={"projecting": projection.share})


async def _missing(log: JetStreamLog, pool: Pool) -> list[str]:
    return [*roles.log_faults(log), *await roles.database_faults(pool, PACKAGE)]


def _streams(settings: RoleSettings) -> list[StreamSpec]:
    replicas = settings.stream_replicas
    return [events.control_stream(replicas), quarantine_stream(events.SERVICE, replicas=replicas)]


def _poster(settings: WebhookSettings) -> Poster:
    return Poster(private=settings.webhook_private, timeout_s=settings.webhook_timeout_s)


def _sealer(settings: WebhookSettings) -> Sealer:
    return Sealer([key.strip() for key in settings.webhook_keys.reveal().split(",") if key.strip()])


def _name(role: str) -> str:
    return f"rekam {events.SERVICE} {role}"
