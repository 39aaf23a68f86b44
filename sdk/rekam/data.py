"""Datasets, as runs log them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rekam.errors import Invalid
from rekam_proto.tracking.v1 import dataset_pb2, read_pb2

CONTEXT_TAG = "mlflow.data.context"

_LIMITS = {"name": 500, "digest": 36, "source_type": 36, "source": 65_535, "schema": 1_048_575}
# The server takes 4 MiB of inputs in a request.
_MAX_BYTES = 4_000_000
_DIGEST_CHARS = 32


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a run reads. Name and digest say which it is; of each, an experiment keeps what was logged first.

    source: where it comes from, in the form of source_type. schema, profile: texts, JSON as a rule.
    """

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""

    def __post_init__(self) -> None:
        for part, most in _LIMITS.items():
            length = len(getattr(self, part))
            if length > most or (part in ("name", "digest") and not length):
                raise Invalid(f"a dataset's {part} has 1 to {most} characters, got {length}", field=part)
        size = len(self.source.encode()) + len(self.schema.encode()) + len(self.profile.encode())
        if size > _MAX_BYTES:
            raise Invalid(
                f"a dataset's source, schema and profile have at most {_MAX_BYTES} bytes, got {size}",
                field="profile",
            )

    @classmethod
    def from_file(cls, path: str | Path, name: str | None = None) -> Dataset:
        """The file as it is now: its digest is of its bytes. name: the file's own if None."""
        path = Path(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGEST_CHARS]
        profile = json.dumps({"num_bytes": path.stat().st_size})
        source = json.dumps({"uri": path.resolve().as_uri()})
        return cls(name or path.name, digest, "local", source, profile=profile)


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run read, and how. context: what for, such as "training"."""

    dataset: Dataset
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> str | None:
        return self.tags.get(CONTEXT_TAG)


def input_of(dataset: Dataset, context: str | None, tags: Mapping[str, Any] | None) -> DatasetInput:
    """The dataset as it is read, by a context and more tags."""
    texts = {key: str(value) for key, value in (tags or {}).items()}
    return DatasetInput(dataset, texts if context is None else {**texts, CONTEXT_TAG: context})


def input_message(input: DatasetInput) -> dataset_pb2.DatasetInput:
    """Message of a DatasetInput."""
    dataset = input.dataset
    return dataset_pb2.DatasetInput(
        dataset=dataset_pb2.Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        tags=[read_pb2.Tag(key=key, value=value) for key, value in input.tags.items()],
    )


def input_from(message: dataset_pb2.DatasetInput) -> DatasetInput:
    """DatasetInput of its message."""
    dataset = message.dataset
    return DatasetInput(
        Dataset(
            dataset.name,
            dataset.digest,
            dataset.source_type,
            dataset.source,
            dataset.schema,
            dataset.profile,
        ),
        {tag.key: tag.value for tag in message.tags},
    )
