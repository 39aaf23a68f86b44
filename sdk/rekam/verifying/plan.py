"""What a verification run holds: it follows from the run's seed, for writer and reader alike."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

_MASK = (1 << 64) - 1
_SPECIAL = (math.nan, math.inf, -math.inf, -0.0)
# Steps between those whose values are special, and between lines of text.
_SPECIAL_EVERY = 97
LINE_EVERY = 10
STREAM = "verify"
STEP_TAG = "verify.step"


@dataclass(frozen=True, slots=True)
class Plan:
    """seed: of everything; keys: metrics; begin_us: time of step 0, microseconds since the epoch."""

    seed: int
    keys: tuple[str, ...]
    begin_us: int

    def value(self, number: int, step: int) -> float:
        """Value of key `number` at a step: like no other's, so that what is swapped is seen."""
        if step % _SPECIAL_EVERY == 13:
            return _SPECIAL[(number + step) % len(_SPECIAL)]
        return (_mixed(self.seed + number * 0x9E3779B97F4A7C15 + step) >> 11) * 2.0**-53

    def row(self, step: int) -> dict[str, float]:
        """What is logged at a step."""
        return {key: self.value(number, step) for number, key in enumerate(self.keys)}

    def time_us(self, step: int) -> int:
        """Wall time of a step: a millisecond apart, whatever the clock does."""
        return self.begin_us + step * 1000

    def line(self, number: int) -> str:
        """A line of text."""
        return f"{number} {_mixed(self.seed ^ number):016x}"

    @property
    def params(self) -> dict[str, str]:
        """What is logged once, at the start."""
        return {"verify.seed": str(self.seed), "verify.keys": str(len(self.keys))}


def lines_at(steps: int) -> int:
    """Lines that are written with the first `steps` steps."""
    return -(-steps // LINE_EVERY)


def same(one: float, other: float) -> bool:
    """Whether two values are the same, to the bit."""
    return struct.pack("<d", one) == struct.pack("<d", other)


def _mixed(number: int) -> int:
    """SplitMix64: 64 well-mixed bits."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
