"""Reading a stream's segments, in order, some blocks at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from rekam_runtime.archive.names import Catalogue, StoredSegment
from rekam_runtime.archive.segment import (
    TRAILER_BYTES,
    Block,
    Damaged,
    Index,
    read_index,
    read_records,
    read_trailer,
)
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.port import Record

# Read from a segment's end at first: nearly always the whole index.
_TAIL_BYTES = 64 * 1024
# Of blocks that are read at once, before compression; a reader holds twice as much.
_READ_BYTES = 16 * 1024 * 1024


class ArchiveReader:
    """Reads one stream's log from the archive. Not for use by two tasks at once."""

    def __init__(self, store: BlobStore, stream: str, log_id: str) -> None:
        self._store = store
        self._stream = stream
        self._catalogue = Catalogue(store, stream, log_id)
        self._open: tuple[StoredSegment, Index] | None = None

    async def next(self, after: int, up_to: int) -> list[Record]:
        """The first records past `after`, some blocks of them, none past `up_to`; may be called again.

        Raises Damaged, which names the segment, and FailedPrecondition, which names the positions,
        when records up to `up_to` are not archived.
        """
        segment = await self._segment(after + 1, up_to)
        index = await self._index(segment)
        blocks = _some(block for block in index.blocks if block.last > after)
        if not blocks:
            raise Damaged(f"segment {segment.name.key} lacks record {after + 1}")
        start, end = blocks[0].offset, blocks[-1].offset + blocks[-1].size
        data = await self._store.get_range(segment.name.key, start, end - start)
        records = await asyncio.to_thread(_records, segment.name.key, blocks, data)
        return [record for record in records if after < record.position <= up_to]

    async def between(self, after: int, up_to: int) -> AsyncIterator[Record]:
        """Every record past `after`, up to `up_to`."""
        while after < up_to:
            records = await self.next(after, up_to)
            for record in records:
                yield record
            # None past the last one: the stream lacked them when it was archived.
            after = records[-1].position if records else up_to

    async def _segment(self, position: int, up_to: int) -> StoredSegment:
        segment = self._catalogue.covering(position)
        if segment is None:
            await self._catalogue.refresh()
            segment = self._catalogue.covering(position)
        if segment is None:
            after = self._catalogue.following(position)
            end = min(up_to, after.name.first - 1) if after else up_to
            raise FailedPrecondition(
                f"records {position} to {end} of stream {self._stream} are neither in it nor in its archive"
            )
        return segment

    async def _index(self, segment: StoredSegment) -> Index:
        if self._open is not None and self._open[0] == segment:
            return self._open[1]
        name = segment.name
        index = await load_index(self._store, segment)
        if (index.stream, index.log_id, index.first, index.last) != (
            name.stream,
            name.log_id,
            name.first,
            name.last,
        ):
            raise Damaged(f"segment {name.key} holds something else than its name says")
        self._open = segment, index
        return index


async def load_index(store: BlobStore, segment: StoredSegment) -> Index:
    """A segment's index, by one or two ranged reads."""
    key, size = segment.name.key, segment.size
    tail_size = min(size, _TAIL_BYTES)
    tail = await store.get_range(key, size - tail_size, tail_size) if size else b""
    offset, index_size, crc = read_trailer(key, tail[-TRAILER_BYTES:])
    if offset + index_size + TRAILER_BYTES != size:
        raise Damaged(f"segment {key} is damaged: its end says another size")
    start = offset - (size - tail_size)
    data = tail[start : start + index_size] if start >= 0 else await store.get_range(key, offset, index_size)
    return read_index(key, data, crc)


def _some(blocks: Iterable[Block]) -> list[Block]:
    """The first of the blocks, and those behind it as long as they are not too much."""
    some: list[Block] = []
    size = 0
    for block in blocks:
        size += block.raw_size
        if some and size > _READ_BYTES:
            break
        some.append(block)
    return some


def _records(key: str, blocks: Sequence[Block], data: bytes) -> list[Record]:
    start = blocks[0].offset
    return [record for block in blocks for record in read_records(key, block, block.part_of(data, start))]
