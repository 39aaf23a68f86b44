"""What cannot be applied: kept with its reason, in the service's table and in a stream of its own.

The table is what operators list, and it commits with the position. The stream outlives the
database, and tells whoever follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from rekam_runtime.errors import SlowDown
from rekam_runtime.eventlog.port import Conflict, Draft, EventLog, Record, StreamSpec
from rekam_runtime.postgres import Connection, Statements, generations

_MAX_REASON_CHARS = 2000
_statements = Statements.load("rekam_runtime.projection", "projection.sql")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Poison:
    """A record and why it cannot be applied."""

    record: Record
    reason: str


def poison_of(record: Record, error: Exception) -> Poison:
    # Postgres takes no NUL in text.
    reason = f"{type(error).__name__}: {error}".replace("\0", "\\0")
    return Poison(record, reason[:_MAX_REASON_CHARS])


def quarantine_stream(service: str, *, replicas: int = 1, max_bytes: int = -1) -> StreamSpec:
    """The stream that a service's projections set records aside in."""
    return StreamSpec(
        f"REKAM_{service.upper()}_QUARANTINE", (f"rekam.quarantine.{service}.>",), replicas, max_bytes
    )


async def set_aside(
    connection: Connection, log: EventLog, service: str, stream: str, poisons: Sequence[Poison]
) -> None:
    """Part of the transaction that moves the position; the stream takes a repeated record once."""
    for poison in poisons:
        record = poison.record
        await connection.execute(
            _statements.set_aside, stream, record.position, record.subject, poison.reason, record.data
        )
        await _keep(log, service, f"{stream}.{record.position}", record.data)


async def _keep(log: EventLog, service: str, source: str, data: bytes) -> None:
    """Into the stream, for ever once: a record that is set aside again, by a rebuild say, is there."""
    try:
        await log.append(Draft(f"rekam.quarantine.{service}.{source}", data, event_id=source, expected=0))
    except Conflict:
        pass
    except SlowDown as error:
        # The table has it: a full stream of copies must not stop the projection.
        _log.warning("quarantine.not_copied", record=source, reason=error.message)


async def copy_decisions(connection: Connection, building: int) -> None:
    """What was dropped stays so in the generation that is being built; the session sees the active one."""
    await connection.execute(_statements.copy_dropped.format(generations.schema_of(building)))
