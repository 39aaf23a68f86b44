"""What a stack was told, read as it lies in the log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.ingest.v1 import points_pb2
from rekam_proto.tracking.v1 import run_pb2
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.jetstream.connection import Connection, persistently
from rekam_runtime.eventlog.shards import points_stream
from tests.support.faults import Faults


@dataclass(frozen=True)
class Frames:
    """stored: frames in the log; again: those of them that a frame before had already."""

    stored: int
    again: int


@asynccontextmanager
async def opened(faults: Faults, node: str = "") -> AsyncIterator[JetStreamLog]:
    """The stack's log, by the addresses that its own processes have, or one node of it."""
    log = await JetStreamLog.connect(_url(faults, node), "test")
    try:
        yield log
    finally:
        await log.close()


async def frames_in_the_log(faults: Faults, shard: int = 0) -> Frames:
    """Count the frames of a shard."""
    seen: Counter[tuple[bytes, str, int]] = Counter()
    async with opened(faults) as log:
        async for record in log.scan(points_stream(shard)):
            payload = envelope_pb2.Envelope.FromString(record.data).payload
            for each in points_pb2.PointsAppended.FromString(payload).records:
                if each.HasField("frame"):
                    seen[each.frame.run_id, each.frame.writer, each.frame.sequence] += 1
    return Frames(seen.total(), seen.total() - len(seen))


async def statuses_in_the_log(faults: Faults, run_id: str) -> list[tuple[str, str]]:
    """Every status that a run was given after its creation, and by whom."""
    found = []
    async with opened(faults) as log:
        for record in await log.read("REKAM_TRACKING", f"rekam.tracking.run.{run_id}"):
            envelope = envelope_pb2.Envelope.FromString(record.data)
            if envelope.type != run_pb2.RunUpdated.DESCRIPTOR.full_name:
                continue
            updated = run_pb2.RunUpdated.FromString(envelope.payload)
            if updated.HasField("status"):
                found.append((run_pb2.RunStatus.Name(updated.status), envelope.actor))
    return found


async def leader_of(faults: Faults, stream: str) -> str:
    """The process that leads a stream of a cluster."""
    connection = await Connection.open(_url(faults), "test", 10)
    try:
        info = json.loads(await persistently(lambda: connection.api(f"STREAM.INFO.{stream}")))
    finally:
        await connection.close()
    leader: str = info["cluster"]["leader"]
    return leader.removeprefix("rekam-local-")


def _url(faults: Faults, node: str = "") -> str:
    urls: str = psutil.Process(faults.pids()["gateway"]).environ()["REKAM_NATS_URL"]
    # In the order of the processes' names.
    return urls.split(",")[int(node.partition("-")[2] or 1) - 1] if node else urls
