"""A checker to leave running: writes through the public API and reads everything back by every door.

What must be there follows from a run's seed, so nothing that was written is kept in memory, however
long it runs. `Verifier` is the whole; the command is `rekam verify`.
"""

from rekam.verifying.report import Report
from rekam.verifying.verifier import Options, Verifier

__all__ = ["Options", "Report", "Verifier"]
