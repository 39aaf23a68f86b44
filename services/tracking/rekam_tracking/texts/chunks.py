"""Lines of one writer put together into chunks, and how those are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numcodecs.zstd import Zstd

from rekam_proto.tracking.v1 import text_pb2
from rekam_tracking.texts.lines import Text

PLAIN = 0
COMPRESSED = 1
TIME = np.dtype("<i8")
# A chunk is read as a whole. A single text may be larger: up to what the gateway takes.
MAX_CHUNK_BYTES = 256 * 1024
MAX_CHUNK_LINES = 16_384
# Fewer bytes are not worth it.
_COMPRESSED_FROM = 256
_zstd = Zstd(level=3)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one writer, one after the other. size: bytes of their UTF-8."""

    times_us: npt.NDArray[np.int64]
    lines: Sequence[str]
    size: int


def gather(texts: Sequence[Text]) -> Iterator[Lines]:
    """Texts of one stream of a writer as the fewest chunks within the bounds, in their order."""
    start = lines = size = 0
    for end, text in enumerate(texts):
        more = sum(len(line.encode()) for line in text.lines)
        full = size + more > MAX_CHUNK_BYTES or lines + len(text.lines) > MAX_CHUNK_LINES
        if full and end > start:
            yield _join(texts[start:end], size)
            start, lines, size = end, 0, 0
        lines += len(text.lines)
        size += more
    if texts:
        yield _join(texts[start:], size)


def _join(texts: Sequence[Text], size: int) -> Lines:
    times_us = np.frombuffer(b"".join([text.times_us for text in texts]), TIME)
    return Lines(times_us, [line for text in texts for line in text.lines], size)


def pack(chunk: Lines) -> tuple[int, bytes]:
    """A chunk as it is stored: its codec and content."""
    content = text_pb2.TextBlockView(times_us=chunk.times_us.tobytes(), lines=chunk.lines).SerializeToString()
    if len(content) < _COMPRESSED_FROM:
        return PLAIN, content
    compressed: bytes = _zstd.encode(content)
    return COMPRESSED, compressed


def unpack(codec: int, content: bytes) -> text_pb2.TextBlockView:
    """A stored chunk; writer and rank are not in it."""
    return text_pb2.TextBlockView.FromString(_zstd.decode(content) if codec == COMPRESSED else content)
