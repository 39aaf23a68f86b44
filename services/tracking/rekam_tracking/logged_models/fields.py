"""What of logged models can be filtered and sorted."""

from __future__ import annotations

from rekam_runtime.filtering import MATCHING, MEMBERSHIP, NULLNESS, ORDERING, Entity, Field, Kind, Schema

_TEXT = MATCHING | MEMBERSHIP

LOGGED_MODELS = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes",),
            fields=(
                Field("name", Kind.TEXT, _TEXT),
                Field("model_id", Kind.TEXT, _TEXT),
                Field("model_type", Kind.TEXT, _TEXT),
                Field("source_run_id", Kind.TEXT, _TEXT),
                Field("artifact_uri", Kind.TEXT, _TEXT, aliases=("artifact_location",)),
                Field("status", Kind.TEXT, _TEXT),
                # Of what is found: active.
                Field("lifecycle_stage", Kind.TEXT, _TEXT),
                Field(
                    "creation_timestamp",
                    Kind.NUMBER,
                    ORDERING,
                    aliases=("creation_time", "creation_timestamp_ms"),
                ),
                Field(
                    "last_updated_timestamp",
                    Kind.NUMBER,
                    ORDERING,
                    aliases=("last_updated_time", "last_updated_timestamp_ms"),
                ),
            ),
            said="attributes",
        ),
        # Every logged value; a condition is met by any of them.
        Entity("metric", ("metrics",), any_key=Field("metric", Kind.NUMBER, ORDERING)),
        Entity("param", ("params",), any_key=Field("param", Kind.TEXT, _TEXT | NULLNESS, sortable=False)),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, _TEXT | NULLNESS, sortable=False)),
    ),
    default="attribute",
    bare_texts=True,
)
