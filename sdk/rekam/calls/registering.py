"""Registering a model: what its URI tells of it, then its next version."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import urlsplit

from rekam import settings
from rekam.calls.artifacts import Artifacts
from rekam.calls.deciding import By
from rekam.errors import Invalid, NotFound
from rekam.formats import mlmodel
from rekam.registered import ModelVersion
from rekam.transfer import manifest, paths
from rekam.transfer.progress import Progress
from rekam_proto.artifacts.v1 import artifact_pb2

# An MLmodel file is a page; what is larger is not read.
_LARGEST_DESCRIPTION = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the files of a model are, and what made them."""

    location: str
    run_id: str | None = None
    model_id: str | None = None
    digest: str | None = None
    signature: str | None = None


class Registering(Artifacts):
    """Models become versions of registered models."""

    def register_model(
        self,
        model_uri: str,
        name: str,
        *,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        **by: Unpack[By],
    ) -> ModelVersion:
        """Make a model the next version of a registered model, which is created when it is missing.

        model_uri: runs:/RUN/PATH, models:/m-ID, the URI of another registered version, or of where the
        files are. The version keeps where they are, the run and logged model that made them, their digest
        (of what `sha256sum` prints of all files, sorted by path) and the signature of an MLmodel among
        them. NotFound when nothing is there; only of other storages than the server's nobody looks.
        """
        origin = self._origin_of(model_uri)

        def create() -> ModelVersion:
            return self.create_model_version(
                name,
                model_uri,
                origin.run_id,
                tags,
                description=description,
                model_id=origin.model_id,
                location=origin.location,
                digest=origin.digest,
                signature=origin.signature,
                **by,
            )

        try:
            return create()
        except NotFound:
            self.ensure_registered_model(name, **by)
            return create()

    def _origin_of(self, model_uri: str) -> _Origin:
        scheme = urlsplit(model_uri).scheme
        if scheme not in ("runs", "models", paths.SCHEME):
            return _Origin(model_uri)
        named = paths.named(model_uri, "model_uri")
        if isinstance(named, paths.Registered):
            if named.path:
                raise Invalid(f"{model_uri!r}: a version is registered with all its files", field="model_uri")
            version = self.resolve_model(named.uri)
            return _Origin(
                version.location, version.run_id, version.model_id, version.digest, version.signature
            )
        place = self._resolved(named)
        files = self._files_of(place)
        if not files and (model := self._in_model(named)) is not None:
            named, place = model, self._resolved(model)
            files = self._files_of(place)
        if not files:
            raise NotFound(f"{model_uri!r}: there are no files ({place})", field="model_uri")
        origin = _Origin(
            f"{paths.SCHEME}:/{place}",
            digest=manifest.digest_of((_below(file.path, place), file.digest) for file in files),
            signature=self._signature_among(files, place),
        )
        if isinstance(named, str):
            return origin
        if named.kind == "runs":
            return replace(origin, run_id=named.owner)
        made = self.get_logged_model(named.owner)
        return replace(origin, run_id=made.source_run_id, model_id=made.model_id)

    def _files_of(self, place: str) -> list[artifact_pb2.File]:
        """A file, or all below a folder."""
        file = self._file_at(place) if place else None
        return [file] if file is not None else [each.file for each in self._entries(place, recursive=True)]

    def _signature_among(self, files: Sequence[artifact_pb2.File], place: str) -> str | None:
        described = f"{place}/{mlmodel.NAME}"
        found = next((file for file in files if file.path == described), None)
        if found is None or found.size > _LARGEST_DESCRIPTION:
            return None
        from rekam.transfer.download import Downloader, Wanted

        with (
            tempfile.TemporaryDirectory(prefix="rekam-") as folder,
            Progress("reading", shown=False) as quiet,
        ):
            target = Path(folder) / mlmodel.NAME
            downloader = Downloader(self._server, settings.current(), self._retry_timeout, quiet)
            downloader.fetch([Wanted(found, target)])
            return mlmodel.signature_of(target.read_bytes())


def _below(path: str, place: str) -> str:
    """A file's path in its tree; of a tree that is one file its name."""
    return path.removeprefix(place).lstrip("/") or path.rpartition("/")[2]
