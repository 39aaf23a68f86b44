"""The projection of the control stream: every noun's part of it."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection
from rekam_runtime.projection.part import Part, Write
from rekam_tracking.datasets import projection as datasets
from rekam_tracking.events import decode
from rekam_tracking.experiments import projection as experiments
from rekam_tracking.logged_models import projection as logged_models
from rekam_tracking.runs import projection as runs


def prepare(records: Sequence[Record]) -> Write:
    """Read a batch; raises Quarantine when it has a record that cannot be read."""
    events = [decode(record)[1] for record in records]

    async def write(connection: Connection) -> int:
        # Experiments first, for the whole batch: a run takes its experiment's lifecycle when it
        # is inserted, and a later change of it is an event that the runs follow in their order.
        await experiments.apply(connection, events)
        await runs.apply(connection, events)
        await datasets.apply(connection, events)
        await logged_models.apply(connection, events)
        return 0

    return write


PART = Part(prepare)
