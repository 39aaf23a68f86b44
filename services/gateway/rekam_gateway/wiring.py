"""The only module that builds adapters: what the gateway is made of, from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from rekam_gateway.artifacts.committing import Committer
from rekam_gateway.artifacts.rpc import SERVICE as TRANSFER_SERVICE
from rekam_gateway.artifacts.rpc import TransferService
from rekam_gateway.artifacts.transfer import Transfer
from rekam_gateway.http.backend import Artifacts, Backend, Points, Registry
from rekam_gateway.ingest.publisher import ShardPublisher
from rekam_gateway.ingest.rpc import SERVICE, IngestService
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.tracking import TrackingClient
from rekam_gateway.ingest.writers import RunWriters
from rekam_gateway.settings import Settings
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc, storage_pb2_grpc
from rekam_proto.local.v1 import local_pb2
from rekam_proto.log.v1 import archive_pb2, log_pb2
from rekam_proto.registry.v1 import (
    alias_pb2,
    history_pb2,
    model_pb2,
    resolve_pb2,
    transition_pb2,
    version_pb2,
    watch_pb2,
    webhook_pb2,
)
from rekam_proto.tracking.v1 import (
    dataset_pb2,
    experiment_pb2,
    logged_model_pb2,
    metric_pb2,
    run_pb2,
    text_pb2,
)
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.budget import ByteBudget
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.presence import GATEWAYS, announce
from rekam_runtime.eventlog.shards import points_streams, points_subject
from rekam_runtime.rpc.addressed import ByService
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.forward import Admit, Forwarder, loopback_only
from rekam_runtime.rpc.server import Service

# Points on their way to the log, of all streams and requests.
POINTS_BYTES = 64 * 1024 * 1024
_REGISTRY_FILES = (
    model_pb2,
    version_pb2,
    alias_pb2,
    transition_pb2,
    history_pb2,
    resolve_pb2,
    watch_pb2,
    webhook_pb2,
)
# A service that is started again is waited for; a search may take tracking's 30 s.
HTTP_PATIENCE_S = 40.0


@dataclass(frozen=True)
class Gateway:
    """The gateway's parts, connected.

    backend: what the HTTP door speaks to.
    readiness: what is not ready, as text.
    drain: ends the ingest streams; what was read is answered first.
    work: what goes on until the process stops; when one of it ends, nothing here is right any more.
    """

    services: list[Service]
    backend: Backend
    readiness: Callable[[], Awaitable[list[str]]]
    drain: Callable[[str], Awaitable[None]]
    work: list[asyncio.Task[None]]


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Gateway]:
    log = await JetStreamLog.connect(settings.nats_url.reveal(), "rekam gateway")
    tracking = channel(settings.tracking_target)
    artifacts = channel(settings.artifacts_target, HTTP_PATIENCE_S) if settings.artifacts_target else None
    registry = channel(settings.registry_target) if settings.registry_target else None
    blobs = S3Store(settings) if settings.s3_bucket else None
    tracking_of_http = channel(settings.tracking_target, patience_s=HTTP_PATIENCE_S)
    registry_of_http = (
        channel(settings.registry_target, HTTP_PATIENCE_S, again=True) if settings.registry_target else None
    )
    archive = channel(settings.archive_target) if settings.archive_target else None
    local = channel(settings.local_control_target) if settings.local_control_target else None
    publishers: list[ShardPublisher] = []
    try:
        for stream in points_streams(settings.points_shards, replicas=settings.stream_replicas):
            await log.ensure(stream)
        publishers += [ShardPublisher(log, points_subject(shard)) for shard in range(settings.points_shards)]
        client, budget = TrackingClient(tracking), ByteBudget(POINTS_BYTES)
        runs, writers = Runs(client, log), RunWriters(publishers, budget)
        ingest = IngestService(client, runs, publishers, budget)
        services = [Service(SERVICE, lambda server: server.add_generic_rpc_handlers((ingest.handler(),)))]
        for file in (experiment_pb2, run_pb2, dataset_pb2, logged_model_pb2, metric_pb2, text_pb2):
            services += _forwarded(file.DESCRIPTOR, tracking)
        owners = {"tracking": tracking}
        if artifacts is not None:
            services += _forwarded(artifact_pb2.DESCRIPTOR, artifacts)
            owners["artifacts"] = artifacts
        if registry is not None:
            for file in _REGISTRY_FILES:
                services += _forwarded(file.DESCRIPTOR, registry)
            owners["registry"] = registry
        stored = None
        if artifacts is not None and blobs is not None:
            stored = _stored(blobs, artifacts)
            transfers = TransferService(stored.transfer)
            services.append(
                Service(
                    TRANSFER_SERVICE, lambda server: server.add_generic_rpc_handlers((transfers.handler(),))
                )
            )
        services.append(_addressed(log_pb2.DESCRIPTOR.services_by_name["LogService"], owners))
        if archive is not None:
            services += _forwarded(archive_pb2.DESCRIPTOR, archive)
        if local is not None:
            services += _forwarded(local_pb2.DESCRIPTOR, local, loopback_only)

        async def drain(reason: str) -> None:
            await ingest.drain(reason)
            runs.forget()
            writers.forget()

        async def readiness() -> list[str]:
            missing = [] if log.connected else ["the event log is not connected"]
            if tracking.get_state(try_to_connect=True) != grpc.ChannelConnectivity.READY:
                missing.append(f"the tracking service at {settings.tracking_target} is not connected")
            return missing

        present = asyncio.create_task(announce(log, GATEWAYS, readiness), name="presence")
        keeping = asyncio.create_task(runs.keeper.run(), name="recalls")
        work = [present, keeping, *(publisher.task for publisher in publishers)]
        registered = Registry.over(registry_of_http) if registry_of_http is not None else None
        backend = Backend.over(tracking_of_http, Points(runs, writers), stored, registered)
        yield Gateway(services, backend, readiness, drain, work)
        for task in (present, keeping):
            task.cancel()
        for publisher in publishers:
            await publisher.close()
    finally:
        for opened in (tracking, tracking_of_http, artifacts, registry, registry_of_http, archive, local):
            if opened is not None:
                await opened.close()
        if blobs is not None:
            await blobs.close()
        await log.close()


def _stored(blobs: S3Store, service: grpc.aio.Channel) -> Artifacts:
    files = artifact_pb2_grpc.ArtifactServiceStub(service)
    committer = Committer(storage_pb2_grpc.StorageServiceStub(service))
    return Artifacts(files, Transfer(blobs, files, committer), direct=blobs.signs)


def _forwarded(file: FileDescriptor, target: grpc.aio.Channel, admit: Admit | None = None) -> list[Service]:
    """Every service of a proto file, handed on as bytes."""
    descriptors = list(file.services_by_name.values())
    forwarder = Forwarder(target, descriptors, admit)
    first, *others = (descriptor.full_name for descriptor in descriptors)
    return [
        Service(first, lambda server: server.add_generic_rpc_handlers((forwarder,))),
        *(Service(name, lambda server: None) for name in others),
    ]


def _addressed(service: ServiceDescriptor, targets: Mapping[str, grpc.aio.Channel]) -> Service:
    """A service that several of ours serve, each for itself."""
    by_service = ByService({name: Forwarder(target, [service]) for name, target in targets.items()})
    return Service(service.full_name, lambda server: server.add_generic_rpc_handlers((by_service,)))
