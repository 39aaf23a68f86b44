"""Objects in S3 as the projection knows them: blobs, which files have, and those that were taken away.

An object's key is chosen before its bytes are known and never used twice. From the files' side of the log
it becomes a blob's or is taken away, and what was taken away is never a blob's again: so whoever
removes such an object from S3 cannot be too early, however old the projection that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts", "objects.sql")


async def add_blobs(connection: Connection, blobs: Mapping[bytes, tuple[str, int]], time_us: int) -> None:
    """blobs: key and size by digest. No file has them yet."""
    if blobs:
        await connection.execute(
            _statements.add,
            list(blobs),
            [key for key, _ in blobs.values()],
            [size for _, size in blobs.values()],
            [time_us] * len(blobs),
        )


async def refer(connection: Connection, digests: Collection[bytes], time_us: int) -> None:
    """Note which of these bytes files have, after the files were written or deleted."""
    if digests:
        await connection.execute(_statements.refer, list(digests), time_us)


async def take(connection: Connection, object_keys: Sequence[str], multipart_ids: Sequence[str] = ()) -> None:
    """Take objects away that are no blob's."""
    if object_keys:
        ids = multipart_ids or [""] * len(object_keys)
        await connection.execute(_statements.take, list(object_keys), list(ids))


async def take_unreferenced(connection: Connection, digests: Sequence[bytes]) -> None:
    """Take away those of the blobs that no file has."""
    if digests:
        await connection.execute(_statements.take_unreferenced, list(digests))


async def take_strays(connection: Connection, object_keys: Sequence[str]) -> None:
    """Take away those of the objects that are no blob's and no upload's."""
    if object_keys:
        await connection.execute(_statements.take_strays, list(object_keys))


async def note_removed(connection: Connection, object_keys: Sequence[str]) -> None:
    await connection.execute(_statements.remove, list(object_keys))
