"""What of registered models can be filtered and sorted."""

from __future__ import annotations

from rekam_runtime.filtering import MATCHING, MEMBERSHIP, NULLNESS, Entity, Field, Kind, Schema

MODELS = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes",),
            fields=(
                Field("name", Kind.TEXT, MATCHING | MEMBERSHIP),
                Field("creation_timestamp", Kind.NUMBER, frozenset()),
                Field("last_updated_timestamp", Kind.NUMBER, frozenset(), aliases=("timestamp",)),
            ),
        ),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, MATCHING | NULLNESS, sortable=False)),
    ),
    default="attribute",
)
