"""Figures of the archive, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

POSITION = Gauge("rekam_archive_position", "Position up to which the stream is archived", ["stream"])
LAG_RECORDS = Gauge("rekam_archive_lag_records", "Records in the stream that are not archived", ["stream"])
LAG_SECONDS = Gauge("rekam_archive_lag_seconds", "Age of the first record that is not archived", ["stream"])
SEGMENTS = Counter("rekam_archive_segments_total", "Segments stored", ["stream"])
RAW_BYTES = Counter("rekam_archive_raw_bytes_total", "Bytes of the records archived", ["stream"])
STORED_BYTES = Counter("rekam_archive_stored_bytes_total", "Bytes of the segments stored", ["stream"])
DROPPED = Gauge("rekam_archive_dropped_position", "Position up to which the stream was dropped", ["stream"])
DAMAGED = Counter("rekam_archive_damaged_total", "Segments that were not what was written", ["stream"])
WAITS = Counter("rekam_archive_waits_total", "Times that the archive or the log could not be reached")
