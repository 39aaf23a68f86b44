"""Which frames of a writer have arrived: ranges of sequences, as in int8multirange. Pure.

A range is [first, end): end is one past its last sequence. Ranges are in order, and never
touch each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter

SequenceSpan = tuple[int, int]
_first = itemgetter(0)


def contains(ranges: Sequence[SequenceSpan], sequence: int) -> bool:
    """Whether the sequence is in one of the ranges."""
    place = bisect_right(ranges, sequence, key=_first) - 1
    return place >= 0 and sequence < ranges[place][1]


def spans(sequences: Iterable[int]) -> list[SequenceSpan]:
    """The fewest ranges that hold these sequences."""
    found: list[SequenceSpan] = []
    for sequence in sorted(sequences):
        if found and sequence <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], sequence + 1))
        else:
            found.append((sequence, sequence + 1))
    return found


def gaps(ranges: Sequence[SequenceSpan]) -> list[SequenceSpan]:
    """What is missing from sequence 1 up to the greatest that has arrived."""
    ends = [1, *(end for _, end in ranges[:-1])]
    return [(end, first) for end, (first, _) in zip(ends, ranges, strict=bool(ranges)) if end < first]


def multirange(ranges: Iterable[SequenceSpan]) -> str:
    """As Postgres reads an int8multirange."""
    return "{" + ",".join(f"[{first},{end})" for first, end in ranges) + "}"
