"""What of experiments can be filtered and sorted."""

from __future__ import annotations

from rekam_runtime.filtering import MATCHING, MEMBERSHIP, NULLNESS, ORDERING, Entity, Field, Kind, Schema

EXPERIMENTS = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes", "attr", "experiment"),
            fields=(
                Field("name", Kind.TEXT, MATCHING),
                Field("creation_time", Kind.NUMBER, ORDERING),
                Field("last_update_time", Kind.NUMBER, ORDERING),
                # Sorts as a number.
                Field("experiment_id", Kind.TEXT, MATCHING | MEMBERSHIP),
            ),
            said="attributes",
        ),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, MATCHING | NULLNESS, sortable=False)),
    ),
    default="attribute",
)
