"""Frames that are in the log a second time, long after its own memory of event ids: they change nothing."""

from __future__ import annotations

import uuid
from dataclasses import replace

import rekam
from rekam.testing import LocalStack
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.eventlog.shards import points_stream, points_subject
from tests.support.faults import Faults
from tests.support.log_audit import frames_in_the_log, opened
from tests.support.stack import until


async def test_frames_sent_again_a_week_later_change_nothing(rekam_clean: LocalStack) -> None:
    client = rekam.Client(rekam_clean.tracking_uri)
    run_id = client.create_run("0").info.run_id
    for step in range(500):
        client.log_metric(run_id, "loss", step / 2, step=step)
        if step % 100 == 0:
            client.flush()
    client.flush()
    # Its first heartbeat comes by another stream, perhaps behind all of this.
    until("it was heard", lambda: all(each.heartbeat_ms for each in client.get_completeness(run_id)))
    faults = Faults(rekam_clean)
    before = await frames_in_the_log(faults)
    expected = _everything(client, run_id)

    async with opened(faults) as log:
        records = await log.read(points_stream(0), points_subject(0))
        # Under new event ids the log stores them again: what it remembers by id is no help. Last first:
        # what came after them is no help either.
        for record in reversed(records):
            await log.append(Draft(record.subject, record.data, event_id=uuid.uuid4().hex))

    after = await frames_in_the_log(faults)
    assert before.stored > 1
    assert after.again == before.stored
    assert _everything(client, run_id) == expected


def _everything(client: rekam.Client, run_id: str) -> object:
    history = client.get_history(run_id, "loss")
    return (
        history.steps.tolist(),
        history.times_us.tolist(),
        history.values.tolist(),
        client.get_run(run_id).data.metrics,
        client.list_metrics(run_id),
        # The writer lives and says so from time to time.
        [replace(writer, alive=None, heard_us=None) for writer in client.get_completeness(run_id)],
    )
