"""The adapter: JetStream as an event log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.jetstream import publishing, reading, signalling, streams
from rekam_runtime.eventlog.jetstream.connection import Connection, persistently
from rekam_runtime.eventlog.jetstream.following import JetStreamFollower
from rekam_runtime.eventlog.port import (
    Draft,
    Extent,
    Follower,
    Record,
    StreamSpec,
    check_batch,
    check_kept,
    check_size,
)


class JetStreamLog:
    """`EventLog` on one NATS connection; share one among all tasks of a process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._replicated: dict[str, bool] = {}

    @classmethod
    async def connect(cls, url: str, name: str, *, wait_s: float = 10.0) -> JetStreamLog:
        """url: nats://user:password@host:port[,...]; name: shown in NATS' own monitoring."""
        return cls(await Connection.open(url, name, wait_s))

    @property
    def connected(self) -> bool:
        """Whether the connection stands now, for readiness."""
        return self._connection.client.is_connected

    async def ensure(self, spec: StreamSpec) -> None:
        await persistently(lambda: streams.ensure(self._connection, spec))
        self._replicated[spec.name] = spec.replicas > 1

    async def append(self, draft: Draft) -> int:
        check_size(draft)
        return await persistently(lambda: publishing.append(self._connection, draft))

    async def append_batch(self, drafts: Sequence[Draft]) -> list[int]:
        check_batch(drafts)
        if len(drafts) < 2:
            return [await self.append(draft) for draft in drafts]
        return await persistently(lambda: publishing.append_batch(self._connection, drafts))

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        replicated = await self._is_replicated(stream)
        found = reading.each(self._connection, stream, subject, after, replicated=replicated)
        return [one.record async for one in found]

    async def scan(self, stream: str, after: int = 0) -> AsyncGenerator[Record, None]:
        extent = await self.extent(stream)
        check_kept(stream, extent, after)
        if after >= extent.last:
            return
        replicated = await self._is_replicated(stream)
        async for found in reading.each(self._connection, stream, ">", after, replicated=replicated):
            if found.record.position > after + 1:  # a record may be missing, but not dropped since
                check_kept(stream, await self.extent(stream), after)
            after = found.record.position
            if after > extent.last:
                return
            yield found.record

    async def last_position(self, stream: str) -> int:
        state = await persistently(lambda: streams.state(self._connection, stream))
        return state.last_seq

    async def follow(self, stream: str, consumer: str, after: int) -> Follower:
        extent = await self.extent(stream)
        if after > extent.last:
            raise FailedPrecondition(
                f"stream {stream} ends at {extent.last}, before {after}: it is not the log that was read"
            )
        check_kept(stream, extent, after)
        follower = JetStreamFollower(self._connection, stream, consumer, after)
        await persistently(follower.start)
        return follower

    async def extent(self, stream: str) -> Extent:
        return await persistently(lambda: streams.extent(self._connection, stream))

    async def streams(self) -> list[str]:
        return await persistently(lambda: streams.names(self._connection))

    async def drop(self, stream: str, up_to: int) -> None:
        await persistently(lambda: streams.drop(self._connection, stream, up_to))

    async def purge(self, stream: str) -> int:
        return await persistently(lambda: streams.purge(self._connection, stream))

    async def publish_signal(self, name: str, data: bytes) -> None:
        await signalling.publish(self._connection, name, data)

    def signals(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return signalling.listen(self._connection, name)

    async def close(self) -> None:
        await self._connection.close()

    async def _is_replicated(self, stream: str) -> bool:
        """Whether a replica that lags may answer a read."""
        if stream not in self._replicated:
            found = await persistently(lambda: streams.replicas(self._connection, stream))
            self._replicated[stream] = found > 1
        return self._replicated[stream]
