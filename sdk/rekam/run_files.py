"""The files of a run that this process writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from rekam.client import Client
from rekam.entities import FileInfo


class RunFiles(ABC):
    """The calls of Client that are about a run's files, for one run; what they do is said there."""

    @property
    @abstractmethod
    def run_id(self) -> str:
        """32 lower-case hex digits."""

    @property
    @abstractmethod
    def target(self) -> str:
        """host:port of its server."""

    @property
    def _client(self) -> Client:
        return Client(f"grpc://{self.target}")

    def log_artifact(self, local_path: str | PathLike[str], artifact_path: str | None = None) -> None:
        """Put a file or a directory into a folder of the artifacts; returns when it is durable."""
        self._client.log_artifact(self.run_id, local_path, artifact_path)

    def log_artifacts(self, local_dir: str | PathLike[str], artifact_path: str | None = None) -> None:
        """Put all that is in a directory into a folder of the artifacts."""
        self._client.log_artifacts(self.run_id, local_dir, artifact_path)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Put text."""
        self._client.log_text(self.run_id, text, artifact_file)

    def log_dict(self, dictionary: Mapping[str, Any] | Sequence[Any], artifact_file: str) -> None:
        """Put a dictionary, as JSON or YAML."""
        self._client.log_dict(self.run_id, dictionary, artifact_file)

    def log_figure(
        self, figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Put a figure of matplotlib or plotly."""
        self._client.log_figure(self.run_id, figure, artifact_file, save_kwargs=save_kwargs)

    def log_image(
        self,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Put an image, as a file or as one of a series."""
        self._client.log_image(self.run_id, image, artifact_file, key, step, timestamp)

    def log_table(self, data: Any, artifact_file: str) -> None:
        """Put a table, or append to one."""
        self._client.log_table(self.run_id, data, artifact_file)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """What lies in a folder of the artifacts."""
        return self._client.list_artifacts(self.run_id, path)

    def download_artifacts(self, path: str = "", dst_path: str | PathLike[str] | None = None) -> str:
        """Fetch a file or folder of the artifacts; answers with its place."""
        return self._client.download_artifacts(self.run_id, path, dst_path)
