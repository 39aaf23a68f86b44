"""The watcher on a real Postgres, by a clock of the test's: when it judges, and when it may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rekam_proto.tracking.v1 import run_pb2
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.eventlog.shards import points_stream, points_streams, points_subject
from rekam_runtime.projection import FreshReads, Projector, quarantine_stream
from rekam_tracking import control, events
from rekam_tracking.liveness.watcher import Watcher
from rekam_tracking.runs.fates import Fates
from tests.support.metrics import MetricStore, Row, SentFrame, heartbeat, metric_store, record, stored
from tests.support.tracking import Replica

RUNNING, FINISHED, CRASHED = (
    run_pb2.RUN_STATUS_RUNNING,
    run_pb2.RUN_STATUS_FINISHED,
    run_pb2.RUN_STATUS_CRASHED,
)


@dataclass
class Watched:
    """A watcher with its clock in the test's hands, a log that is projected, and who may write to it."""

    watcher: Watcher
    log: MemoryLog
    store: MetricStore
    replica: Replica
    now_s: float = 1_000.0
    gateways: bool = True
    heard_us: int = 1

    async def beat(self, run_id: str, writer: str = "w") -> None:
        self.heard_us += 1_000_000
        data = record([], others=[heartbeat(run_id, writer)], time_us=self.heard_us).data
        await self.log.append(Draft(points_subject(0), data, f"beat {self.heard_us}"))

    async def look_for(self, seconds: float) -> None:
        """Let time pass, and have the watcher look as often as it does."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 5
            await self.watcher.look()

    async def status(self, run_id: str) -> run_pb2.RunStatus:
        state, _ = await self.replica.runs.state(run_id)
        return state.status

    async def left(self) -> set[str]:
        rows = await self.store.pool.fetch("SELECT run_id FROM watched_runs")
        return {row["run_id"].hex for row in rows}


@pytest.fixture
async def watched(database_url: str) -> AsyncIterator[Watched]:
    log = MemoryLog()
    for spec in (events.control_stream(), quarantine_stream(events.SERVICE), *points_streams(1)):
        await log.ensure(spec)
    async with metric_store(database_url) as store, FreshReads(log, store.pool) as fresh:
        applying = {events.STREAM: control.PART.apply, points_stream(0): store.projection.apply}
        projectors = [
            Projector(log, store.pool, stream=stream, service=events.SERVICE, apply=apply)
            for stream, apply in applying.items()
        ]
        tasks = [asyncio.create_task(projector.run()) for projector in projectors]
        made: list[Watched] = []
        watcher = Watcher(
            store.pool,
            fresh,
            Presence(made),
            Fates(log),
            streams=applying,
            crashed_after_s=60,
            clock=lambda: made[0].now_s,
        )
        made.append(Watched(watcher, log, store, await Replica.start(log)))
        yield made[0]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@dataclass
class Presence:
    """Gateways that are there when the test says so."""

    made: list[Watched]

    def heard_within(self, seconds: float) -> bool:
        return self.made[0].gateways


async def test_a_silent_run_has_crashed_and_comes_back_when_it_is_heard(watched: Watched) -> None:
    run_id = (await watched.replica.run()).run_id
    await watched.beat(run_id)
    await watched.look_for(60)
    assert await watched.status(run_id) == RUNNING
    await watched.look_for(10)
    assert await watched.status(run_id) == CRASHED
    state, _ = await watched.replica.runs.state(run_id)
    assert state.end_ms == watched.heard_us // 1000
    await watched.beat(run_id)
    await watched.look_for(5)
    assert await watched.status(run_id) == RUNNING


async def test_one_writer_that_lives_is_enough(watched: Watched) -> None:
    run_id = (await watched.replica.run()).run_id
    await watched.beat(run_id, "dies")
    for _ in range(10):
        await watched.beat(run_id, "lives")
        await watched.look_for(30)
    assert await watched.status(run_id) == RUNNING
    await watched.look_for(70)
    assert await watched.status(run_id) == CRASHED


async def test_points_count_but_only_of_who_sends_heartbeats(watched: Watched) -> None:
    run_id, plain = (await watched.replica.run()).run_id, (await watched.replica.run()).run_id
    await watched.beat(run_id)
    for sequence in range(1, 6):
        watched.heard_us += 1_000_000
        frames = [
            stored(SentFrame(run, ("loss",), sequence, (Row(sequence, sequence, (0.0,)),)))
            for run in (run_id, plain)
        ]
        data = record(frames, [("loss",)], time_us=watched.heard_us).data
        await watched.log.append(Draft(points_subject(0), data, f"frame {sequence}"))
        await watched.look_for(30)
    assert await watched.status(run_id) == RUNNING
    await watched.look_for(70)
    assert (await watched.status(run_id), await watched.status(plain)) == (CRASHED, RUNNING)


async def test_nobody_is_judged_while_no_gateway_is_there(watched: Watched) -> None:
    run_id = (await watched.replica.run()).run_id
    await watched.beat(run_id)
    await watched.look_for(30)
    watched.gateways = False
    await watched.look_for(200)
    watched.gateways = True
    await watched.look_for(60)
    assert await watched.status(run_id) == RUNNING
    await watched.look_for(10)
    assert await watched.status(run_id) == CRASHED


async def test_a_watcher_that_was_held_up_begins_anew(watched: Watched) -> None:
    run_id = (await watched.replica.run()).run_id
    await watched.beat(run_id)
    await watched.look_for(30)
    watched.now_s += 100
    await watched.look_for(60)
    assert await watched.status(run_id) == RUNNING
    await watched.look_for(10)
    assert await watched.status(run_id) == CRASHED


async def test_runs_that_ended_are_not_watched_any_more(watched: Watched) -> None:
    ended, crashed, going_on = [(await watched.replica.run()).run_id for _ in range(3)]
    for run_id in (ended, crashed, going_on):
        await watched.beat(run_id)
    await watched.look_for(30)
    await watched.replica.finish(ended)
    await watched.beat(going_on)
    await watched.look_for(40)
    assert await watched.left() == {crashed, going_on}
    for _ in range(5):
        await watched.beat(going_on)
        await watched.look_for(30)
    assert await watched.left() == {going_on}
    assert (await watched.status(ended), await watched.status(crashed)) == (FINISHED, CRASHED)
    await watched.beat(crashed)
    await watched.look_for(5)
    assert await watched.status(crashed) == CRASHED  # when it is watched, one heartbeat later it is back
    await watched.beat(crashed)
    await watched.look_for(5)
    assert await watched.status(crashed) == RUNNING
