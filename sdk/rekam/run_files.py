"""The files of a run that this process writes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from rekam.client import Client
from rekam.entities import FileInfo
from rekam.errors import Unavailable
from rekam.recorder import Recorder
from rekam.transfer.local import LocalFile

log = logging.getLogger("rekam")


class _RunClient(Client):
    """A Client of one run, whose files wait in the spool while there is no server."""

    def __init__(self, run: RunFiles) -> None:
        super().__init__(f"grpc://{run.target}", retry_timeout=0.0 if run.recorder.away else None)
        self._run = run

    def _send(self, run_id: str, files: Iterable[LocalFile]) -> None:
        files = list(files)
        recorder = self._run.recorder
        if not recorder.offline:
            try:
                super()._send(run_id, files)
                return
            except Unavailable as error:
                log.warning("%d files of run %s wait for a server: %s", len(files), run_id, error)
        recorder.keep(run_id, files)

    def set_tags(self, run_id: str, tags: Mapping[str, Any]) -> None:
        self._run.set_tags(tags)


class RunFiles(ABC):
    """The calls of Client that are about a run's files, for one run; what they do is said there."""

    @property
    @abstractmethod
    def run_id(self) -> str:
        """32 lower-case hex digits."""

    @property
    @abstractmethod
    def recorder(self) -> Recorder:
        """What brings its records to the server."""

    @abstractmethod
    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags."""

    @property
    def target(self) -> str:
        """host:port of its server."""
        return self.recorder.target

    @property
    def _client(self) -> Client:
        return _RunClient(self)

    def log_artifact(self, local_path: str | PathLike[str], artifact_path: str | None = None) -> None:
        """Put a file or a directory into a folder of the artifacts; returns when it is durable.

        Offline, and while the server is away, a copy waits in the spool and is delivered later.
        """
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
