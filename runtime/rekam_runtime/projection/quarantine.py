"""What cannot be applied: kept with its reason, in the service's table and in a stream of its own.

The table is what operators list, and it commits with the position. The stream outlives the
database, and tells whoever follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rekam_runtime.eventlog.port import Draft, EventLog, Record, StreamSpec
from rekam_runtime.postgres import Connection, Statements

_MAX_REASON_CHARS = 2000
_statements = Statements.load("rekam_runtime.projection", "projection.sql")


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
        source = f"{stream}.{record.position}"
        await log.append(Draft(f"rekam.quarantine.{service}.{source}", record.data, event_id=source))
