"""The moment that a read answers for, as a condition on rows that say from when until when they were true."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_proto.registry.v1.read_pb2 import AsOf
from rekam_registry.timelines import FOREVER
from rekam_runtime.errors import Invalid


@dataclass(frozen=True, slots=True)
class Moment:
    """A position of the log or a time; neither: now.

    In a statement, `{at:m}` becomes the condition on the table that is named m there. It holds numbers
    only, never text of a user.
    """

    position: int | None = None
    time_us: int | None = None

    @classmethod
    def of(cls, as_of: AsOf) -> Moment:
        match as_of.WhichOneof("moment"):
            case "position":
                if as_of.position < 1:
                    raise Invalid(
                        f"a position is a number from 1, got {as_of.position}", field="as_of.position"
                    )
                return cls(position=as_of.position)
            case "time_us":
                if as_of.time_us < 0:
                    raise Invalid(f"a time is not negative, got {as_of.time_us}", field="as_of.time_us")
                return cls(time_us=as_of.time_us)
            case _:
                return NOW

    def __format__(self, table: str) -> str:
        if self.position is not None:
            return f"{table}.from_position <= {self.position} AND {table}.until_position > {self.position}"
        if self.time_us is not None:
            return f"{table}.from_us <= {self.time_us} AND {table}.until_us > {self.time_us}"
        return f"{table}.until_position = {FOREVER}"


NOW = Moment()
