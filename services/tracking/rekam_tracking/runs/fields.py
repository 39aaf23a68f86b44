"""What of runs can be filtered and sorted."""

from __future__ import annotations

from rekam_runtime.filtering import MATCHING, MEMBERSHIP, NULLNESS, ORDERING, Entity, Field, Kind, Schema

RUNS = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes", "attr", "run"),
            fields=(
                Field("run_id", Kind.TEXT, MATCHING | MEMBERSHIP),
                Field("run_name", Kind.TEXT, MATCHING, aliases=("run name", "Run name", "Run Name")),
                Field("status", Kind.TEXT, MATCHING),
                Field("user_id", Kind.TEXT, MATCHING),
                Field("artifact_uri", Kind.TEXT, MATCHING),
                Field("start_time", Kind.NUMBER, ORDERING, aliases=("created", "Created")),
                Field("end_time", Kind.NUMBER, ORDERING),
            ),
            said="attributes",
        ),
        Entity("metric", ("metrics",), any_key=Field("metric", Kind.NUMBER, ORDERING)),
        Entity(
            "param",
            ("params", "parameter", "parameters"),
            any_key=Field("param", Kind.TEXT, MATCHING | NULLNESS),
            said="parameter",
        ),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, MATCHING | NULLNESS)),
        # A run may have several; each condition may be met by another.
        Entity(
            "dataset",
            ("datasets",),
            fields=tuple(
                Field(name, Kind.TEXT, MATCHING | MEMBERSHIP, sortable=False)
                for name in ("name", "digest", "context")
            ),
            said="dataset attributes",
        ),
    ),
    default="attribute",
)
