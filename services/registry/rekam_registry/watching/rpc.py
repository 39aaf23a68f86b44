"""WatchService: what is there, then every change, once, in order, to as many as watch."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from rekam_proto.registry.v1 import model_pb2, watch_pb2
from rekam_registry.events import STREAM
from rekam_registry.reads import Reads
from rekam_registry.requests import Context
from rekam_registry.tail import Tail
from rekam_registry.watching import query
from rekam_registry.watching.filter import Filter
from rekam_registry.watching.hub import Hub, Inbox
from rekam_runtime.errors import FailedPrecondition, Invalid
from rekam_runtime.eventlog.port import EventLog

SERVICE = "rekam_proto.registry.v1.WatchService"
_HEARTBEAT_MS = 5_000
_STARTS_WITHIN_S = 10.0


class WatchServicer:
    def __init__(self, log: EventLog, reads: Reads, tail: Tail, hub: Hub) -> None:
        self._log = log
        self._reads = reads
        self._tail = tail
        self._hub = hub

    def handler(self) -> grpc.GenericRpcHandler:
        # Responses leave as bytes: a change is serialized once for all watchers.
        watch: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(
            self.watch, watch_pb2.WatchRequest.FromString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Watch": watch})

    async def watch(self, request: watch_pb2.WatchRequest, context: Context) -> None:
        filter = Filter.of(request)
        heartbeat_s = _heartbeat_s(request.heartbeat_ms)
        # The tail may have begun over at this moment.
        await self._tail.reach(0, _STARTS_WITHIN_S)
        with self._hub.opened(filter, self._tail.position) as inbox:
            watcher = _Watcher(self._reads, self._tail, filter, inbox, context)
            if request.resume_after:
                await self._check_resumed(request.resume_after)
                watcher.told = request.resume_after
            else:
                await watcher.tell_snapshot()
            await watcher.tell_changes(heartbeat_s)

    async def _check_resumed(self, position: int) -> None:
        if position < 0:
            raise Invalid("a position is not negative", field="resume_after")
        # At the origin itself nobody can tell who saw the log before it was emptied, and who since.
        if position <= self._tail.origin:
            raise FailedPrecondition(
                f"the log was emptied at {self._tail.origin}, {position} is not after that: "
                "watch from the beginning",
                field="resume_after",
            )
        if position > self._tail.position:
            last = await self._log.last_position(STREAM)
            if position > last:
                raise FailedPrecondition(
                    f"the log ends at {last}, before {position}: it is another one; watch from the beginning",
                    field="resume_after",
                )


class _Watcher:
    """One call. told: everything up to this position."""

    def __init__(
        self,
        reads: Reads,
        tail: Tail,
        filter: Filter,
        inbox: Inbox,
        context: Context,
    ) -> None:
        self._reads = reads
        self._tail = tail
        self._filter = filter
        self._inbox = inbox
        self._context = context
        self.told = 0

    async def tell_snapshot(self) -> None:
        """What was there when the inbox was opened: all that follows comes into it."""
        position = self._inbox.start
        # Where the log was emptied, and nothing was written since, there is nothing: a projection that begins
        # now never comes there.
        if position > self._tail.origin:
            async for found in query.snapshot(self._reads, self._filter, position):
                if isinstance(found, model_pb2.RegisteredModel):
                    await self._write(watch_pb2.WatchResponse(model=found))
                else:
                    await self._write(watch_pb2.WatchResponse(version=found))
        self.told = position
        await self._write(watch_pb2.WatchResponse(position=position, snapshot_end=watch_pb2.SnapshotEnd()))

    async def tell_changes(self, heartbeat_s: float) -> None:
        while True:
            if self._inbox.start > self.told:
                await self._tell_stored(self._inbox.start)
            change = await self._inbox.next(heartbeat_s)
            if change is not None:
                if change.position > self.told:
                    self.told = change.position
                    await self._context.write(change.data)
            elif self._inbox.overflown:
                latest = self._tail.position
                self._inbox.reopen(latest)
                behind = watch_pb2.Behind(latest_position=latest)
                await self._write(watch_pb2.WatchResponse(position=self.told, behind=behind))
            else:
                # Nothing waits, so everything up to where the tail is was told.
                self.told = max(self.told, self._tail.position)
                heartbeat = watch_pb2.Heartbeat()
                await self._write(watch_pb2.WatchResponse(position=self.told, heartbeat=heartbeat))

    async def _tell_stored(self, until: int) -> None:
        async for position, response in query.changes(self._reads, self._filter, self.told, until):
            self.told = position
            await self._write(response)
        self.told = until

    async def _write(self, response: watch_pb2.WatchResponse) -> None:
        """Waits while the watcher takes nothing; one that is gone is noticed by the connection."""
        await self._context.write(response.SerializeToString())


def _heartbeat_s(heartbeat_ms: int) -> float:
    if heartbeat_ms and not 100 <= heartbeat_ms <= 60_000:
        raise Invalid(
            f"a heartbeat is every 100 to 60,000 ms, or 0 for {_HEARTBEAT_MS:,}; got {heartbeat_ms}",
            field="heartbeat_ms",
        )
    return (heartbeat_ms or _HEARTBEAT_MS) / 1_000
