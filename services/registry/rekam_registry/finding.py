"""From what a uri says to a model and a version, at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rekam_registry import uris
from rekam_registry.events import STREAM
from rekam_registry.ledger import missing
from rekam_registry.reads import View
from rekam_registry.uris import ModelUri
from rekam_runtime.errors import NotFound
from rekam_runtime.postgres import Statements

_statements = Statements.load("rekam_registry", "finding.sql")


@dataclass(frozen=True, slots=True)
class Found:
    """position: how far the log was projected."""

    model_id: UUID
    version: int
    position: int


async def find(view: View, uri: ModelUri) -> Found:
    """Raises NotFound when there is no such model, or no such version of it."""
    arguments: list[int | str]
    if uri.version:
        fragment, arguments = _statements.numbered, [uri.version]
    elif uri.alias:
        fragment, arguments = _statements.aliased, [uri.alias]
    elif uri.stage:
        fragment, arguments = _statements.staged, [uri.stage]
    else:
        fragment, arguments = _statements.highest, []
    text = _statements.find.format(at=view.at, version=fragment.format(at=view.at))
    row = await view.connection.fetchrow(text, uri.name, STREAM, *arguments)
    if row is None:
        raise missing(uri.name)
    if row["version"] is None:
        raise _missing_version(uri)
    return Found(row["model_id"], row["version"], row["position"])


async def model_of(view: View, name: str) -> UUID:
    """Raises NotFound when no model has the name."""
    found: UUID | None = await view.connection.fetchval(_statements.model.format(at=view.at), name)
    if found is None:
        raise missing(name)
    return found


def _missing_version(uri: ModelUri) -> NotFound:
    if uri.version:
        return uris.missing_version(uri.name, uri.version)
    return uris.missing_alias(uri.alias) if uri.alias else uris.missing_in_stage(uri.name, uri.stage)
