"""Sends what waits for one webhook: in order of each model, a few models at a time."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter

from rekam_registry.webhooks.occurrences import Occurrence
from rekam_registry.webhooks.posting import Answer, Poster, Unanswered
from rekam_registry.webhooks.queue import Queue, Waiting
from rekam_registry.webhooks.sealing import Sealer
from rekam_registry.webhooks.signing import body_of, headers_of
from rekam_runtime.errors import FailedPrecondition

# Models of one webhook at one time; while it fails, one.
_AT_ONCE = 4
# What was made due meanwhile, as by a redelivery, is noticed after this time.
_LOOK_EVERY_S = 1.0
_log = structlog.get_logger(__name__)
_attempts = Counter("rekam_registry_webhook_attempts", "Requests to receivers of webhooks", ["outcome"])


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a delivery is tried: pauses double from the first to the longest."""

    attempts: int
    first_pause_s: float
    longest_pause_s: float

    def pause_s(self, failed: int, retry_after_s: float, spread: float) -> float:
        """Before the next attempt, after so many. spread: 0 to 1, so that not all come back at once."""
        doubled = self.first_pause_s * 2.0 ** min(failed - 1, 60)
        return min(max(doubled * (1 + spread / 4), retry_after_s), self.longest_pause_s)


class Courier:
    """Of one webhook."""

    def __init__(
        self, webhook_id: UUID, queue: Queue, poster: Poster, sealer: Sealer, patience: Patience
    ) -> None:
        self._webhook_id = webhook_id
        self._queue = queue
        self._poster = poster
        self._sealer = sealer
        self._patience = patience
        self._sending: dict[UUID, asyncio.Task[None]] = {}
        self._failing = False
        # The receiver has asked for a pause.
        self._not_before = 0.0

    async def run(self) -> None:
        """Until nothing waits. Raises Retry when Postgres cannot be used."""
        try:
            while True:
                pause_s = await self._send_some()
                if pause_s is None and not self._sending:
                    return
                await self._rest(_LOOK_EVERY_S if pause_s is None else min(pause_s, _LOOK_EVERY_S))
        finally:
            for task in self._sending.values():
                task.cancel()
            if self._sending:
                await asyncio.wait(self._sending.values())

    async def _send_some(self) -> float | None:
        """Begin what is due; when to look again, None: when something was sent."""
        room = (1 if self._failing else _AT_ONCE) - len(self._sending)
        if room <= 0:
            return None
        heads = await self._queue.heads(self._webhook_id, self._sending, room)
        asked = self._not_before - time.monotonic()
        for head in heads:
            wait_s = max(head.due_in_s, asked)
            if wait_s > 0:
                return wait_s
            self._sending[head.model_id] = asyncio.create_task(self._send(head))
        return None

    async def _rest(self, pause_s: float) -> None:
        """Until something was sent, at most so long."""
        if not self._sending:
            await asyncio.sleep(pause_s)
            return
        await asyncio.wait(self._sending.values(), timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        for model_id in [model_id for model_id, task in self._sending.items() if task.done()]:
            self._sending.pop(model_id).result()

    async def _send(self, head: Waiting) -> None:
        if head.occurrence is None:
            await self._failed(head, Answer(0), "the event means something else by now", again=False)
            return
        try:
            answer = await self._post(head, head.occurrence)
        except (Unanswered, FailedPrecondition) as error:  # or the secret cannot be opened
            await self._failed(head, Answer(0), error.message, again=True)
            return
        if answer.success:
            _attempts.labels("delivered").inc()
            self._failing = False
            await self._queue.delivered(head.number)
        else:
            again = answer.status >= 500 or answer.status in (408, 429)
            await self._failed(head, answer, f"answered {answer.status}", again=again)

    async def _post(self, head: Waiting, occurrence: Occurrence) -> Answer:
        body = body_of(occurrence.pair, head.time_us, occurrence.data)
        secret = self._sealer.open(head.sealed_secret)
        headers = headers_of(str(head.delivery_id), body, secret, int(time.time()))
        return await self._poster.post(head.url, body, headers)

    async def _failed(self, head: Waiting, answer: Answer, error: str, *, again: bool) -> None:
        failed = head.attempts + 1
        pause_s: float | None = None
        if again:
            self._failing = True
            if failed < self._patience.attempts:
                pause_s = self._patience.pause_s(failed, answer.retry_after_s, random.random())
        if answer.retry_after_s:
            pause = min(answer.retry_after_s, self._patience.longest_pause_s)
            self._not_before = time.monotonic() + pause
        _attempts.labels("dead" if pause_s is None else "failed").inc()
        _log.warning(
            "webhook.given_up" if pause_s is None else "webhook.failed",
            webhook_id=self._webhook_id.hex,
            delivery_id=str(head.delivery_id),
            attempts=failed,
            error=error,
        )
        await self._queue.failed(
            self._webhook_id, head.number, again_in_s=pause_s, status=answer.status, error=error
        )
