"""The parameters of a statement that is put together: what users wrote never becomes SQL text."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_runtime.errors import Invalid

# The protocol takes 32,767.
MAX_PARAMETERS = 30_000

Scalar = str | int | float
Argument = Scalar | list[str] | list[int]


class Parameters:
    """Values in the order of their placeholders; equal ones of one type share a placeholder."""

    def __init__(self) -> None:
        self.values: list[Argument] = []
        self._places: dict[tuple[str, object], str] = {}

    def add(self, sql_type: str, value: Scalar | Sequence[str] | Sequence[int]) -> str:
        """The placeholder of a value, cast to its type."""
        argument: Argument = value if isinstance(value, str | int | float) else list(value)  # type: ignore[assignment]
        identity = (sql_type, repr(argument))
        place = self._places.get(identity)
        if place is None:
            if len(self.values) >= MAX_PARAMETERS:
                raise Invalid(f"a search has at most {MAX_PARAMETERS:,} different values", field="filter")
            self.values.append(argument)
            place = f"${len(self.values)}::{sql_type}"
            self._places[identity] = place
        return place
