"""Codec 1 of chunks: Blosc, LZ4 after a bit shuffle (docs/adr/0007)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numcodecs import blosc

from rekam_tracking.metrics.chunks import STEP, VALUE, Float64s, Int64s

_LEVEL = 3

# Compressing happens beside other work; its threads would compete with it.
blosc.set_nthreads(1)


def compress_values(columns: Iterable[Float64s]) -> tuple[bytes, list[int]]:
    """Columns, each for itself, one after the other; and where each ends."""
    parts = [_compress(np.ascontiguousarray(column)) for column in columns]
    return b"".join(parts), np.cumsum([len(part) for part in parts]).tolist()


def decompress_values(data: bytes) -> Float64s:
    """One column."""
    return np.frombuffer(blosc.decompress(data), VALUE)


def compress_integers(numbers: Int64s) -> bytes:
    """Times and steps: their differences, which wrap around where they must."""
    return _compress(np.diff(numbers, prepend=numbers.dtype.type(0)))


def decompress_integers(data: bytes) -> Int64s:
    differences = np.frombuffer(blosc.decompress(data), STEP)
    return np.cumsum(differences, dtype=STEP)


def _compress(numbers: Float64s | Int64s) -> bytes:
    compressed: bytes = blosc.compress(numbers, b"lz4", _LEVEL, blosc.BITSHUFFLE)
    return compressed
