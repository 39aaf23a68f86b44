"""What was written of one run, and what of it is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass

from rekam.verifying.difference import Bounds
from rekam.verifying.plan import Plan


@dataclass(slots=True)
class Written:
    """Changed by the thread that writes, read by the one that checks.

    A step counts as written before it is handed over and as acknowledged after flush() returned, so
    that a reader who looks at `acknowledged` before and at `written` after a read has bounds that hold.
    """

    run_id: str
    plan: Plan
    writer: str
    written: int = 0
    acknowledged: int = 0
    # Nothing more is written.
    done: bool = False
    # The end of the run is acknowledged.
    ended: bool = False
    # A difference was found; what is known is not counted again.
    faulty: bool = False

    def bounds(self, least: int) -> Bounds:
        """After a read that began when `least` steps were acknowledged."""
        return Bounds(least, self.written)
