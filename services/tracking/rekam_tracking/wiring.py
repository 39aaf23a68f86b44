"""The only module that builds adapters: what each role is made of, from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rekam_proto.log.v1 import log_pb2_grpc
from rekam_proto.tracking.v1 import dataset_pb2_grpc, experiment_pb2_grpc, logged_model_pb2_grpc, run_pb2_grpc
from rekam_runtime import roles
from rekam_runtime.eventlog.port import StreamSpec
from rekam_runtime.eventlog.presence import GATEWAYS, Listener
from rekam_runtime.eventlog.recall import Recaller
from rekam_runtime.eventlog.shards import points_stream, points_streams
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.operating.rpc import SERVICE as LOG_SERVICE
from rekam_runtime.operating.rpc import LogServicer
from rekam_runtime.projection import BatchLimits, FreshReads, Replica, quarantine_stream
from rekam_runtime.roles import Projection, Role
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
from rekam_tracking.settings import ProjectSettings, ServeSettings, TrackingSettings
from rekam_tracking.texts.rpc import SERVICE as TEXT_SERVICE
from rekam_tracking.texts.rpc import TextServicer

_MB = 1024 * 1024
_SERVE_CONNECTIONS = 8
_PROJECT_CONNECTIONS = 6
# And one for each stream of points.
_REBUILD_CONNECTIONS = 6
# Clients that ask one after another leave gaps of some milliseconds, and a transaction costs more than
# what is in it. Who waits for something ends a batch at once.
_BATCHES = BatchLimits(idle_s=0.025)


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    """Commands, decided against the log, and queries of the projection."""
    async with (
        roles.connected(settings, _name("serve"), _SERVE_CONNECTIONS, _streams(settings)) as (log, pool),
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

        async def missing() -> list[str]:
            # Commands need no database.
            return roles.log_faults(log)

        async def reset() -> None:
            runs.forget()
            models.forget()
            await experiments.reset()

        yield Role(
            missing,
            reset,
            work={"recalls": experiments.keeper.run},
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
    shards = settings.points_shards
    replica = Replica(_name("project"))
    name = replica.application_name
    async with (
        roles.connected(settings, name, _PROJECT_CONNECTIONS + shards, _streams(settings)) as (log, pool),
        roles.archived(log, settings) as whole,
        FreshReads(log, pool) as fresh,
        await roles.rebuild_pool(settings, name, _REBUILD_CONNECTIONS + shards) as rebuilding,
    ):
        # One for each stream: what one remembers of an open transaction is nothing to the others.
        points = {points_stream(shard): PointsProjection() for shard in range(shards)}
        live = {
            events.STREAM: control.PART,
            **{stream: projection.part() for stream, projection in points.items()},
        }
        projection = Projection(
            whole,
            pool,
            rebuilding,
            replica,
            plan(shards),
            live,
            retired_kept_s=settings.retired_kept_s,
            limits=_BATCHES,
        )
        fates, gateways = Fates(log), Listener(log, GATEWAYS)
        watcher = Watcher(
            pool, fresh, gateways, fates, streams=live, crashed_after_s=settings.crashed_after_s
        )

        def busy_s() -> float:
            return sum(one.busy_s for one in points.values())

        # Beside a projector of points: it stays out of the way of what it sees.
        projection.beside(points_stream(0), lambda: upkeep.keep_up(pool, busy_s))
        projection.beside(events.STREAM, watcher.run, gateways.listen)

        async def missing() -> list[str]:
            return [*roles.log_faults(log), *projection.faults()]

        async def reset() -> None:
            await projection.reset()
            fates.forget()

        yield Role(missing, reset, work={"projecting": projection.share})


def _name(role: str) -> str:
    return f"rekam {events.SERVICE} {role}"


def _streams(settings: TrackingSettings) -> list[StreamSpec]:
    replicas = settings.stream_replicas
    return [
        events.control_stream(replicas),
        quarantine_stream(events.SERVICE, replicas=replicas),
        *points_streams(settings.points_shards, replicas=replicas),
    ]
