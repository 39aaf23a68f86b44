"""Creating streams, and bringing those that are there to their spec."""

from __future__ import annotations

from typing import Any

import msgspec

from rekam_runtime.errors import AlreadyExists, NotFound
from rekam_runtime.eventlog.jetstream.connection import Connection
from rekam_runtime.eventlog.port import StreamSpec

_MAX_MESSAGE_BYTES = 1024 * 1024
_DUPLICATE_WINDOW_NS = 120 * 1_000_000_000


class StreamState(msgspec.Struct):
    """Part of a stream's state that we read."""

    last_seq: int = 0
    bytes: int = 0


class _StreamInfo(msgspec.Struct):
    config: dict[str, Any]
    state: StreamState


async def ensure(connection: Connection, spec: StreamSpec) -> None:
    """Create the stream or update what differs; settings that we do not name are left alone."""
    wanted = _config(spec)
    try:
        current = (await _info(connection, spec.name)).config
    except NotFound:
        try:
            await connection.api(f"STREAM.CREATE.{spec.name}", wanted)
            return
        except AlreadyExists:  # somebody was faster, with another spec
            current = (await _info(connection, spec.name)).config
    if any(current.get(key) != value for key, value in wanted.items()):
        await connection.api(f"STREAM.UPDATE.{spec.name}", {**current, **wanted})


async def state(connection: Connection, stream: str) -> StreamState:
    return (await _info(connection, stream)).state


async def purge(connection: Connection, stream: str) -> None:
    await connection.api(f"STREAM.PURGE.{stream}")


async def _info(connection: Connection, stream: str) -> _StreamInfo:
    return msgspec.json.decode(await connection.api(f"STREAM.INFO.{stream}"), type=_StreamInfo)


def _config(spec: StreamSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "subjects": list(spec.subjects),
        "storage": "file",
        "retention": "limits",
        # A full stream refuses what is new; it never drops what it acknowledged.
        "discard": "new",
        "max_bytes": spec.max_bytes,
        "max_msg_size": _MAX_MESSAGE_BYTES,
        "num_replicas": spec.replicas,
        "duplicate_window": _DUPLICATE_WINDOW_NS,
        "allow_direct": True,
        "allow_atomic": True,
    }
