"""Projections: from a stream of the log to rows in Postgres, each record's effect exactly once.

`projector` follows one stream: `batching` gathers, `applying` commits rows and position in
one transaction, `quarantine` keeps what cannot be applied; `leases` say which of several
replicas follows which stream. `fresh` lets readers wait until
what they must see is there. `metrics` names the figures.
"""

from rekam_runtime.projection.applying import Apply
from rekam_runtime.projection.batching import BatchLimits
from rekam_runtime.projection.fresh import FreshReads
from rekam_runtime.projection.leases import Replica
from rekam_runtime.projection.projector import Projector
from rekam_runtime.projection.quarantine import quarantine_stream

__all__ = ["Apply", "BatchLimits", "FreshReads", "Projector", "Replica", "quarantine_stream"]
