"""Calls about metrics: histories, buckets, completeness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rekam import conversion
from rekam.calls.session import Bounds, Session, set_range
from rekam.entities import Buckets, History, Metric, MetricSummary, RankSummary, WriterCompleteness
from rekam.errors import Invalid
from rekam_proto.tracking.v1 import metric_pb2

AXES = {
    "step": metric_pb2.AXIS_STEP,
    "time": metric_pb2.AXIS_TIME,
    "relative_time": metric_pb2.AXIS_RELATIVE_TIME,
}


class Metrics(Session):
    """Metrics of runs, by run id and key."""

    def list_metrics(self, run_id: str) -> list[MetricSummary]:
        """Keys of a run, sorted, with their number of points."""
        request = metric_pb2.ListMetricsRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.metrics.ListMetrics, request)
        return [MetricSummary(metric.key, metric.points) for metric in answer.metrics]

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """All points of one metric as objects; get_history gives them as arrays, far faster."""
        history = self.get_history(run_id, key)
        return [
            Metric(key, float(value), int(time_us) // 1000, int(step), int(time_us))
            for step, time_us, value in zip(history.steps, history.times_us, history.values, strict=True)
        ]

    def get_history(
        self,
        run_id: str,
        key: str,
        *,
        steps: Bounds | None = None,
        times_us: Bounds | None = None,
        writer: str | None = None,
        rank: int | None = None,
    ) -> History:
        """All points of one metric as arrays, ordered by time, step, value; empty for an unknown key.

        steps, times_us: (from, to), both inclusive, None is open; microseconds since the epoch.
        writer, rank: only what this writer, or writers with this rank, sent.
        """
        if writer is not None:
            return self._history_of_writer(run_id, key, writer, rank, steps, times_us)
        request = self._stream_request([run_id], [key], steps, times_us, rank)
        blocks = [block.points for block in self._blocks(request)]
        return conversion.history_from(run_id, key, blocks)

    def stream_history(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        steps: Bounds | None = None,
        times_us: Bounds | None = None,
        rank: int | None = None,
        by_rank: bool = False,
    ) -> Iterator[History]:
        """Series of up to 1,000 runs x 1,000 keys in blocks of up to 65,536 points, in constant memory.

        Run by run and key by key as asked; a long series comes as several blocks, in order.
        rank: only points of this rank. by_rank: a series for each rank, its `rank` set.
        """
        for block in self._blocks(self._stream_request(run_ids, keys, steps, times_us, rank, by_rank)):
            of_rank = block.rank if block.HasField("rank") else None
            yield conversion.history_from(block.run_id, block.key, [block.points], of_rank)

    def get_buckets(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        buckets: int = 1000,
        *,
        axis: Literal["step", "time", "relative_time"] = "step",
        x: Bounds | None = None,
        rank: int | None = None,
        by_rank: bool = False,
    ) -> list[Buckets]:
        """Series reduced for a chart: min, max, mean and last of each bucket; a spike is never lost.

        buckets: 1 to 10,000. x: (from, to) in the axis' unit, inclusive: steps, or microseconds.
        rank: only points of this rank. by_rank: a series for each rank, its `rank` set.
        """
        if axis not in AXES:
            raise Invalid(f"must be one of {', '.join(AXES)}, got {axis!r}", field="axis")
        request = metric_pb2.GetBucketsRequest(
            run_ids=run_ids,
            keys=keys,
            axis=AXES[axis],
            buckets=buckets,
            consistency=self._consistency,
            rank=rank,
            by_rank=by_rank,
        )
        set_range(request.x, x)
        answer = self._query(self._server.metrics.GetBuckets, request)
        return [conversion.buckets_from(series) for series in answer.series]

    def get_completeness(self, run_id: str) -> list[WriterCompleteness]:
        """How much of what each writer of a run sent has arrived, and whether it is alive."""
        request = metric_pb2.GetCompletenessRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.metrics.GetCompleteness, request)
        return [conversion.completeness_from(writer) for writer in answer.writers]

    def list_ranks(self, run_id: str) -> list[RankSummary]:
        """Ranks of a run's writers, sorted, those without one first."""
        request = metric_pb2.ListRanksRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.metrics.ListRanks, request)
        return [conversion.rank_from(rank) for rank in answer.ranks]

    def _blocks(self, request: metric_pb2.StreamHistoryRequest) -> Iterator[metric_pb2.HistoryBlockView]:
        if self._strong:
            self._settle()
        return self._server.raw_stream(
            "/rekam_proto.tracking.v1.MetricService/StreamHistory",
            request,
            metric_pb2.HistoryBlockView,
            self._retry_timeout,
        )

    def _history_of_writer(
        self,
        run_id: str,
        key: str,
        writer: str,
        rank: int | None,
        steps: Bounds | None,
        times_us: Bounds | None,
    ) -> History:
        request = metric_pb2.GetHistoryRequest(
            run_id=run_id, key=key, writer=writer, rank=rank, page_size=100_000, consistency=self._consistency
        )
        set_range(request.steps, steps)
        set_range(request.times_us, times_us)
        if self._strong:
            self._settle()
        pages = []
        while True:
            answer = self._server.raw_call(
                "/rekam_proto.tracking.v1.MetricService/GetHistory",
                request,
                metric_pb2.GetHistoryResponseView,
                self._retry_timeout,
            )
            pages.append(answer.points)
            request.page_token = answer.next_page_token
            if not request.page_token:
                return conversion.history_from(run_id, key, pages)

    def _stream_request(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        steps: Bounds | None,
        times_us: Bounds | None,
        rank: int | None,
        by_rank: bool = False,
    ) -> metric_pb2.StreamHistoryRequest:
        request = metric_pb2.StreamHistoryRequest(
            run_ids=run_ids, keys=keys, consistency=self._consistency, rank=rank, by_rank=by_rank
        )
        set_range(request.steps, steps)
        set_range(request.times_us, times_us)
        return request
