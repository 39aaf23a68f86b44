"""Artifact repository of rekam://host:port/PATH: files go the SDK's way, in parallel, checked by digest."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from rekam import Client
from rekam_mlflow.addresses import path_of, server_of, server_uri
from rekam_mlflow.errors import raises_as_mlflow


@raises_as_mlflow
class RekamArtifactRepository(ArtifactRepository):
    """The files below one URI."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._client = Client(server_of(artifact_uri))
        self._root = path_of(artifact_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._client.upload_uri(local_file, self._uri(artifact_path))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._client.upload_uri(local_dir, self._uri(artifact_path))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Entries of a folder, by their paths below the repository's; none of a file."""
        found = self._client.list_uri(self._uri(path))
        names = [entry.path.rstrip("/").rpartition("/")[2] for entry in found]
        return [
            FileInfo(f"{path.strip('/')}/{name}" if path else name, entry.is_dir, entry.file_size)
            for entry, name in zip(found, names, strict=True)
        ]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        wanted = Path(local_path)
        fetched = Path(self._client.download_uri(self._uri(remote_file_path), wanted.parent))
        if fetched != wanted.absolute():
            fetched.replace(wanted)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._client.delete_uri(self._uri(artifact_path))

    def _uri(self, path: str | None) -> str:
        return server_uri("/".join(part.strip("/") for part in (self._root, path or "") if part))
