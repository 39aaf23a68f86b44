"""`project` on the real parts, so far behind that the points it needs are in the archive only."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.eventlog.shards import points_streams
from rekam_runtime.roles import MigrateSettings
from rekam_runtime.settings import load
from rekam_tracking import server
from rekam_tracking.settings import ProjectSettings
from tests.support.archive import archive
from tests.support.metrics import Row, SentFrame, record, stored
from tests.support.nats import NatsServer
from tests.support.seaweed import SeaweedServer
from tests.support.tracking import Replica
from tests.support.tracking_service import running_tracking

pytestmark = pytest.mark.asyncio
POINTS = "REKAM_POINTS_0"
FRAMES, ROWS = 60, 10


async def filled(nats: NatsServer, seaweed: SeaweedServer) -> str:
    """A run whose points are archived, and dropped from the stream but for the last ones."""
    log = await JetStreamLog.connect(nats.url, "test")
    store = S3Store(seaweed.settings)
    (spec,) = points_streams(1)
    await log.ensure(spec)
    run_id = (await (await Replica.start(log)).run()).run_id
    for number in range(FRAMES):
        steps = range(number * ROWS, (number + 1) * ROWS)
        rows = tuple(Row(step, step, (float(step),)) for step in steps)
        frame = stored(SentFrame(run_id, ("loss",), number + 1, rows))
        data = record([frame], [("loss",)] if number == 0 else []).data
        await log.append(Draft("rekam.points.0", data, uuid.uuid4().hex))
    await archive(log, store, POINTS, up_to=FRAMES - 5)
    await log.drop(POINTS, FRAMES - 10)
    await log.close()
    await store.close()
    return run_id


async def test_a_projection_goes_on_from_the_archive(
    mortal_nats_server: NatsServer, mortal_seaweed_server: SeaweedServer, database_url: str
) -> None:
    run_id = await filled(mortal_nats_server, mortal_seaweed_server)
    environ = mortal_seaweed_server.environ
    async with running_tracking(mortal_nats_server.url, database_url, environ) as service:
        request = metric_pb2.GetHistoryRequest(run_id=run_id, key="loss", page_size=10_000)
        points = (await service.metrics.GetHistory(request)).points
    assert list(points.steps) == list(range(FRAMES * ROWS))
    assert list(points.values) == [float(step) for step in range(FRAMES * ROWS)]


async def test_without_the_archive_it_ends_and_says_what_it_lacks(
    mortal_nats_server: NatsServer, mortal_seaweed_server: SeaweedServer, database_url: str
) -> None:
    await filled(mortal_nats_server, mortal_seaweed_server)
    environ = {"REKAM_NATS_URL": mortal_nats_server.url, "REKAM_POSTGRES_URL": database_url}
    await server.migrate(load(MigrateSettings, environ))
    with pytest.raises(FailedPrecondition, match="records 1 to 50 are in the archive only"):
        async with asyncio.timeout(30):
            await server.project(load(ProjectSettings, environ), asyncio.Event())
