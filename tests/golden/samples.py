"""Reads the stored samples beside this file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import symbol_database, text_format
from google.protobuf.message import Message

from rekam_proto.artifacts.v1 import artifact_pb2  # noqa: F401
from rekam_proto.event.v1.envelope_pb2 import Envelope

# Imported for their entries in the symbol database, as is the one above.
from rekam_proto.ingest.v1 import points_pb2  # noqa: F401
from rekam_proto.registry.v1 import history_pb2, webhook_pb2  # noqa: F401
from rekam_proto.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2  # noqa: F401

FOLDER = Path(__file__).resolve().parent
NAME = re.compile(r"(?P<type>[\w.]+)\.v(?P<version>\d+)(\.(?P<addition>\w+))?")


@dataclass(frozen=True, slots=True)
class Sample:
    """An event's name, the version of its meaning, which addition to it, and the two files."""

    type: str
    version: int
    addition: str = ""

    @property
    def name(self) -> str:
        return f"{self.type}.v{self.version}" + (f".{self.addition}" if self.addition else "")

    @property
    def text(self) -> Path:
        return FOLDER / f"{self.name}.txtpb"

    @property
    def stored(self) -> Path:
        return FOLDER / f"{self.name}.binpb"

    def said(self) -> Message:
        """The event as its text says it."""
        return text_format.Parse(self.text.read_text("utf-8"), message_class(self.type)())

    def envelope(self) -> Envelope:
        """The envelope as it lies in the log."""
        return Envelope.FromString(self.stored.read_bytes())


def message_class(full_name: str) -> type[Message]:
    """The class of a message by its full proto name."""
    kind: type[Message] = symbol_database.Default().GetSymbol(full_name)
    return kind


def all_samples() -> list[Sample]:
    """Every sample that has a text or a stored file."""
    stems = {path.stem for path in FOLDER.iterdir() if path.suffix in (".txtpb", ".binpb")}
    matches = [NAME.fullmatch(stem) for stem in sorted(stems)]
    return [
        Sample(match["type"], int(match["version"]), match["addition"] or "") for match in matches if match
    ]
