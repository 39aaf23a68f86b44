"""Figures of the projections, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LAG = Gauge(
    "rekam_projection_lag_records", "Records in the stream past the projection's position", ["stream"]
)
POSITION = Gauge("rekam_projection_position", "Position up to which the stream is applied", ["stream"])
RECORDS = Counter("rekam_projection_records_total", "Records applied", ["stream"])
BYTES = Counter("rekam_projection_bytes_total", "Bytes of the records applied", ["stream"])
QUARANTINED = Counter("rekam_projection_quarantined_total", "Records set aside", ["stream"])
RESTARTS = Counter(
    "rekam_projection_restarts_total", "Times a failure made the projector start over", ["stream"]
)
COMMIT_SECONDS = Histogram(
    "rekam_projection_commit_seconds",
    "Time to apply and commit one batch",
    ["stream"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
