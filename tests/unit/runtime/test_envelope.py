"""Events in envelopes: large ones are compressed, what is too large or unreadable is told."""

from __future__ import annotations

import secrets

import pytest

from rekam_proto.event.v1.envelope_pb2 import COMPRESSION_ZSTD, Envelope
from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.errors import Invalid, Quarantine
from rekam_runtime.eventlog.envelope import MAX_PAYLOAD_BYTES, Cause, registry_of, unwrap, wrap
from rekam_runtime.eventlog.port import Record

REGISTRY = registry_of(run_pb2.TagsSet)


def tags(value: str) -> run_pb2.TagsSet:
    return run_pb2.TagsSet(run_id="a", tags=[read_pb2.Tag(key="k", value=value)])


def stored(event: run_pb2.TagsSet) -> Envelope:
    return wrap(event, Cause("ada"), aggregate="run/a")


def read(envelope: Envelope) -> object:
    return unwrap(Record(1, "s", envelope.SerializeToString(), 0), REGISTRY)[1]


def test_a_small_event_lies_as_it_is() -> None:
    envelope = stored(tags("v"))
    assert envelope.payload == tags("v").SerializeToString()
    assert read(envelope) == tags("v")


def test_a_large_event_is_compressed() -> None:
    event = tags("long " * 1_000_000)
    envelope = stored(event)
    assert envelope.compression == COMPRESSION_ZSTD
    assert envelope.ByteSize() < 10_000
    assert read(envelope) == event


def test_an_event_that_the_log_cannot_take_is_refused() -> None:
    assert len(stored(tags(secrets.token_hex(MAX_PAYLOAD_BYTES * 9 // 10))).payload) <= MAX_PAYLOAD_BYTES
    with pytest.raises(Invalid, match="compressed"):
        stored(tags(secrets.token_hex(MAX_PAYLOAD_BYTES * 11 // 10)))


def test_a_payload_that_cannot_be_decompressed_is_set_aside() -> None:
    envelope = stored(tags("long " * 1_000_000))
    for damaged in (envelope.payload[:-1], b"x", b""):
        with pytest.raises(Quarantine, match="decompressed"):
            read(Envelope(type=envelope.type, payload=damaged, compression=COMPRESSION_ZSTD))
    with pytest.raises(Quarantine, match="not known"):
        read(Envelope(type=envelope.type, payload=envelope.payload, compression=9))  # type: ignore[arg-type]
