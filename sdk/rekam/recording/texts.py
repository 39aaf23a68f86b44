"""Lines of text, put together as the bodies of text records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rekam_proto.ingest.v1 import ingest_pb2

# A text may have 1,000,000 bytes and 65,536 lines; smaller ones share an append of the gateway better.
_BYTES = 480_000
_LINES = 16_384
# A longer line goes on in the next one.
_LINE_CHARS = 64 * 1024
# Of a line in the message, beside its characters.
_OVERHEAD = 16


def text_bodies(stream: str, times_us: Sequence[int], lines: Sequence[str]) -> Iterator[bytes]:
    """Serialized Texts that hold the lines, in order; without run and sequence."""
    text = ingest_pb2.Text(stream=stream)
    size = 0
    for time_us, whole in zip(times_us, lines, strict=True):
        for line in _pieces(whole):
            needed = len(line.encode()) + _OVERHEAD
            if text.lines and (size + needed > _BYTES or len(text.lines) >= _LINES):
                yield text.SerializeToString()
                text = ingest_pb2.Text(stream=stream)
                size = 0
            text.times_us.append(time_us)
            text.lines.append(line)
            size += needed
    if text.lines:
        yield text.SerializeToString()


def numbered_text(handle: int, sequence: int, body: bytes) -> bytes:
    """An IngestRequest without id: the text with the run and the sequence it goes by."""
    text = ingest_pb2.Text.FromString(body)
    text.run = handle
    text.sequence = sequence
    return ingest_pb2.IngestRequest(text=text).SerializeToString()


def _pieces(line: str) -> Iterator[str]:
    if not line.isascii():
        # Half of a surrogate pair, as Python reads undecodable bytes, has no UTF-8.
        line = line.encode("utf-8", "backslashreplace").decode()
    yield line[:_LINE_CHARS]
    for at in range(_LINE_CHARS, len(line), _LINE_CHARS):
        yield line[at : at + _LINE_CHARS]
