"""What of versions can be filtered and sorted."""

from __future__ import annotations

from rekam_runtime.filtering import (
    EQUALITY,
    MATCHING,
    MEMBERSHIP,
    NULLNESS,
    ORDERING,
    Entity,
    Field,
    Kind,
    Schema,
)

VERSIONS = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes",),
            fields=(
                Field("name", Kind.TEXT, MATCHING | MEMBERSHIP),
                Field("run_id", Kind.TEXT, MATCHING | MEMBERSHIP, sortable=False),
                Field("source_path", Kind.TEXT, MATCHING, sortable=False),
                Field("version_number", Kind.NUMBER, ORDERING, quotable=True),
                # As uris write stages: Production.
                Field("current_stage", Kind.TEXT, EQUALITY | MEMBERSHIP, sortable=False),
                Field("creation_timestamp", Kind.NUMBER, frozenset()),
                Field("last_updated_timestamp", Kind.NUMBER, frozenset()),
            ),
        ),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, MATCHING | NULLNESS, sortable=False)),
    ),
    default="attribute",
)
