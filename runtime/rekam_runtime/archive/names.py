"""What segments are called: a listing of their keys is the archive's catalogue.

    log/<stream>/<log id>/<first>-<last>.<SHA-256 of the segment>.segment

Positions have 20 digits, so that keys are in the order of positions. A log that begins anew
(purged, or made again) has another id: what is left of the one before is not mistaken for it.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from dataclasses import dataclass

from rekam_runtime.blobs.port import BlobStore

_KEY = re.compile(
    r"log/(?P<stream>[^/]+)/(?P<log_id>[^/]+)/(?P<first>\d{20})-(?P<last>\d{20})\.(?P<sha256>[0-9a-f]{64})\.segment"
)


@dataclass(frozen=True, slots=True)
class SegmentName:
    """A segment's key, in parts."""

    stream: str
    log_id: str
    first: int
    last: int
    sha256: str

    @property
    def key(self) -> str:
        return f"{folder(self.stream, self.log_id)}{self.first:020}-{self.last:020}.{self.sha256}.segment"

    @classmethod
    def parse(cls, key: str) -> SegmentName | None:
        """The parts of a key; None for a blob that is no segment."""
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        return cls(match["stream"], match["log_id"], int(match["first"]), int(match["last"]), match["sha256"])


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment that is in the archive, and its size there."""

    name: SegmentName
    size: int


def folder(stream: str, log_id: str) -> str:
    """What the keys of a log's segments begin with."""
    return f"log/{stream}/{log_id}/"


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Catalogue:
    """The segments of one stream's log, as far as they were listed.

    Segments may overlap, as when two archivers cut at different places: one that adds nothing
    to those before it is left out.
    """

    def __init__(self, store: BlobStore, stream: str, log_id: str) -> None:
        self._store = store
        self._folder = folder(stream, log_id)
        self._listed = ""
        self.segments: list[StoredSegment] = []

    async def refresh(self) -> None:
        """List what came behind what was listed before."""
        async for blob in self._store.list(self._folder, after=self._listed):
            self._listed = blob.key
            name = SegmentName.parse(blob.key)
            if name is not None:
                self._append(StoredSegment(name, blob.size))

    def add(self, segment: StoredSegment) -> None:
        """Take a segment that was stored, wherever its place is."""
        known, self.segments = [*self.segments, segment], []
        for each in sorted(known, key=lambda each: (each.name.first, each.name.last)):
            self._append(each)

    def _append(self, segment: StoredSegment) -> None:
        if not self.segments or segment.name.last > self.segments[-1].name.last:
            self.segments.append(segment)

    def covering(self, position: int) -> StoredSegment | None:
        """The segment with the record of this position."""
        segment = self.following(position)
        return segment if segment is not None and segment.name.first <= position else None

    def following(self, position: int) -> StoredSegment | None:
        """The segment with the first record from this position on."""
        number = bisect_left(self.segments, position, key=lambda segment: segment.name.last)
        return self.segments[number] if number < len(self.segments) else None

    def reach(self, after: int) -> int:
        """Up to where everything past `after` is archived."""
        while (segment := self.covering(after + 1)) is not None:
            after = segment.name.last
        return after
