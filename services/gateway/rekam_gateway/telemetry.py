"""What the gateway counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

streams = Gauge("rekam_ingest_streams", "Ingest streams that are open")
frames = Counter("rekam_ingest_frames", "Frames taken in")
points = Counter("rekam_ingest_points", "Points taken in")
lines = Counter("rekam_ingest_lines", "Lines of text taken in")
heartbeats = Counter("rekam_ingest_heartbeats", "Heartbeats taken in")
refused = Counter("rekam_ingest_refused", "Records refused", ["code"])
append_bytes = Histogram(
    "rekam_ingest_append_bytes",
    "Size of the events appended to the log",
    buckets=[2**n for n in range(10, 21)],
)
