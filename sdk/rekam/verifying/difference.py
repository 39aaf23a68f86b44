"""How what was read differs from what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rekam.verifying.plan import Plan, same

# Kept in words; those beyond are counted.
_KEPT = 5


@dataclass(slots=True)
class Difference:
    """Of one answer. read: points (or lines, or other things) that it held.

    missing: acknowledged before the read began and not there. doubled: there more than once.
    wrong: there, and never written like that. notes: the first of them, for people.
    """

    read: int = 0
    missing: int = 0
    doubled: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.wrong)

    def miss(self, count: int, note: str) -> None:
        """`count` are missing."""
        if count > 0:
            self.missing += count
            self._note(f"missing: {note}")

    def double(self, note: str, count: int = 1) -> None:
        """`count` are there again."""
        self.doubled += count
        self._note(f"doubled: {note}")

    def mistake(self, note: str) -> None:
        """One is wrong."""
        self.wrong += 1
        self._note(f"wrong: {note}")

    def _note(self, note: str) -> None:
        if len(self.notes) < _KEPT:
            self.notes.append(note)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a read must show: at least the steps acknowledged before it began, at most those written."""

    least: int
    most: int

    def of(self, each: Callable[[int], int]) -> Bounds:
        """Of what is written `each(steps)` times with so many steps."""
        return Bounds(each(self.least), each(self.most))


def compare_points(
    found: Difference, plan: Plan, number: int, bounds: Bounds, points: Iterable[tuple[int, int, float]]
) -> None:
    """Points (step, time, value) of key `number`, against the plan."""
    key = plan.keys[number]
    seen: set[int] = set()
    for step, time_us, value in points:
        found.read += 1
        if not 0 <= step < bounds.most:
            found.mistake(f"{key} has a step {step}, {bounds.most} were written")
        elif step in seen:
            found.double(f"{key} at step {step}")
        else:
            seen.add(step)
            if not same(value, plan.value(number, step)) or time_us != plan.time_us(step):
                found.mistake(f"{key} at step {step} is {value!r}, {plan.value(number, step)!r} was written")
    gone = [step for step in range(bounds.least) if step not in seen]
    if gone:
        found.miss(len(gone), f"{key} at steps {gone[0]} to {gone[-1]}, {len(gone)} in all")


def compare_count(found: Difference, what: str, count: int, bounds: Bounds) -> bool:
    """A number of things, which must lie within bounds; whether it does."""
    if count < bounds.least:
        found.miss(bounds.least - count, f"{what}: {count} instead of {bounds.least}")
    elif count > bounds.most:
        found.double(f"{what}: {count}, {bounds.most} were written", count - bounds.most)
    return bounds.least <= count <= bounds.most


def compare_last(found: Difference, what: str, steps: int, bounds: Bounds) -> bool:
    """The steps that something had seen when it was last written; whether that is within bounds."""
    if steps < bounds.least:
        found.miss(1, f"{what} is of step {steps - 1}, {bounds.least - 1} was acknowledged")
    elif steps > bounds.most:
        found.mistake(f"{what} is of step {steps - 1}, {bounds.most} were written")
    return bounds.least <= steps <= bounds.most
