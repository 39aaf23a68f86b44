"""What a page has, in portions that are not too much to be read at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# An answer has to fit into a message: what is past these bytes of what one run or model has in any
# number is left out.
MAX_BYTES_OF_ONE = 16 << 20
_AT_A_TIME = 200
_BYTES_AT_A_TIME = 16 << 20
# What weighs less need not be weighed.
LIGHT_BYTES = _BYTES_AT_A_TIME // _AT_A_TIME


def portions(ids: Sequence[str], heavy: Mapping[str, int]) -> list[Sequence[str]]:
    """In their order; heavy: bytes of those that have more than LIGHT_BYTES."""
    found: list[Sequence[str]] = []
    start = held = 0
    for number, id in enumerate(ids):
        weight = min(heavy.get(id, LIGHT_BYTES), MAX_BYTES_OF_ONE)
        if held + weight > _BYTES_AT_A_TIME and number > start:
            found.append(ids[start:number])
            start, held = number, 0
        held += weight
    return [*found, ids[start:]] if ids else []
