"""`entity.key` as users write it, to the field of the schema that it names."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.filtering.lexer import Lexeme, Source, Token
from rekam_runtime.filtering.schema import Entity, Field, Schema
from rekam_runtime.filtering.tree import Reference


def read_key(text: str, schema: Schema, *, field: str) -> Reference:
    """What may be sorted by, of a text that is nothing but its key, which needs no quotes."""
    source = Source(text, field)
    if (nul := text.find("\0")) >= 0:
        raise source.fault(f"{source.invalid}: a NUL character", nul)
    prefix, dot, key = text.partition(".")
    entity = schema.by_prefix.get(prefix) if dot else schema.by_prefix[schema.default]
    if entity is None:
        raise source.fault(f"Invalid entity type '{prefix}'. Valid values are {_prefixes(schema)}", 0)
    if not dot:
        prefix, key = schema.default, text
    reference, _ = _reference(source, entity, prefix, key, len(text) - len(key), 0, sorting=True)
    return reference


@dataclass(frozen=True, slots=True)
class FoundReference:
    reference: Reference
    entity: Entity
    field: Field
    # Index of the first lexeme behind the reference.
    next: int


def read_reference(
    source: Source, lexemes: list[Lexeme], index: int, schema: Schema, *, sorting: bool = False
) -> FoundReference:
    """The reference that begins at lexemes[index]: a word, a quoted name, or `word.` and a quoted key.

    Only the first dot separates; a name without a prefix belongs to the schema's default entity. The
    prefix may be in backticks, too.
    """
    # The caller has seen that `first` is not END, so there is one behind it.
    first, following = lexemes[index], lexemes[index + 1]
    prefix, dot, key = first.text.partition(".")
    key_at = first.position + len(prefix) + 1
    index += 1
    if first.token is Token.BACKTICK and following.token is Token.DOT and following.position == first.end:
        prefix, key, key_at = first.unquoted, "", following.end
        index += 1
        following = lexemes[index]
        if following.position == key_at and following.token is Token.WORD:
            key = following.text
            index += 1
    elif first.token is not Token.WORD:
        prefix, key, key_at = schema.default, first.unquoted, first.position
    elif not dot:
        prefix, key, key_at = schema.default, first.text, first.position
    quoted = following.token in (Token.DOUBLE, Token.BACKTICK)
    if not key and quoted and following.position == key_at:
        key, key_at = following.unquoted, following.position
        index += 1
    entity = schema.by_prefix.get(prefix)
    if entity is None:
        raise source.fault(
            f"Invalid entity type '{prefix}'. Valid values are {_prefixes(schema)}", first.position
        )
    reference, field = _reference(source, entity, prefix, key, key_at, first.position, sorting=sorting)
    return FoundReference(reference, entity, field, index)


def _prefixes(schema: Schema) -> list[str]:
    return [name for known in schema.entities for name in (known.name, *known.prefixes)]


def _reference(
    source: Source, entity: Entity, prefix: str, key: str, key_at: int, position: int, *, sorting: bool
) -> tuple[Reference, Field]:
    if not key:
        raise source.fault(f"{source.invalid}: a key is missing after '{prefix}.'", key_at)
    field = entity.by_name.get(key, entity.any_key)
    if field is None or not (field.sortable if sorting else field.operators):
        valid = [known.name for known in entity.fields if (known.sortable if sorting else known.operators)]
        if not valid:
            raise source.fault(f"Invalid order_by entity: {entity.name}", position)
        raise source.fault(f"Invalid {entity.name} key '{key}' specified. Valid keys are {valid}", key_at)
    name = key if field is entity.any_key else field.name
    return Reference(entity.name, name, field.kind, position), field
