"""Rebuilding a projection from the log, beside the one that is read, and switching to it.

`requests` are the rows that say what was asked for and how far it is, `worker` does the work, with a
`stream` for each stream of the log, `comparing` holds the two against each other. A service says by
its `plan` what there is to rebuild.
"""

from rekam_runtime.rebuild.comparing import Comparison, Digest
from rekam_runtime.rebuild.plan import Plan
from rekam_runtime.rebuild.worker import Rebuilder

__all__ = ["Comparison", "Digest", "Plan", "Rebuilder"]
