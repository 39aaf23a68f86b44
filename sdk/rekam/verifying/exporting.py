"""A verifier's report as Prometheus metrics, at http://ADDRESS/metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rekam.verifying.report import BOUNDS, Histogram, Report

_PREFIX = "rekam_verify_"
_BY_DOOR = {
    "read": "Points read back.",
    "missing": "Points that were acknowledged and are not there.",
    "doubled": "Points that are there more than once.",
    "wrong": "What is there and was never written like that.",
    "late": "Reads that did not show what was acknowledged before they began.",
}


class ReportCollector(Collector):
    """Reads a report when it is asked."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Metrics as they are now."""
        report = self._report
        yield _counter("written", "Points handed to the SDK.", report.written)
        yield _counter("acknowledged", "Points that are acknowledged.", report.acknowledged)
        yield _counter("runs", "Runs started.", report.runs)
        for name, text in _BY_DOOR.items():
            family = CounterMetricFamily(_PREFIX + name, text, labels=["door"])
            counts: Counter[str] = getattr(report, name)
            for door, count in dict(counts).items():
                family.add_metric([door], count)
            yield family
        errors = CounterMetricFamily(
            f"{_PREFIX}client_errors", "Errors that the client had to handle.", labels=["doing", "error"]
        )
        for labels, count in dict(report.errors).items():
            errors.add_metric(list(labels), count)
        yield errors
        yield _counter("outages", "Times the server did not answer.", report.outages)
        yield _counter(
            "outage_seconds", "Seconds without it, in outages that are over.", report.outage_seconds
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}server_away", "Whether it does not answer now.", value=float(report.unavailable)
        )
        yield _histogram(
            "acknowledge_seconds", "From a log call until flush() returned.", report.acknowledging
        )
        yield _histogram(
            "fresh_seconds",
            "From the beginning of a read until it showed what was acknowledged.",
            report.fresh,
        )


def serve(report: Report, address: str) -> int:
    """Serve `report` on HOST:PORT from a thread; the port, which 0 leaves to the system."""
    host, _, port = address.rpartition(":")
    registry = CollectorRegistry()
    registry.register(ReportCollector(report))
    server, _ = start_http_server(int(port), host.strip("[]"), registry)
    return server.server_port


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    counts = [float(count) for count in accumulate(histogram.counts)]
    buckets = list(zip(bounds, counts, strict=True))
    return HistogramMetricFamily(_PREFIX + name, text, buckets=buckets, sum_value=histogram.total)
