"""MetricService over gRPC: what it answers, what it refuses, and that a read sees what was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest

from rekam_proto.tracking.v1 import metric_pb2 as m
from rekam_proto.tracking.v1 import metric_pb2_grpc, read_pb2
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.eventlog.shards import points_stream, points_streams, points_subject
from rekam_runtime.projection import FreshReads, Projector, quarantine_stream
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.rpc.status import error_from_rpc
from rekam_runtime.settings import HostPort
from rekam_tracking import control, events
from rekam_tracking.metrics.rpc import SERVICE, MetricServicer
from rekam_tracking.reads import Reads
from tests.support.metrics import MetricStore, Row, SentFrame, metric_store, record, stored

KEYS = ("loss", "acc")
NOBODY = "f" * 32


@dataclass
class Served:
    """The service, with a log that is projected."""

    store: MetricStore
    log: MemoryLog
    stub: Any

    async def append(self, *frames: SentFrame) -> None:
        data = record(map(stored, frames), dict.fromkeys(frame.keys for frame in frames)).data
        await self.log.append(Draft(points_subject(0), data, f"{frames[0].run_id}-{frames[0].sequence}"))


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    log = MemoryLog()
    for spec in (events.control_stream(), quarantine_stream(events.SERVICE), *points_streams(1)):
        await log.ensure(spec)
    async with metric_store(database_url) as store, FreshReads(log, store.pool) as fresh:
        projectors = [
            Projector(
                log, store.pool, stream=events.STREAM, service=events.SERVICE, apply=control.PART.apply
            ),
            Projector(
                log,
                store.pool,
                stream=points_stream(0),
                service=events.SERVICE,
                apply=store.projection.apply,
                rolled_back=store.projection.forget,
            ),
        ]
        servicer = MetricServicer(Reads(store.pool, fresh, points_shards=1, deadline_s=10), 60)
        service = Service(SERVICE, lambda server: server.add_generic_rpc_handlers((servicer.handler(),)))
        tasks = [asyncio.create_task(projector.run()) for projector in projectors]
        async with (
            build_server([service], HostPort("127.0.0.1", 0)) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            yield Served(store, log, metric_pb2_grpc.MetricServiceStub(channel))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def frame(run_id: str, sequence: int, rows: int = 10) -> SentFrame:
    first = (sequence - 1) * rows
    return SentFrame(
        run_id, KEYS, sequence, tuple(Row(s, 1_000 * s, (s / 2, -s)) for s in range(first, first + rows))
    )


async def test_a_read_sees_what_was_acknowledged_before(served: Served) -> None:
    run_id = await served.store.new_run()
    for sequence in range(1, 20):
        await served.append(frame(run_id, sequence))
        listed = await served.stub.ListMetrics(m.ListMetricsRequest(run_id=run_id))
        assert {metric.key: metric.points for metric in listed.metrics} == {
            "acc": 10 * sequence,
            "loss": 10 * sequence,
        }
        page = await served.stub.GetHistory(m.GetHistoryRequest(run_id=run_id, key="loss"))
        assert list(page.points.steps) == list(range(10 * sequence))
        (writer,) = (await served.stub.GetCompleteness(m.GetCompletenessRequest(run_id=run_id))).writers
        assert writer.complete_up_to == sequence


async def test_numbers_arrive_as_the_public_messages(served: Served) -> None:
    run_id = await served.store.new_run()
    await served.append(frame(run_id, 1))
    page = await served.stub.GetHistory(m.GetHistoryRequest(run_id=run_id, key="loss", page_size=4))
    assert page.points == m.Points(
        steps=range(4), times_us=range(0, 4_000, 1_000), values=[0.0, 0.5, 1.0, 1.5]
    )
    rest = await served.stub.GetHistory(
        m.GetHistoryRequest(run_id=run_id, key="loss", page_token=page.next_page_token)
    )
    assert list(rest.points.values) == [s / 2 for s in range(4, 10)]
    assert rest.next_page_token == ""
    request = m.StreamHistoryRequest(run_ids=[run_id], keys=["acc", "loss"], steps=m.Range(to=1))
    blocks = [block async for block in served.stub.StreamHistory(request)]
    assert [(block.key, list(block.points.values)) for block in blocks] == [
        ("acc", [0.0, -1.0]),
        ("loss", [0.0, 0.5]),
    ]


async def test_buckets_over_every_axis(served: Served) -> None:
    run_id = await served.store.new_run()
    rows = tuple(Row(10 * s, 5_000 + s, (float(s), 0.0)) for s in range(10))
    await served.append(SentFrame(run_id, KEYS, 1, rows))
    wanted = {
        m.AXIS_STEP: ((0, 90), [0, 50], [40, 90]),
        m.AXIS_TIME: ((5_000, 5_009), [5_000, 5_005], [5_004, 5_009]),
        m.AXIS_RELATIVE_TIME: ((0, 9), [0, 5], [4, 9]),
    }
    for axis, (ends, first_x, last_x) in wanted.items():
        request = m.GetBucketsRequest(run_ids=[run_id], keys=["loss", "never"], axis=axis, buckets=2)
        loss, never = (await served.stub.GetBuckets(request)).series
        assert (loss.x_from, loss.x_to) == ends
        assert (list(loss.first_x), list(loss.last_x)) == (first_x, last_x)
        assert (list(loss.index), list(loss.count), list(loss.nans)) == ([0, 1], [5, 5], [0, 0])
        assert (list(loss.min), list(loss.max)) == ([0.0, 5.0], [4.0, 9.0])
        assert (list(loss.mean), list(loss.last)) == ([2.0, 7.0], [4.0, 9.0])
        assert (never.run_id, never.key, list(never.index)) == (run_id, "never", [])


async def test_buckets_of_a_range_leave_the_rest_out(served: Served) -> None:
    run_id = await served.store.new_run()
    rows = tuple(Row(s, 100 + s, (float(s), 0.0)) for s in range(10))
    await served.append(SentFrame(run_id, KEYS, 1, rows))
    for axis, origin in ((m.AXIS_STEP, 0), (m.AXIS_TIME, 100), (m.AXIS_RELATIVE_TIME, 0)):
        for asked, wanted in (
            (m.Range(**{"from": origin + 3, "to": origin + 5}), [3.0, 4.0, 5.0]),
            (m.Range(**{"from": origin + 8}), [8.0, 9.0]),
            (m.Range(to=origin + 1), [0.0, 1.0]),
            (m.Range(**{"from": origin + 50}), []),
            (m.Range(to=origin - 50), []),
        ):
            request = m.GetBucketsRequest(run_ids=[run_id], keys=["loss"], axis=axis, buckets=20, x=asked)
            (series,) = (await served.stub.GetBuckets(request)).series
            assert list(series.last) == wanted


@pytest.fixture
async def ranked(served: Served) -> str:
    """A run of ranks 0 and 1 (of two writers) and a writer without one; values are 10 x rank + writer."""
    run_id = await served.store.new_run()
    frames = [
        SentFrame(run_id, KEYS, 1, tuple(Row(s, s, (value, value)) for s in range(3)), writer, rank)
        for writer, rank, value in (("a", 0, 0.0), ("b", 1, 10.0), ("c", 1, 11.0), ("d", None, -1.0))
    ]
    await served.append(*frames)
    return run_id


def rank_of(message: Any) -> int | None:
    return message.rank if message.HasField("rank") else None


async def test_the_rank_chooses_points(served: Served, ranked: str) -> None:
    for rank, values in ((0, [0.0]), (1, [10.0, 11.0]), (2, [])):
        page = await served.stub.GetHistory(m.GetHistoryRequest(run_id=ranked, key="loss", rank=rank))
        assert sorted(page.points.values) == sorted(3 * values)
        request = m.StreamHistoryRequest(run_ids=[ranked], keys=["loss"], rank=rank)
        streamed = [block async for block in served.stub.StreamHistory(request)]
        assert [value for block in streamed for value in block.points.values] == list(page.points.values)
        charted = m.GetBucketsRequest(run_ids=[ranked], keys=["loss"], rank=rank, buckets=1)
        (series,) = (await served.stub.GetBuckets(charted)).series
        assert list(series.count) == ([3 * len(values)] if values else [])
        assert rank_of(series) is None
    both = await served.stub.GetHistory(m.GetHistoryRequest(run_id=ranked, key="loss", writer="b", rank=0))
    assert not both.points.values


async def test_a_series_for_each_rank(served: Served, ranked: str) -> None:
    request = m.StreamHistoryRequest(run_ids=[ranked], keys=["loss", "never"], by_rank=True)
    blocks = [block async for block in served.stub.StreamHistory(request)]
    assert [(rank_of(block), sorted(set(block.points.values))) for block in blocks] == [
        (None, [-1.0]),
        (0, [0.0]),
        (1, [10.0, 11.0]),
    ]
    charted = m.GetBucketsRequest(run_ids=[ranked], keys=["loss"], by_rank=True, buckets=1)
    answer = (await served.stub.GetBuckets(charted)).series
    assert [(rank_of(series), list(series.max), list(series.count)) for series in answer] == [
        (None, [-1.0], [3]),
        (0, [0.0], [3]),
        (1, [11.0], [6]),
    ]
    charted.rank = 1
    (only,) = (await served.stub.GetBuckets(charted)).series
    assert (only.rank, list(only.count)) == (1, [6])


async def test_ranks_of_a_run_are_listed(served: Served, ranked: str) -> None:
    listed = (await served.stub.ListRanks(m.ListRanksRequest(run_id=ranked))).ranks
    assert [(rank_of(each), list(each.writers), each.points) for each in listed] == [
        (None, ["d"], 6),
        (0, ["a"], 6),
        (1, ["b", "c"], 12),
    ]


RANGE = m.Range(**{"from": 2, "to": 1})
REFUSED: list[tuple[str, object, str]] = [
    ("ListMetrics", m.ListMetricsRequest(run_id="x"), "run_id"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", page_size=100_001), "page_size"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", page_size=-1), "page_size"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key=""), "key"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", writer="a b"), "writer"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", steps=RANGE), "steps"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", times_us=RANGE), "times_us"),
    ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k", consistency=7), "consistency"),  # type: ignore[arg-type]
    ("StreamHistory", m.StreamHistoryRequest(keys=["k"]), "run_ids"),
    ("StreamHistory", m.StreamHistoryRequest(run_ids=[NOBODY]), "keys"),
    ("StreamHistory", m.StreamHistoryRequest(run_ids=[NOBODY, "x"], keys=["k"]), "run_ids[1]"),
    ("StreamHistory", m.StreamHistoryRequest(run_ids=[NOBODY] * 1_001, keys=["k"]), "run_ids"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"]), "buckets"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"], buckets=10_001), "buckets"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"] * 101, buckets=1), "keys"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k", "//"], buckets=1), "keys[1]"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"], buckets=1, x=RANGE), "x"),
    ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"], buckets=1, axis=9), "axis"),  # type: ignore[arg-type]
    ("GetCompleteness", m.GetCompletenessRequest(run_id="A" * 32), "run_id"),
]


async def call(served: Served, method: str, request: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        answer = getattr(served.stub, method)(request)
        if method == "StreamHistory":
            async for _ in answer:
                pass
        else:
            await answer
    return raised.value


async def test_a_request_that_breaks_a_rule_is_refused_by_field(served: Served) -> None:
    for method, request, field in REFUSED:
        error = await call(served, method, request)
        assert (error.code(), error_from_rpc(error).field) == (grpc.StatusCode.INVALID_ARGUMENT, field), (
            method
        )


async def test_a_run_that_does_not_exist_is_not_found(served: Served) -> None:
    for method, request in (
        ("ListMetrics", m.ListMetricsRequest(run_id=NOBODY)),
        ("GetHistory", m.GetHistoryRequest(run_id=NOBODY, key="k")),
        ("StreamHistory", m.StreamHistoryRequest(run_ids=[NOBODY], keys=["k"])),
        ("GetBuckets", m.GetBucketsRequest(run_ids=[NOBODY], keys=["k"], buckets=1)),
        ("GetCompleteness", m.GetCompletenessRequest(run_id=NOBODY)),
        ("ListRanks", m.ListRanksRequest(run_id=NOBODY)),
    ):
        error = await call(served, method, request)
        assert error.code() == grpc.StatusCode.NOT_FOUND, method


async def test_an_eventual_read_does_not_wait(served: Served) -> None:
    run_id = await served.store.new_run()
    eventual = read_pb2.CONSISTENCY_EVENTUAL
    listed = await served.stub.ListMetrics(m.ListMetricsRequest(run_id=run_id, consistency=eventual))
    assert not listed.metrics


async def test_a_stream_may_pass_over_runs_that_do_not_exist(served: Served) -> None:
    run_id = await served.store.new_run()
    await served.append(frame(run_id, 1))
    request = m.StreamHistoryRequest(run_ids=[NOBODY, run_id], keys=["loss"], pass_missing=True)
    assert [block.run_id async for block in served.stub.StreamHistory(request)] == [run_id]
