"""What may be filtered and sorted: the entities, fields and operators of one kind of search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rekam_runtime.filtering.tree import Kind, Operator

EQUALITY = frozenset({Operator.EQ, Operator.NE})
ORDERING = EQUALITY | {Operator.LT, Operator.LE, Operator.GT, Operator.GE}
MATCHING = EQUALITY | {Operator.LIKE, Operator.NOT_LIKE, Operator.ILIKE, Operator.NOT_ILIKE}
MEMBERSHIP = frozenset({Operator.IN, Operator.NOT_IN})
NULLNESS = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL})


@dataclass(frozen=True)
class Field:
    """One field, or every field of an entity whose keys users choose."""

    name: str
    kind: Kind
    # Empty: sortable only.
    operators: frozenset[Operator]
    aliases: tuple[str, ...] = ()
    sortable: bool = True
    # Whether a number may stand in quotes.
    quotable: bool = False


@dataclass(frozen=True)
class Entity:
    """`prefix.key`: either fixed fields (attributes) or any key (metrics, params, tags)."""

    name: str
    prefixes: tuple[str, ...]
    fields: tuple[Field, ...] = ()
    any_key: Field | None = None
    # How messages name it; empty: by its name.
    said: str = ""

    @property
    def plain(self) -> str:
        return self.said or self.name

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {name: field for field in self.fields for name in (field.name, *field.aliases)}


@dataclass(frozen=True)
class Schema:
    entities: tuple[Entity, ...]
    # Name of the entity that a key without a prefix belongs to.
    default: str
    # Whether a text may stand without quotes, when it is one word or number.
    bare_texts: bool = False

    @cached_property
    def by_prefix(self) -> dict[str, Entity]:
        return {prefix: entity for entity in self.entities for prefix in (entity.name, *entity.prefixes)}
