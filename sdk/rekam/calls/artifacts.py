"""Calls about files that runs and models keep."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path

from rekam import active, conversion, settings
from rekam.calls.logged_models import LoggedModels
from rekam.calls.model_versions import ModelVersions
from rekam.calls.runs import Runs
from rekam.entities import FileInfo, LineageEdge
from rekam.errors import FailedPrecondition, Invalid, NotFound, RekamError, Unsupported
from rekam.server import user_name
from rekam.transfer import local, paths
from rekam.transfer.folders import folder_of
from rekam.transfer.local import LocalFile
from rekam.transfer.progress import Progress
from rekam_proto.artifacts.v1 import artifact_pb2

log = logging.getLogger("rekam")

_PAGE = 1_000


class Artifacts(Runs, LoggedModels, ModelVersions):
    """Files, by the run that keeps them or by their URI.

    A URI is runs:/RUN/PATH, models:/m-ID/PATH or mlflow-artifacts:/PATH; to read, also that of a
    registered model's version: models:/NAME/VERSION/PATH, models:/NAME/STAGE/PATH, models:/NAME@ALIAS/PATH.
    What a run logged as a model is found among its files, by the model's name.
    """

    def log_artifact(
        self, run_id: str, local_path: str | PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Put a file, or a directory with all that is in it, into a folder of a run's artifacts.

        Returns when it is on the server's disk. Bytes that are stored already are not sent, and a large
        file goes on where an earlier program was cut off. Raises OSError for what cannot be read, and
        ArtifactError for a file that changes meanwhile.
        """
        to = _cleaned(artifact_path)
        if Path(local_path).is_dir():
            name = paths.clean(local.name_of(local_path), "local_path")
            self._send(run_id, local.find_all(local_path, paths.join(to, name)))
        else:
            self._send(run_id, [local.find(local_path, to)])

    def log_artifacts(
        self, run_id: str, local_dir: str | PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Put all that is in a directory into a folder of a run's artifacts; see log_artifact.

        Links are followed. Folders without files are not kept.
        """
        self._send(run_id, local.find_all(local_dir, _cleaned(artifact_path)))

    def list_artifacts(
        self, run_id: str, path: str | None = None, *, recursive: bool = False
    ) -> list[FileInfo]:
        """What lies in a folder of a run's artifacts, by name; nothing when it is a file, or not there.

        recursive: every file below, at any depth, and no folders.
        """
        return self._list(paths.Owned("runs", run_id, _cleaned(path)), "", recursive)

    def download_artifacts(self, run_id: str, path: str, dst_path: str | PathLike[str] | None = None) -> str:
        """Fetch a file or folder of a run's artifacts, "" for all; answers with its place, DST_PATH/PATH.

        dst_path: a directory, made when it is not there; a fresh one if None. A file that is there with the
        same bytes is not fetched; one whose fetching was cut off goes on. What comes is checked against
        its digest. NotFound when there is nothing. The run that is active has used the files (lineage).
        """
        path = _cleaned(path)
        return self._download(paths.Owned("runs", run_id, path), dst_path, path)

    def delete_artifacts(self, run_id: str, path: str | None = None) -> None:
        """Delete a file, a folder and all in it, or all of a run's artifacts. A missing one is fine."""
        self._delete(paths.join(self._folder_of(run_id), _cleaned(path)))

    def list_uri(self, artifact_uri: str, *, recursive: bool = False) -> list[FileInfo]:
        """list_artifacts, by URI. Paths begin with the last part of the URI's."""
        named = paths.named(artifact_uri)
        return self._list(named, paths.path_of(named).rpartition("/")[0], recursive)

    def download_uri(self, artifact_uri: str, dst_path: str | PathLike[str] | None = None) -> str:
        """download_artifacts, by URI; answers with DST_PATH/NAME, the last part of the URI's path."""
        named = paths.named(artifact_uri)
        return self._download(named, dst_path, paths.path_of(named).rpartition("/")[2])

    def upload_uri(self, local_path: str | PathLike[str], artifact_uri: str) -> None:
        """Put a file, or all that is in a directory, into the folder that a URI names; see log_artifact."""
        folder = self._resolved(_changeable(artifact_uri))
        single = not Path(local_path).is_dir()
        self._put(folder, [local.find(local_path)] if single else local.find_all(local_path))

    def delete_uri(self, artifact_uri: str) -> None:
        """delete_artifacts, by URI."""
        self._delete(self._resolved(_changeable(artifact_uri)))

    def get_lineage(
        self,
        *,
        run_id: str | None = None,
        artifact_uri: str | None = None,
        digest: str | None = None,
        model_id: str | None = None,
    ) -> Iterator[LineageEdge]:
        """What a run produced and used, what a model has, or where bytes are: those of a file or a digest."""
        request = artifact_pb2.GetLineageRequest(page_size=_PAGE, consistency=self._consistency)
        given = {"run_id": run_id, "digest": digest, "model_id": model_id}
        if artifact_uri is not None:
            given["path"] = self._resolved(self._located(paths.named(artifact_uri)))
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) != 1:
            raise Invalid("give exactly one of run_id, artifact_uri, digest and model_id", field="run_id")
        for name, value in chosen.items():
            setattr(request, name, value)
        while True:
            answer = self._query(self._server.artifacts.GetLineage, request, files=True)
            yield from map(conversion.edge_from, answer.edges)
            request.page_token = answer.next_page_token
            if not request.page_token:
                return

    def collect_artifacts(self, *, dry_run: bool = False) -> artifact_pb2.CollectResponse:
        """For operators: remove bytes that no file names, once the server's grace period is over."""
        request = artifact_pb2.CollectRequest(dry_run=dry_run, actor=user_name())
        answer: artifact_pb2.CollectResponse = self._call(self._server.collection.Collect, request)
        return answer

    def artifact_uri(self, run_id: str, path: str | None = None) -> str:
        """URI of a run's artifacts, or of one of them: mlflow-artifacts:/..."""
        return f"{paths.SCHEME}:/{paths.join(self._folder_of(run_id), _cleaned(path))}"

    # ---- where things are ----

    def _folder_of(self, run_id: str) -> str:
        """The folder of a run's artifacts, in the store."""
        # This process may have created it itself.
        self._settle()
        return folder_of(self._server, run_id, self._retry_timeout)

    def _located(self, named: paths.Named) -> paths.Owned | str:
        """Where a registered model's version has its files; anything else is where it is."""
        if not isinstance(named, paths.Registered):
            return named
        location = self.resolve_model(named.uri).location
        place = paths.below(paths.named(location, f"location of {named.uri}"), named.path)
        if isinstance(place, paths.Registered):
            raise Unsupported(f"{named.uri} is where {location} is: it leads nowhere", field="artifact_uri")
        return place

    def _resolved(self, named: paths.Owned | str) -> str:
        """Path in the store."""
        if isinstance(named, str):
            return named
        if named.kind == "runs":
            return paths.join(self._folder_of(named.owner), named.path)
        model = self.get_logged_model(named.owner)
        folder = paths.of_store(model.artifact_location, f"artifact_location of model {named.owner}")
        return paths.join(folder, named.path)

    def _in_model(self, named: paths.Owned | str) -> paths.Owned | None:
        """Where a run has as a logged model what is named: its path begins with the model's name."""
        if isinstance(named, str) or named.kind != "runs" or not named.path:
            return None
        name, _, rest = named.path.partition("/")
        experiment_id, _, _ = self.run_state(named.owner)
        # Filters have both, and no escapes.
        quote = '"' if "'" in name else "'"
        models = self.search_logged_models(
            [experiment_id],
            f"name = {quote}{name}{quote} AND source_run_id = '{named.owner}'",
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            max_results=1,
        )
        return paths.Owned("models", models[0].model_id, rest) if models else None

    # ---- reading ----

    def _entries(self, path: str, *, recursive: bool = False) -> Iterator[artifact_pb2.Entry]:
        request = artifact_pb2.ListFilesRequest(
            path=path, recursive=recursive, page_size=_PAGE, consistency=self._consistency
        )
        while True:
            answer = self._query(self._server.artifacts.ListFiles, request, files=True)
            yield from answer.entries
            request.page_token = answer.next_page_token
            if not request.page_token:
                return

    def _list(self, named: paths.Named, base: str, recursive: bool) -> list[FileInfo]:
        """Entries with the paths they have behind `base`, a part of the path that is named."""
        shown = paths.path_of(named).removeprefix(base).lstrip("/")
        located = self._located(named)
        place = self._resolved(located)
        found = list(self._entries(place, recursive=recursive))
        if not found and (model := self._in_model(located)) is not None:
            place = self._resolved(model)
            found = list(self._entries(place, recursive=recursive))
        return [conversion.file_info_from(entry, place, shown) for entry in found]

    def _file_at(self, path: str) -> artifact_pb2.File | None:
        """The file; None when it is a folder, or nothing."""
        try:
            request = artifact_pb2.GetFileRequest(path=path, consistency=self._consistency)
            found: artifact_pb2.File = self._query(self._server.artifacts.GetFile, request, files=True)
            return found
        except (NotFound, FailedPrecondition):
            return None

    def _download(self, named: paths.Named, dst_path: str | PathLike[str] | None, into: str) -> str:
        """into: path of what is named, below dst_path."""
        directory = _directory(dst_path)
        target = directory / into if into else directory
        asked = paths.path_of(named)
        located = self._located(named)
        place = self._resolved(located)
        fetched = self._fetch(place, target)
        if fetched is None and (model := self._in_model(located)) is not None:
            fetched = self._fetch(self._resolved(model), target)
        if fetched is None and (asked or isinstance(named, paths.Registered)):
            raise NotFound(f"there is no artifact at {asked!r} ({place})", field="artifact_path")
        return str(fetched or target)

    def _fetch(self, place: str, target: Path) -> Path | None:
        """Fetch a file or a folder; answers with where it is, None when there was none."""
        # Most programs only write metrics: what moves files is imported when it is used.
        from rekam.transfer.download import Downloader, Wanted

        with Progress("downloading", shown=settings.current().progress) as progress:
            downloader = Downloader(self._server, settings.current(), self._retry_timeout, progress)
            file = self._file_at(place) if place else None
            if file is not None:
                if target.is_dir():
                    target /= place.rpartition("/")[2]
                downloader.fetch([Wanted(file, target)])
                self._record_use([file.path])
                return target
            entries = self._entries(place, recursive=True)
            found = False
            while page := list(islice(entries, _PAGE)):
                found = True
                # What a server names never leads out of the directory.
                names = [paths.clean(_below(entry.file.path, place), "path") for entry in page]
                downloader.fetch(
                    [Wanted(entry.file, target / name) for entry, name in zip(page, names, strict=True)]
                )
                self._record_use([entry.file.path for entry in page])
            return target if found else None

    def _record_use(self, files: Sequence[str]) -> None:
        """The run that is active has used them, unless it keeps them itself."""
        run = active.current()
        if run is None or run.target != self._target:
            return
        own = f"{self._folder_of(run.run_id)}/"
        used = [path for path in files if not path.startswith(own)]
        if not used:
            return
        try:
            request = artifact_pb2.RecordUseRequest(run_id=run.run_id, paths=used, actor=user_name())
            self._call(self._server.artifacts.RecordUse, request)
        except RekamError as error:
            # The files are there; that is what was asked for.
            log.warning("run %s uses %d files, but the lineage lacks them: %s", run.run_id, len(used), error)

    # ---- writing ----

    def _delete(self, path: str) -> None:
        request = artifact_pb2.DeleteFilesRequest(path=path, recursive=True, actor=user_name())
        self._call(self._server.artifacts.DeleteFiles, request)

    def _send(self, run_id: str, files: Iterable[LocalFile]) -> None:
        self._put(self._folder_of(run_id), files)

    def _put(self, folder: str, files: Iterable[LocalFile]) -> None:
        from rekam.transfer.upload import Uploader

        options = settings.current()
        with Progress("uploading", shown=options.progress) as progress:
            Uploader(self._server, folder, options, self._retry_timeout, progress).send(files)


def _changeable(artifact_uri: str) -> paths.Owned | str:
    named = paths.named(artifact_uri)
    if isinstance(named, paths.Registered):
        raise Unsupported(
            f"{named.uri} is a registered version: its files stay as they are", field="artifact_uri"
        )
    return named


def _cleaned(path: str | None) -> str:
    return paths.clean(path) if path else ""


def _directory(dst_path: str | PathLike[str] | None) -> Path:
    if dst_path is None:
        return Path(tempfile.mkdtemp(prefix="rekam-"))
    directory = Path(dst_path).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _below(path: str, folder: str) -> str:
    return path.removeprefix(folder).lstrip("/")
