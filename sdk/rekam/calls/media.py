"""Calls that make files of what programs have in memory: text, dictionaries, figures, images, tables."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekam.calls.artifacts import Artifacts
from rekam.entities import Run
from rekam.errors import Invalid, NotFound
from rekam.formats import dictionaries, figures, images, tables
from rekam.formats.packages import require
from rekam.transfer import local, paths

if TYPE_CHECKING:
    import pandas

# Threads that append to one table take turns; processes that do so at once may lose rows.
_appending = threading.Lock()


class Media(Artifacts):
    """Files, by what is in them. artifact_file: where, below the run's artifacts: "plots/roc.png"."""

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Put text, as UTF-8; see log_artifact."""
        self._log_bytes(run_id, text.encode(), artifact_file)

    def log_dict(
        self, run_id: str, dictionary: Mapping[str, Any] | Sequence[Any], artifact_file: str
    ) -> None:
        """Put a dictionary: as YAML when the file ends so (needs pyyaml), else as JSON."""
        self._log_bytes(run_id, dictionaries.encode(dictionary, artifact_file), artifact_file)

    def log_figure(
        self,
        run_id: str,
        figure: Any,
        artifact_file: str,
        *,
        save_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a figure of matplotlib or plotly, in the format that the file ends with.

        save_kwargs: for the figure's own method (savefig, write_html, write_image).
        """
        with self._folder(run_id) as folder:
            figures.save(figure, _place(folder, artifact_file), save_kwargs or {})

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Put an image (numpy, Pillow, rekam.Image), as a file or as one of a series.

        key: of a series, with its step and time (milliseconds since the epoch, now if None); its files lie in
        `images/`. numpy: H x W, or with 1, 3 or 4 channels; integers 0 to 255, floats 0 to 1, or bool.
        synchronous: it always is.
        """
        picture = images.pillow_image(image)
        if artifact_file is not None:
            if (key, step, timestamp) != (None, None, None):
                raise Invalid("give it alone, or key, step and timestamp", field="artifact_file")
            with self._folder(run_id) as folder:
                picture.save(_place(folder, artifact_file))
            return
        if key is None:
            raise Invalid("give artifact_file or key", field="artifact_file")
        full, small = images.names(key, step, timestamp)
        with self._folder(run_id) as folder:
            picture.save(_place(folder, full))
            images.small(picture).save(_place(folder, small))
        self.set_tag(run_id, images.LOGGED_TAG, True)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Put a table (a pandas.DataFrame, or a dictionary of columns), or append to one that is there.

        artifact_file ends with .json, or .parquet (needs pandas and pyarrow). Cells may be images.
        """
        tables.check_file(artifact_file)
        with _appending:
            with self._folder(run_id) as folder:

                def put_image(image: Any) -> dict[str, str]:
                    name = f"{tables.image_folder(artifact_file)}/{uuid.uuid4()}"
                    picture = images.pillow_image(image)
                    picture.save(_place(folder, f"{name}.png"))
                    images.small(picture).save(_place(folder, f"{name}.webp"))
                    return {"type": "image", "filepath": f"{name}.png", "compressed_filepath": f"{name}.webp"}

                table = tables.table_of(data, put_image)
                before = self._bytes_of(run_id, artifact_file)
                if before is not None:
                    table = tables.decode(before, artifact_file) + table
                _place(folder, artifact_file).write_bytes(tables.encode(table, artifact_file))
            tag = tables.listed(self.get_run(run_id).data.tags.get(tables.LOGGED_TAG), artifact_file)
            if tag is not None:
                self.set_tag(run_id, tables.LOGGED_TAG, tag)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pandas.DataFrame:
        """A table as a pandas.DataFrame: of these runs, or of all of the experiment, one below the other.

        extra_columns: what to add of the run of each row: "run_id", "params.lr", ...; see search_runs.
        """
        tables.check_file(artifact_file)
        pandas = require("pandas", "pandas", "load_table")
        frames = [
            _with_columns(tables.frame_of(data, artifact_file), run, extra_columns or ())
            for run in self._runs_with_table(experiment_id, artifact_file, run_ids)
            if (data := self._bytes_of(run.info.run_id, artifact_file)) is not None
        ]
        if not frames:
            raise NotFound(f"no run has a table {artifact_file!r}", field="artifact_file")
        return pandas.concat(frames, ignore_index=True)  # type: ignore[no-any-return]

    def _runs_with_table(
        self, experiment_id: str, artifact_file: str, run_ids: Sequence[str] | None
    ) -> Iterator[Run]:
        condition = f'tags.`{tables.LOGGED_TAG}` LIKE \'%"path"%:%"{artifact_file}"%\''
        if run_ids:
            condition += f" AND attributes.run_id IN ({','.join(map(repr, run_ids))})"
        token: str | None = None
        while True:
            page = self.search_runs([experiment_id], condition, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _log_bytes(self, run_id: str, data: bytes, artifact_file: str) -> None:
        with self._folder(run_id) as folder:
            _place(folder, artifact_file).write_bytes(data)

    @contextmanager
    def _folder(self, run_id: str) -> Iterator[Path]:
        """A folder of files; all that is in it in the end becomes the run's."""
        with tempfile.TemporaryDirectory(prefix="rekam-") as folder:
            yield Path(folder)
            self._send(run_id, local.find_all(folder))

    def _bytes_of(self, run_id: str, artifact_file: str) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="rekam-") as folder:
            try:
                return Path(self.download_artifacts(run_id, artifact_file, folder)).read_bytes()
            except NotFound:
                return None


def _place(folder: Path, artifact_file: str) -> Path:
    """Where in the folder a file of this name goes."""
    place = folder.joinpath(*paths.split_file(artifact_file))
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _with_columns(frame: pandas.DataFrame, run: Run, columns: Sequence[str]) -> pandas.DataFrame:
    from rekam.tables import runs_frame

    about = runs_frame([run])
    for column in columns:
        if column not in about:
            raise Invalid(
                f"a run has no {column!r}; it has {', '.join(map(str, about))}", field="extra_columns"
            )
        frame[f"{column}_" if column in frame else column] = about[column].iloc[0]
    return frame
