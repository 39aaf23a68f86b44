"""The work of delivering, of which one replica does all: fills the queue, and keeps a courier for each
webhook that something waits for. None waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from uuid import UUID

import structlog
from prometheus_client import Gauge

from rekam_registry.events import STREAM
from rekam_registry.webhooks.courier import Courier
from rekam_registry.webhooks.queue import Queue
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.process import beside
from rekam_runtime.projection import signals

_LOOK_EVERY_S = 1.0
_COUNT_EVERY_S = 10.0
_AGAIN_AFTER_S = 0.5
_log = structlog.get_logger(__name__)
_deliveries = Gauge("rekam_registry_webhook_deliveries", "Deliveries that wait, or are dead", ["state"])


class Delivering:
    """courier_of: a courier for a webhook."""

    def __init__(self, log: EventLog, queue: Queue, courier_of: Callable[[UUID], Courier]) -> None:
        self._events = log
        self._queue = queue
        self._courier_of = courier_of
        self._couriers: dict[UUID, asyncio.Task[None]] = {}
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled, which is safe at any moment: what was sent and not noted is sent again."""
        try:
            while True:
                try:
                    await self._deliver()
                except Retry as error:
                    _log.warning("webhooks.starting_over", reason=error.message)
                await asyncio.sleep(_AGAIN_AFTER_S)
        finally:
            await self._dismiss()
            # Another replica may go on: the figures are its now.
            for state in ("waiting", "dead"):
                with suppress(KeyError):
                    _deliveries.remove(state)

    async def _deliver(self) -> None:
        await self._queue.begin(await self._events.last_position(STREAM))
        async with (
            self._events.signals(signals.projected(STREAM)) as heard,
            beside(self._listen(heard)),
            beside(self._count()),
        ):
            while True:
                self._moved.clear()
                await self._queue.fill()
                await self._send_out()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._moved.wait()

    async def _send_out(self) -> None:
        """A courier for every webhook that something waits for."""
        for webhook_id, courier in list(self._couriers.items()):
            if courier.done():
                del self._couriers[webhook_id]
                _note(webhook_id, courier)
        for webhook_id in await self._queue.to_tell() - set(self._couriers):
            self._couriers[webhook_id] = asyncio.create_task(self._courier_of(webhook_id).run())

    async def _dismiss(self) -> None:
        for courier in self._couriers.values():
            courier.cancel()
        if self._couriers:
            await asyncio.wait(self._couriers.values())
        self._couriers.clear()

    async def _listen(self, heard: AsyncIterator[bytes]) -> None:
        async for _ in heard:
            self._moved.set()

    async def _count(self) -> None:
        while True:
            with suppress(Retry):  # the figures stay as they were
                waiting, dead = await self._queue.counts()
                _deliveries.labels("waiting").set(waiting)
                _deliveries.labels("dead").set(dead)
            await asyncio.sleep(_COUNT_EVERY_S)


def _note(webhook_id: UUID, courier: asyncio.Task[None]) -> None:
    """Why it ended, if not because all is sent: whatever befalls one webhook, others are told, and events
    projected."""
    match courier.exception():
        case None:
            pass
        case Retry() as error:
            _log.warning("webhooks.courier_failed", webhook_id=webhook_id.hex, reason=error.message)
        case error:
            _log.error("webhooks.courier_failed", webhook_id=webhook_id.hex, exc_info=error)
