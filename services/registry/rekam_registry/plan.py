"""What the registry projects: the parts, stream by stream, and what must be equal after a rebuild."""

from __future__ import annotations

from rekam_registry import control, events
from rekam_runtime.postgres import Connection, Statements
from rekam_runtime.projection.part import Part
from rekam_runtime.rebuild import Plan
from rekam_runtime.rebuild.comparing import by_statement

_statements = Statements.load("rekam_registry", "comparing.sql")
PACKAGE = "rekam_registry"


def parts() -> dict[str, Part]:
    return {events.STREAM: control.PART}


def plan() -> Plan:
    comparisons = [by_statement(name, getattr(_statements, name)) for name in _statements]
    return Plan(events.SERVICE, PACKAGE, parts, comparisons, _tidy)


async def _tidy(connection: Connection) -> None:
    """Rows are written as they stay."""
