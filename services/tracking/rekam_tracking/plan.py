"""What the tracking service projects: the parts, stream by stream, and what must be equal after a rebuild."""

from __future__ import annotations

from rekam_runtime.eventlog.shards import points_stream
from rekam_runtime.postgres import Connection, Statements
from rekam_runtime.projection.part import Part
from rekam_runtime.rebuild import Plan
from rekam_runtime.rebuild.comparing import by_statement
from rekam_tracking import control, events
from rekam_tracking.datasets import comparing as datasets
from rekam_tracking.experiments import comparing as experiments
from rekam_tracking.logged_models import comparing as logged_models
from rekam_tracking.metrics import comparing as metrics
from rekam_tracking.metrics.settling import settle
from rekam_tracking.points import PointsProjection
from rekam_tracking.runs import comparing as runs
from rekam_tracking.texts import comparing as texts

_statements = Statements.load("rekam_tracking", "comparing.sql")
PACKAGE = "rekam_tracking"


def parts(points_shards: int) -> dict[str, Part]:
    """New ones: each remembers what it has learnt of a stream, in one generation."""
    return {
        events.STREAM: control.PART,
        **{points_stream(shard): PointsProjection().part() for shard in range(points_shards)},
    }


def plan(points_shards: int) -> Plan:
    return Plan(
        events.SERVICE,
        PACKAGE,
        lambda: parts(points_shards),
        [
            *experiments.COMPARISONS,
            *runs.COMPARISONS,
            *datasets.COMPARISONS,
            *logged_models.COMPARISONS,
            by_statement("writers", _statements.writers),
            *texts.COMPARISONS,
            *metrics.COMPARISONS,
        ],
        _tidy,
    )


async def _tidy(connection: Connection) -> None:
    while await settle(connection):
        pass
