"""Experiments that a search looks at."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_runtime.errors import Invalid
from rekam_tracking.search.comparing import MAX_BIGINT


def experiment_ids(values: Sequence[str], field: str = "experiment_ids") -> list[int]:
    """Distinct ids; those that no experiment can have are left out."""
    ids: dict[int, None] = {}
    for index, value in enumerate(values):
        if not (value.isascii() and value.isdigit()):
            raise Invalid(
                f"Invalid experiment ID '{value[:80]}'. Experiment ID must be a valid integer.",
                field=f"{field}[{index}]",
            )
        # Longer ones name no experiment.
        if len(value) < 20 and int(value) <= MAX_BIGINT:
            ids[int(value)] = None
    return list(ids)
