"""Files of the active run, and reading those of any."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekam import active
from rekam.client import Client
from rekam.entities import FileInfo
from rekam.errors import Invalid
from rekam.fluent.destination import place
from rekam.fluent.runs import start_run
from rekam.formats.images import Image
from rekam.formats.packages import require
from rekam_proto.tracking.v1 import run_pb2

if TYPE_CHECKING:
    import pandas
    import PIL.Image

    from rekam.run import ActiveRun


def log_artifact(
    local_path: str | PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Put a file, or a directory with all that is in it, into the folder `artifact_path` of the artifacts.

    Of the active run, which is started when there is none, or of another one. Returns when it is on the
    server's disk. Bytes that are stored already are not sent. Raises OSError for what cannot be read,
    ArtifactError for a file that changes meanwhile.
    """
    if run_id is None:
        _run().log_artifact(local_path, artifact_path)
    else:
        Client().log_artifact(run_id, local_path, artifact_path)


def log_artifacts(
    local_dir: str | PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Put all that is in a directory into a folder of the artifacts; see log_artifact."""
    if run_id is None:
        _run().log_artifacts(local_dir, artifact_path)
    else:
        Client().log_artifacts(run_id, local_dir, artifact_path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Put text into a file of the artifacts: "notes/first.txt"."""
    if run_id is None:
        _run().log_text(text, artifact_file)
    else:
        Client().log_text(run_id, text, artifact_file)


def log_dict(
    dictionary: Mapping[str, Any] | Sequence[Any], artifact_file: str, run_id: str | None = None
) -> None:
    """Put a dictionary: as YAML when the file ends with .yml or .yaml (needs pyyaml), else as JSON."""
    if run_id is None:
        _run().log_dict(dictionary, artifact_file)
    else:
        Client().log_dict(run_id, dictionary, artifact_file)


def log_figure(
    figure: Any,
    artifact_file: str,
    *,
    save_kwargs: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> None:
    """Put a figure of matplotlib or plotly, in the format that the file ends with.

    save_kwargs: for the figure's own method (savefig, write_html, write_image).
    """
    if run_id is None:
        _run().log_figure(figure, artifact_file, save_kwargs=save_kwargs)
    else:
        Client().log_figure(run_id, figure, artifact_file, save_kwargs=save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
) -> None:
    """Put an image (numpy, Pillow, rekam.Image), as a file or as one of a series; see Client.log_image.

    synchronous: it always is.
    """
    if run_id is None:
        _run().log_image(image, artifact_file, key, step, timestamp)
    else:
        Client().log_image(run_id, image, artifact_file, key, step, timestamp)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Put a table (a pandas.DataFrame, or a dictionary of columns), or append to one that is there."""
    if run_id is None:
        _run().log_table(data, artifact_file)
    else:
        Client().log_table(run_id, data, artifact_file)


def load_table(
    artifact_file: str, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> pandas.DataFrame:
    """A table of the runs with these ids, or of all of the active experiment's; see Client.load_table."""
    client = Client()
    request = run_pb2.CreateRunRequest()
    place(request, None)
    experiment_id = request.experiment_id or client.ensure_experiment(request.experiment_name).experiment_id
    return client.load_table(experiment_id, artifact_file, run_ids, extra_columns)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """The URI of the active run's artifacts, or of one of them."""
    run = _run()
    return Client(f"grpc://{run.target}").artifact_uri(run.run_id, artifact_path)


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | PathLike[str] | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Fetch a file or folder, by URI or by run and path; answers with its place, DST_PATH/NAME.

    artifact_uri: runs:/RUN/PATH, models:/m-ID/PATH or mlflow-artifacts:/PATH. dst_path: a directory, made
    when it is not there; a fresh one if None. What is there already is not fetched; what was cut off goes
    on. What comes is checked against its digest. NotFound when there is nothing.
    """
    return Client(tracking_uri).download_uri(_uri(artifact_uri, run_id, artifact_path), dst_path)


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """What lies in a folder, by URI or by run and path; nothing when it is a file, or not there."""
    if artifact_uri is None and run_id is not None:
        return Client(tracking_uri).list_artifacts(run_id, artifact_path)
    return Client(tracking_uri).list_uri(_uri(artifact_uri, run_id, artifact_path))


def delete_artifacts(run_id: str, artifact_path: str | None = None) -> None:
    """Delete a file, a folder with all that is in it, or all of a run's artifacts."""
    Client().delete_artifacts(run_id, artifact_path)


def load_text(artifact_uri: str) -> str:
    """The text of a file."""
    return _read(artifact_uri).decode()


def load_dict(artifact_uri: str) -> Any:
    """What a JSON file has."""
    try:
        return json.loads(_read(artifact_uri))
    except ValueError as error:
        raise Invalid(f"{artifact_uri} is not JSON: {error}", field="artifact_uri") from error


def load_image(artifact_uri: str) -> PIL.Image.Image:
    """The image of a file."""
    require("PIL.Image", "pillow", "load_image")
    with tempfile.TemporaryDirectory(prefix="rekam-") as folder:
        image = Image(download_artifacts(artifact_uri, dst_path=folder)).to_pil()
        image.load()
        return image


def _read(artifact_uri: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="rekam-") as folder:
        return Path(download_artifacts(artifact_uri, dst_path=folder)).read_bytes()


def _uri(artifact_uri: str | None, run_id: str | None, artifact_path: str | None) -> str:
    if (artifact_uri is None) == (run_id is None):
        raise Invalid("give exactly one of artifact_uri and run_id", field="artifact_uri")
    if artifact_uri is not None:
        if artifact_path is not None:
            raise Invalid("goes with run_id, not with artifact_uri", field="artifact_path")
        return artifact_uri
    return f"runs:/{run_id}/{artifact_path or ''}"


def _run() -> ActiveRun:
    """The active run; one is started when there is none."""
    return active.current() or start_run()
