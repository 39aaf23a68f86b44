"""What runs record by themselves: as the program says, else as the environment does."""

from __future__ import annotations

from typing import Literal

from rekam import settings
from rekam.errors import Invalid

_enabled: bool | None = None
_seconds: float | None = None


def enable_system_metrics_logging() -> None:
    """Runs that start from now on record system metrics."""
    global _enabled
    _enabled = True


def disable_system_metrics_logging() -> None:
    """Runs that start from now on record no system metrics."""
    global _enabled
    _enabled = False


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Seconds between samples, for runs that start from now on; None for REKAM_SYSTEM_METRICS_SECONDS."""
    global _seconds
    if interval is not None and not 0.1 <= interval < float("inf"):
        raise Invalid(f"must be 0.1 seconds or more, got {interval!r}", field="interval")
    _seconds = interval


def system_metrics_period(asked: bool | None) -> float | None:
    """Seconds between the samples of a run that starts now; None when it takes none.

    asked: what start_run was told.
    """
    options = settings.current()
    enabled = options.system_metrics if _enabled is None else _enabled
    if not (enabled if asked is None else asked):
        return None
    return options.system_metrics_seconds if _seconds is None else _seconds


def console_mode(asked: bool | Literal["fd"] | None) -> str:
    """How a run that starts now records console output: "off", "on" or "fd".

    asked: what start_run was told.
    """
    if asked is None:
        return settings.current().console
    if asked not in (True, False, "fd"):
        raise Invalid(f'must be True, False or "fd", got {asked!r}', field="capture_console")
    return "fd" if asked == "fd" else "on" if asked else "off"
