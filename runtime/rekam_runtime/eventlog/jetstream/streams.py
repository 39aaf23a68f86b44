"""Creating streams, and bringing those that are there to their spec."""

from __future__ import annotations

from typing import Any

import msgspec

from rekam_runtime.errors import AlreadyExists, NotFound, Retry
from rekam_runtime.eventlog.jetstream.connection import Connection
from rekam_runtime.eventlog.port import Extent, StreamSpec

_MAX_MESSAGE_BYTES = 1024 * 1024
_DUPLICATE_WINDOW_NS = 120 * 1_000_000_000
# A leader hears from the others every second, and for 4 s after that they elect no other. One that is
# cut off goes on answering for 15 s, as if its end were the stream's.
_HEARD_WITHIN_NS = 2_500_000_000


# In the stream's metadata: the position past which the log begins. A purge moves it; without
# it, a stream whose first records were dropped could not be told from one that was purged.
_ORIGIN = "rekam_origin"


class StreamState(msgspec.Struct):
    """Part of a stream's state that we read."""

    first_seq: int = 0
    last_seq: int = 0
    bytes: int = 0


class _Peer(msgspec.Struct):
    # Nanoseconds since the leader heard from it.
    active: int = 0


class _Cluster(msgspec.Struct):
    leader: str = ""
    replicas: list[_Peer] | None = None


class _StreamInfo(msgspec.Struct):
    config: dict[str, Any]
    state: StreamState
    created: str = ""
    cluster: _Cluster | None = None

    @property
    def metadata(self) -> dict[str, str]:
        return self.config.get("metadata") or {}

    @property
    def first(self) -> int:
        """Position of the first record, or of the next one when there is none."""
        return max(1, self.state.first_seq)

    @property
    def led(self) -> bool:
        """Whether who answered leads the stream, and nobody else can do so at this moment."""
        if self.cluster is None:
            return True
        peers = self.cluster.replicas or []
        heard = 1 + sum(peer.active < _HEARD_WITHIN_NS for peer in peers)
        return bool(self.cluster.leader) and 2 * heard > 1 + len(peers)

    @property
    def origin(self) -> int:
        return int(self.metadata.get(_ORIGIN, 0))


class _Names(msgspec.Struct):
    total: int
    streams: list[str] | None = None


async def ensure(connection: Connection, spec: StreamSpec) -> None:
    """Create the stream or update what differs; settings that we do not name are left alone."""
    wanted = _config(spec)
    try:
        info = await _info(connection, spec.name)
    except NotFound:
        try:
            await connection.api(f"STREAM.CREATE.{spec.name}", {**wanted, "metadata": {_ORIGIN: "0"}})
            return
        except AlreadyExists:  # somebody was faster, with another spec
            info = await _info(connection, spec.name)
    if _ORIGIN not in info.metadata:
        # Made before records could be dropped: what is missing at its beginning was purged.
        wanted["metadata"] = {**info.metadata, _ORIGIN: str(info.first - 1)}
    if any(info.config.get(key) != value for key, value in wanted.items()):
        await connection.api(f"STREAM.UPDATE.{spec.name}", {**info.config, **wanted})


async def state(connection: Connection, stream: str) -> StreamState:
    """The stream's state as its leader has it; Retry while it is not certain who that is."""
    return (await _led(connection, stream)).state


async def replicas(connection: Connection, stream: str) -> int:
    return int((await _info(connection, stream)).config.get("num_replicas", 1))


async def extent(connection: Connection, stream: str) -> Extent:
    info = await _led(connection, stream)
    # Made of what names a directory anywhere: 20261124T183554123456Z-0.
    born = "".join(char for char in info.created if char.isalnum())
    return Extent(f"{born}-{info.origin}", info.origin, info.first, info.state.last_seq, info.state.bytes)


async def names(connection: Connection) -> list[str]:
    found: list[str] = []
    while True:
        page = msgspec.json.decode(await connection.api("STREAM.NAMES", {"offset": len(found)}), type=_Names)
        found += page.streams or []
        if not page.streams or len(found) >= page.total:
            return sorted(found)


async def drop(connection: Connection, stream: str, up_to: int) -> None:
    # JetStream takes a sequence of 0 for all there is, and one past the last skips positions.
    up_to = min(up_to, (await state(connection, stream)).last_seq)
    if up_to > 0:
        await connection.api(f"STREAM.PURGE.{stream}", {"seq": up_to + 1})


async def purge(connection: Connection, stream: str) -> int:
    """Move the log's beginning to its end, then drop what lies before: never a hole in between."""
    info = await _info(connection, stream)
    last = info.state.last_seq
    metadata = {**info.metadata, _ORIGIN: str(last)}
    await connection.api(f"STREAM.UPDATE.{stream}", {**info.config, "metadata": metadata})
    await drop(connection, stream, last)
    return last


async def _led(connection: Connection, stream: str) -> _StreamInfo:
    info = await _info(connection, stream)
    if not info.led:
        raise Retry(f"event log: the leader of {stream} is cut off, or not elected yet")
    return info


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
