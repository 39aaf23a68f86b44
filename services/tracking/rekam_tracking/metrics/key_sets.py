"""Key sets in the database: learned from the log, remembered by hash."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")
_MAX_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class StoredKeySet:
    key_set_id: int
    columns: int


class KeySets:
    """Answers key sets by hash; those used least lately are forgotten beyond a bound."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, StoredKeySet] = OrderedDict()

    def forget(self) -> None:
        """After a rollback: what was learned in it is not in the database."""
        self._known.clear()

    async def resolve(
        self, connection: Connection, defined: Mapping[bytes, Sequence[str]], used: Iterable[bytes]
    ) -> dict[bytes, StoredKeySet]:
        """Store what is defined and new; answer all that is used.

        Raises Quarantine when a used one is neither defined nor stored.
        """
        wanted = {*defined, *used}
        unknown = [digest for digest in wanted if digest not in self._known]
        if unknown:
            for row in await connection.fetch(_statements.known_key_sets, unknown):
                self._known[row["hash"]] = StoredKeySet(row["key_set_id"], row["columns"])
            for digest in unknown:
                if digest in self._known:
                    continue
                if digest not in defined:
                    raise Quarantine(f"key set {digest.hex()} was never defined")
                self._known[digest] = await _store(connection, digest, defined[digest])
        found = {digest: self._known[digest] for digest in wanted}
        for digest in wanted:
            self._known.move_to_end(digest)
        while len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)
        return found


async def _store(connection: Connection, digest: bytes, keys: Sequence[str]) -> StoredKeySet:
    ordered = sorted(keys)  # one order for all writers: no deadlock
    await connection.execute(_statements.add_keys, ordered)
    ids = {row["key"]: row["key_id"] for row in await connection.fetch(_statements.key_ids, ordered)}
    key_ids = [ids[key] for key in keys]
    key_set_id = await connection.fetchval(_statements.add_key_set, digest, key_ids)
    if key_set_id is None:  # another projector was first
        (row,) = await connection.fetch(_statements.known_key_sets, [digest])
        return StoredKeySet(row["key_set_id"], row["columns"])
    await connection.execute(_statements.add_columns, key_set_id, key_ids)
    return StoredKeySet(key_set_id, len(keys))
