"""Key sets by hash: learnt from the log, kept in Postgres, remembered here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")
_REMEMBERED = 65_536


class KeySet(NamedTuple):
    """A key set's id, and its number of keys."""

    key_set_id: int
    columns: int


class KeySets:
    """Ids of key sets; those used least lately are looked up again beyond a bound."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, KeySet] = OrderedDict()

    def forget(self) -> None:
        """What was learnt may have been rolled back."""
        self._known.clear()

    async def resolve(
        self, connection: Connection, hashes: Iterable[bytes], announced: Mapping[bytes, Sequence[str]]
    ) -> dict[bytes, KeySet]:
        """Every one of these key sets and of those announced, which are added when they are new.

        Raises Quarantine for a hash that was never announced.
        """
        resolved: dict[bytes, KeySet] = {}
        missing: set[bytes] = set()
        for hash in {*hashes, *announced}:
            if (known := self._known.get(hash)) is None:
                missing.add(hash)
            else:
                self._known.move_to_end(hash)
                resolved[hash] = known
        if missing:
            found = await _read(connection, missing)
            if new := {hash: announced[hash] for hash in missing - found.keys() if hash in announced}:
                await _add(connection, new)
                found |= await _read(connection, new)
            if lost := missing - found.keys():
                raise Quarantine(f"frame.key_set: {min(lost).hex()} was never announced")
            resolved |= found
            self._remember(found)
        return resolved

    def _remember(self, found: Mapping[bytes, KeySet]) -> None:
        self._known.update(found)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


async def _read(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, KeySet]:
    rows = await connection.fetch(_statements.known_key_sets, list(hashes))
    return {row["hash"]: KeySet(row["key_set_id"], row["columns"]) for row in rows}


async def _add(connection: Connection, key_sets: Mapping[bytes, Sequence[str]]) -> None:
    """Add key sets; another projector may be adding the same ones."""
    keys = sorted({key for keys in key_sets.values() for key in keys})
    await connection.execute(_statements.add_keys, keys)
    key_ids = {row["key"]: row["key_id"] for row in await connection.fetch(_statements.key_ids, keys)}
    for hash in sorted(key_sets):
        await connection.execute(_statements.add_key_set, hash, [key_ids[key] for key in key_sets[hash]])
