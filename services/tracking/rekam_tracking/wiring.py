"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rekam_proto.log.v1 import log_pb2_grpc
from rekam_proto.tracking.v1 import dataset_pb2_grpc, experiment_pb2_grpc, logged_model_pb2_grpc, run_pb2_grpc
from rekam_runtime.archive import ArchivedLog
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.presence import GATEWAYS, Listener
from rekam_runtime.eventlog.recall import Recaller
from rekam_runtime.eventlog.shards import points_stream, points_streams
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.postgres import Pool, connect_pool
from rekam_runtime.projection import FreshReads, Projector, Replica, emptying, quarantine_stream
from rekam_runtime.projection.leases import Work
from rekam_runtime.rebuild import Rebuilder
from rekam_runtime.rpc.server import Service
from rekam_tracking import control, events
from rekam_tracking.datasets.rpc import DatasetServicer
from rekam_tracking.experiments.catalog import Experiments
from rekam_tracking.experiments.rpc import ExperimentServicer
from rekam_tracking.liveness.watcher import Watcher
from rekam_tracking.logged_models.ledger import LoggedModels
from rekam_tracking.logged_models.rpc import LoggedModelServicer
from rekam_tracking.metrics import upkeep
from rekam_tracking.metrics.rpc import SERVICE as METRIC_SERVICE
from rekam_tracking.metrics.rpc import MetricServicer
from rekam_tracking.plan import parts, plan
from rekam_tracking.points import PointsProjection
from rekam_tracking.reads import Reads
from rekam_tracking.runs.fates import Fates
from rekam_tracking.runs.ledger import Runs
from rekam_tracking.runs.rpc import RunServicer
from rekam_tracking.settings import ProjectSettings, ServeSettings
from rekam_tracking.texts.rpc import SERVICE as TEXT_SERVICE
from rekam_tracking.texts.rpc import TextServicer

_MB = 1024 * 1024
_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 6
# And one for each stream of points.
_REBUILD_CONNECTIONS = 6


@dataclass(frozen=True)
class Role:
    """A role's parts, connected.

    readiness: what is not ready, as text.
    reset: forgets everything, after the log was emptied.
    work: goes on until the process stops.
    """

    readiness: Callable[[], Awaitable[list[str]]]
    reset: Callable[[], Awaitable[None]]
    services: list[Service] = field(default_factory=list)
    work: Coroutine[None, None, None] | None = None


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands, decided against the log, and queries of the projection."""
    async with (
        _connected(settings, _name("serve"), _SERVE_CONNECTIONS) as (log, pool),
        FreshReads(log, pool) as fresh,
        Recaller(log) as recaller,
    ):
        reads = Reads(pool, fresh, points_shards=settings.points_shards, deadline_s=settings.read_deadline_s)
        experiments = Experiments(log, settings.artifact_root, recaller.recall)
        kept = settings.kept_runs_mb * _MB
        runs = Runs(log, experiments, max_weight=kept, recall=recaller.recall)
        models = LoggedModels(log, experiments)
        quarantined = Quarantined(pool, lambda: parts(settings.points_shards))
        await experiments.start()

        async def readiness() -> list[str]:
            return _log_faults(log)

        async def reset() -> None:
            runs.forget()
            models.forget()
            await experiments.reset()

        yield Role(
            readiness,
            reset,
            services=[
                Service(
                    "rekam_proto.tracking.v1.ExperimentService",
                    lambda server: experiment_pb2_grpc.add_ExperimentServiceServicer_to_server(
                        ExperimentServicer(experiments, reads), server
                    ),
                ),
                Service(
                    "rekam_proto.tracking.v1.RunService",
                    lambda server: run_pb2_grpc.add_RunServiceServicer_to_server(
                        RunServicer(runs, reads), server
                    ),
                ),
                Service(
                    "rekam_proto.tracking.v1.DatasetService",
                    lambda server: dataset_pb2_grpc.add_DatasetServiceServicer_to_server(
                        DatasetServicer(reads), server
                    ),
                ),
                Service(
                    "rekam_proto.tracking.v1.LoggedModelService",
                    lambda server: logged_model_pb2_grpc.add_LoggedModelServiceServicer_to_server(
                        LoggedModelServicer(models, reads), server
                    ),
                ),
                Service(
                    METRIC_SERVICE,
                    lambda server: server.add_generic_rpc_handlers(
                        (MetricServicer(reads, settings.crashed_after_s).handler(),)
                    ),
                ),
                Service(
                    TEXT_SERVICE,
                    lambda server: server.add_generic_rpc_handlers((TextServicer(reads).handler(),)),
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
    """The control stream and the points streams into Postgres; replicas share the work."""
    connections = _PROJECT_CONNECTIONS + settings.points_shards
    replica = Replica(_name("project"))
    async with (
        _connected(settings, replica.application_name, connections) as (log, pool),
        _whole(log, settings) as whole,
        FreshReads(log, pool) as fresh,
        # Its statements take as long as they take, and see another generation.
        await connect_pool(
            settings.postgres_url.reveal(),
            max_size=settings.points_shards + _REBUILD_CONNECTIONS,
            application_name=replica.application_name,
            statement_s=None,
        ) as rebuild_pool,
    ):
        # One for each stream: what one remembers of an open transaction is nothing to the others.
        points = {points_stream(shard): PointsProjection() for shard in range(settings.points_shards)}
        projectors = {
            events.STREAM: Projector(
                whole, pool, stream=events.STREAM, service=events.SERVICE, apply=control.PART.apply
            ),
            **{
                stream: Projector(
                    whole,
                    pool,
                    stream=stream,
                    service=events.SERVICE,
                    apply=projection.apply,
                    rolled_back=projection.forget,
                )
                for stream, projection in points.items()
            },
        }

        async def readiness() -> list[str]:
            idle = [name for name in sorted(replica.held & projectors.keys()) if not projectors[name].running]
            return [
                *_log_faults(log),
                *([] if replica.attending else ["the leases cannot be renewed"]),
                *(f"{name} is not projected" for name in idle),
            ]

        async def reset() -> None:
            await emptying.empty(pool, log, projectors)
            for projection in points.values():
                projection.forget()
            fates.forget()

        def busy_s() -> float:
            return sum(projection.busy_s for projection in points.values())

        work: dict[str, Work] = {name: projector.run for name, projector in projectors.items()}
        # Beside a projector of points: it stays out of the way of what it sees.
        first = points_stream(0)
        work[first] = lambda: _together(projectors[first].run(), upkeep.keep_up(pool, busy_s))
        fates, gateways = Fates(log), Listener(log, GATEWAYS)
        watcher = Watcher(
            pool, fresh, gateways, fates, streams=projectors, crashed_after_s=settings.crashed_after_s
        )
        work[events.STREAM] = lambda: _together(
            projectors[events.STREAM].run(), watcher.run(), gateways.listen()
        )
        rebuilder = Rebuilder(
            whole, rebuild_pool, plan(settings.points_shards), retired_kept_s=settings.retired_kept_s
        )
        work["rebuild"] = rebuilder.run
        yield Role(readiness, reset, work=replica.share(pool, work))


@asynccontextmanager
async def _connected(
    settings: ProjectSettings, name: str, connections: int
) -> AsyncIterator[tuple[JetStreamLog, Pool]]:
    """The log, with every stream of the service there, and the database."""
    log = await JetStreamLog.connect(settings.nats_url.reveal(), name)
    try:
        await _ensure_streams(log, settings)
        pool = await connect_pool(settings.postgres_url.reveal(), max_size=connections, application_name=name)
        try:
            yield log, pool
        finally:
            await pool.close()
    finally:
        await log.close()


@asynccontextmanager
async def _whole(log: EventLog, settings: ProjectSettings) -> AsyncIterator[EventLog]:
    """The log with its archive, if there is one: a projection may be behind what the streams have."""
    if not settings.s3_bucket:
        yield log
        return
    store = S3Store(settings)
    try:
        yield ArchivedLog(log, store)
    finally:
        await store.close()


async def _together(*work: Coroutine[None, None, None]) -> None:
    """Until one ends, or fails."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _name(role: str) -> str:
    return f"rekam {events.SERVICE} {role}"


async def _ensure_streams(log: EventLog, settings: ProjectSettings) -> None:
    replicas = settings.stream_replicas
    await log.ensure(events.control_stream(replicas))
    await log.ensure(quarantine_stream(events.SERVICE, replicas=replicas))
    for stream in points_streams(settings.points_shards, replicas=replicas):
        await log.ensure(stream)


def _log_faults(log: JetStreamLog) -> list[str]:
    return [] if log.connected else ["the event log is not connected"]
