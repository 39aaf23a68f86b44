"""Attributes of logged models as expressions on `logged_models m`."""

from __future__ import annotations

from rekam_proto.tracking.v1 import logged_model_pb2

# As filters say it: READY.
STATUS_NAMES = {
    number: name.removeprefix("LOGGED_MODEL_STATUS_")
    for name, number in logged_model_pb2.LoggedModelStatus.items()
    if number != 0
}
_STATUSES = ", ".join(repr(STATUS_NAMES[number]) for number in sorted(STATUS_NAMES))

TEXTS = {
    "name": "m.name",
    "model_id": "m.model_id",
    "model_type": "m.model_type",
    "source_run_id": "m.source_run_id",
    "artifact_uri": "m.artifact_uri",
    "lifecycle_stage": "(ARRAY['active', 'deleted'])[m.lifecycle + 1] COLLATE \"C\"",
    "status": f'(ARRAY[{_STATUSES}])[m.status] COLLATE "C"',
}
TIMES = {"creation_timestamp": "m.created_ms", "last_updated_timestamp": "m.updated_ms"}
