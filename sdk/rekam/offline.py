"""Whether this process is offline by choice: it asks nothing of any server and sends nothing."""

from __future__ import annotations

from rekam import settings

_chosen: bool | None = None


def set_offline(offline: bool = True) -> None:
    """From now on: no call connects, what is logged goes into the spool only.

    `rekam sync` delivers it later, to the tracking URI that is set now or to another one. The same
    as REKAM_OFFLINE=1. Runs that are active stay as they are.
    """
    global _chosen
    _chosen = offline


def is_offline() -> bool:
    """As set, else REKAM_OFFLINE."""
    return settings.current().offline if _chosen is None else _chosen
