"""The stored samples in the order in which a server could have appended them, as records of the log.

A new sample goes to the end of its stream: the stored segments have what stands before it.
"""

from __future__ import annotations

from pathlib import Path

from rekam_runtime.eventlog.port import Record
from tests.golden.samples import FOLDER, Sample

LOG_ID = "golden-0"
_TRACKING = "rekam_proto.tracking.v1."
_ARTIFACTS = "rekam_proto.artifacts.v1."
_REGISTRY = "rekam_proto.registry.v1."
STREAMS: dict[str, list[Sample]] = {
    "REKAM_TRACKING": [
        Sample(_TRACKING + "ExperimentCreated", 1),
        Sample(_TRACKING + "ExperimentRenamed", 1),
        Sample(_TRACKING + "ExperimentTagsDeleted", 1),
        Sample(_TRACKING + "ExperimentTagsSet", 1),
        Sample(_TRACKING + "RunCreated", 1),
        Sample(_TRACKING + "ParamsLogged", 1),
        Sample(_TRACKING + "TagsSet", 1),
        Sample(_TRACKING + "RunUpdated", 1),
        Sample(_TRACKING + "RunDeleted", 1),
        Sample(_TRACKING + "RunRestored", 1),
        Sample(_TRACKING + "ExperimentDeleted", 1),
        Sample(_TRACKING + "ExperimentRestored", 1),
        Sample(_TRACKING + "TagsDeleted", 1),
        Sample(_TRACKING + "InputsLogged", 1),
        Sample(_TRACKING + "OutputsLogged", 1),
        Sample(_TRACKING + "LoggedModelCreated", 1),
        Sample(_TRACKING + "LoggedModelTagsSet", 1),
        Sample(_TRACKING + "LoggedModelTagsDeleted", 1),
        Sample(_TRACKING + "LoggedModelParamsLogged", 1),
        Sample(_TRACKING + "LoggedModelMetricsLogged", 1),
        Sample(_TRACKING + "LoggedModelFinalized", 1),
        Sample(_TRACKING + "LoggedModelDeleted", 1),
    ],
    "REKAM_POINTS_0": [
        # Set aside: the hash of its key set is made up.
        Sample("rekam_proto.ingest.v1.PointsAppended", 1),
        Sample("rekam_proto.ingest.v1.PointsAppended", 1, "frame"),
        Sample("rekam_proto.ingest.v1.PointsAppended", 1, "text"),
        Sample("rekam_proto.ingest.v1.PointsAppended", 1, "seen"),
    ],
    "REKAM_ARTIFACTS": [
        Sample(_ARTIFACTS + "UploadStarted", 1),
        Sample(_ARTIFACTS + "FilesPut", 1),
        Sample(_ARTIFACTS + "FilesUsed", 1),
        Sample(_ARTIFACTS + "GarbageCollected", 1),
        Sample(_ARTIFACTS + "ObjectsRemoved", 1),
        Sample(_ARTIFACTS + "UploadAborted", 1),
        Sample(_ARTIFACTS + "FilesDeleted", 1),
    ],
    "REKAM_REGISTRY": [
        Sample(_REGISTRY + "NameTaken", 1),
        Sample(_REGISTRY + "ModelCreated", 1),
        Sample(_REGISTRY + "NameFreed", 1),
        Sample(_REGISTRY + "ModelRenamed", 1),
        Sample(_REGISTRY + "ModelUpdated", 1),
        Sample(_REGISTRY + "ModelTagsSet", 1),
        Sample(_REGISTRY + "ModelTagsDeleted", 1),
        Sample(_REGISTRY + "ModelProtected", 1),
        Sample(_REGISTRY + "VersionCreated", 1),
        Sample(_REGISTRY + "VersionCreated", 1, "second"),
        Sample(_REGISTRY + "VersionUpdated", 1),
        Sample(_REGISTRY + "VersionTagsSet", 1),
        Sample(_REGISTRY + "VersionTagsDeleted", 1),
        Sample(_REGISTRY + "TransitionRequested", 1),
        Sample(_REGISTRY + "VersionTransitioned", 1),
        Sample(_REGISTRY + "TransitionRequested", 1, "alias"),
        Sample(_REGISTRY + "AliasSet", 1),
        Sample(_REGISTRY + "TransitionRequested", 1, "later"),
        Sample(_REGISTRY + "TransitionRejected", 1),
        Sample(_REGISTRY + "AliasDeleted", 1),
        Sample(_REGISTRY + "VersionDeleted", 1),
        Sample(_REGISTRY + "ModelDeleted", 1),
        Sample(_REGISTRY + "WebhookCreated", 1),
        Sample(_REGISTRY + "WebhookUpdated", 1),
        Sample(_REGISTRY + "WebhookDeleted", 1),
    ],
}


def records(stream: str) -> list[Record]:
    """The stream's story."""
    return [
        Record(position, f"{stream}.golden", sample.stored.read_bytes(), 1_700_000_000_000_000 + position)
        for position, sample in enumerate(STREAMS[stream], start=1)
    ]


def segment_file(stream: str, version: int) -> Path:
    """The stored segment of a format version."""
    return FOLDER / f"{stream}.v{version}.segment"
