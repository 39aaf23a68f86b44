"""Errors of the registry that the runtime's tree has no name for."""

from __future__ import annotations

from rekam_runtime.eventlog.port import Conflict


class Stale(Conflict):
    """What the request expects to be there is not, any more: look again, then decide again."""
