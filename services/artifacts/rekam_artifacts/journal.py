"""The service's events: appended, and awaited in the projection.

An event is what was asked for; what becomes of it is decided in the log's order, by the projection. So a
write waits until its event is projected, which is also when every read sees it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.message import Message

from rekam_artifacts.events import STREAM, subject_of
from rekam_artifacts.reads import Reads
from rekam_artifacts.requests import Context
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts", "journal.sql")


class Journal:
    """Writes of one process."""

    def __init__(self, log: EventLog, reads: Reads) -> None:
        self._log = log
        self._reads = reads

    @asynccontextmanager
    async def written(
        self, event: Message, aggregate: str, cause: Cause, context: Context | None = None
    ) -> AsyncIterator[tuple[Connection, int]]:
        """Append an event; a connection that sees what became of it, and its position.

        Raises Retry when it could not be applied, and lies in the quarantine.
        """
        envelope = wrap(event, cause, aggregate=aggregate)
        position = await self._log.append(draft(subject_of(event), envelope))
        async with self._reads.behind(position, context) as connection:
            reason = await connection.fetchval(_statements.set_aside, STREAM, position)
            if reason is not None:
                raise Retry(
                    f"the change was set aside by the projection, and waits for an operator: {reason}"
                )
            yield connection, position

    async def write(
        self, event: Message, aggregate: str, cause: Cause, context: Context | None = None
    ) -> None:
        """Append an event, and return when every read sees what became of it."""
        async with self.written(event, aggregate, cause, context):
            pass
