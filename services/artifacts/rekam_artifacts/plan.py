"""What the artifacts service projects, and what must be equal after a rebuild."""

from __future__ import annotations

from rekam_artifacts import control, events
from rekam_runtime.postgres import Connection, Statements
from rekam_runtime.projection.part import Part
from rekam_runtime.rebuild import Plan
from rekam_runtime.rebuild.comparing import by_statement

_statements = Statements.load("rekam_artifacts", "comparing.sql")
PACKAGE = "rekam_artifacts"


def parts() -> dict[str, Part]:
    return {events.STREAM: control.PART}


async def _tidy(connection: Connection) -> None:
    """Nothing goes on in the background."""


PLAN = Plan(
    events.SERVICE,
    PACKAGE,
    parts,
    [by_statement(name, getattr(_statements, name)) for name in _statements],
    _tidy,
)
