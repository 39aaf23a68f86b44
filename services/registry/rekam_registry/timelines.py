"""Tables whose rows say from when until when they were true: changes gathered, then written together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_registry.events import ModelEvent
from rekam_runtime.postgres import Connection

FOREVER = 2**63 - 1
Key = tuple[Any, ...]
Row = TypeVar("Row", bound=tuple[Any, ...])


class Happened(Protocol):
    """When something did: where in the log, and at what time."""

    @property
    def position(self) -> int: ...

    @property
    def time_us(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A model's event, where it stands in the log."""

    position: int
    envelope: Envelope
    event: ModelEvent

    @property
    def time_us(self) -> int:
        return self.envelope.time_us


class _Opened(NamedTuple):
    row: Any
    position: int
    time_us: int


class Timeline(Generic[Row]):
    """What became true and what ceased to be, by key, in the order of events.

    close: statement that ends what is true; takes columns of the keys, then positions and times.
    insert: statement that adds rows; takes columns of the keys, of the rows, then from_position,
        until_position, from_us, until_us.
    """

    def __init__(self, close: str, insert: str) -> None:
        self._close = close
        self._insert = insert
        self._ended: dict[Key, tuple[int, int]] = {}
        self._open: dict[Key, _Opened] = {}
        self._rows: list[tuple[Any, ...]] = []

    def set(self, key: Key, row: Row | None, entry: Happened) -> None:
        """From this event on the row is what is true of the key; None: nothing."""
        before = self._open.pop(key, None)
        if before is not None:
            if before.position != entry.position:  # or it was never true
                self._rows.append(_written(key, before, entry.position, entry.time_us))
        else:
            self._ended.setdefault(key, (entry.position, entry.time_us))
        if row is not None:
            self._open[key] = _Opened(row, entry.position, entry.time_us)

    def now(self, key: Key) -> Row | None:
        """What was set last and is not written yet."""
        opened = self._open.get(key)
        return None if opened is None else opened.row

    async def write(self, connection: Connection) -> None:
        """Write what was gathered, and begin anew."""
        if self._ended:
            ended = [(*key, *end) for key, end in self._ended.items()]
            await connection.execute(self._close, *columns(ended))
        rows = [*self._rows, *(_written(key, one, FOREVER, FOREVER) for key, one in self._open.items())]
        if rows:
            await connection.execute(self._insert, *columns(rows))
        self._ended.clear()
        self._open.clear()
        self._rows.clear()


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _written(key: Key, opened: _Opened, until_position: int, until_us: int) -> tuple[Any, ...]:
    return (*key, *opened.row, opened.position, until_position, opened.time_us, until_us)
