"""Which records of a writer an aggregate has seen: a record that comes again changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from rekam_proto.event.v1.envelope_pb2 import Origin


@dataclass(slots=True)
class Sequences:
    """The greatest sequence of each writer; its records come in their order."""

    _greatest: dict[str, int] = field(default_factory=dict)

    def note(self, origin: Origin) -> None:
        """Take in an event's origin; one without a writer was a plain request."""
        if origin.writer and origin.sequence > self._greatest.get(origin.writer, 0):
            self._greatest[origin.writer] = origin.sequence

    def has(self, origin: Origin | None) -> bool:
        """Whether this record was noted before; never for a plain request."""
        return origin is not None and origin.sequence <= self._greatest.get(origin.writer, 0)
