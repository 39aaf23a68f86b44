"""Texts of a points stream: checked, times left as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rekam_proto.ingest.v1 import views_pb2
from rekam_runtime import names
from rekam_runtime.errors import Quarantine
from rekam_tracking.writers import Sent, check_sequence, check_writer

WORD = 8


@dataclass(frozen=True, slots=True)
class Text(Sent):
    """Lines of one stream of a writer; times are little-endian bytes."""

    stream: str
    times_us: bytes
    lines: Sequence[str]


def text_of(view: views_pb2.StoredTextView, heard_us: int) -> Text:
    """Raises Quarantine when it is malformed."""
    run_id, writer, sequence = view.run_id, view.writer, view.sequence
    times_us, lines = view.times_us, view.lines
    check_writer(run_id, writer, "text")
    check_sequence(sequence, "text")
    if fault := names.key_fault(view.stream):
        raise Quarantine(f"text.stream: {fault}")
    if not lines:
        raise Quarantine("text.lines: a text has at least one line")
    if len(times_us) != len(lines) * WORD:
        raise Quarantine(f"text.times_us: {len(lines)} lines with {len(times_us)} bytes of times")
    rank = view.rank if view.HasField("rank") else None
    return Text(run_id, writer, rank, sequence, heard_us, view.stream, times_us, lines)
