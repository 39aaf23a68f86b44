"""Where the files of a new version are, as far as tracking knows: sources of runs and of logged models."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import grpc.aio

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.objects import known_form
from rekam_proto.tracking.v1 import logged_model_pb2, run_pb2
from rekam_runtime.errors import Invalid, NotFound
from rekam_runtime.rpc.status import error_from_rpc

_LOGGED_MODEL = re.compile(r"models:/+(m-[0-9a-f]{32})")


@dataclass(frozen=True)
class Provenance:
    """What a version was made from.

    location: of its files; empty: what its source says.
    """

    run_id: str
    logged_model_id: str = ""
    location: str = ""


async def provenance_of(backend: Backend, source: str, run_id: str, model_id: str) -> Provenance:
    """run_id, model_id: as the request has them, or empty.

    Raises Invalid for a path of a disk that is not among the artifacts of the run or logged model;
    what else makes a source, the registry knows.
    """
    named = _LOGGED_MODEL.fullmatch(source)
    if named is not None:
        if model_id and model_id != named[1]:
            raise Invalid(
                f"Invalid model version source: '{source}'. The model_id request parameter must identify the "
                "resource that contains the source.",
                field="source",
            )
        model = await _named_model(backend, source, named[1])
        return Provenance(run_id or model.source_run_id, model.model_id, model.artifact_uri)
    root = ""
    local = _is_local(source)
    if model_id:
        model = await _logged_model(backend, model_id)
        run_id, root = run_id or model.source_run_id, model.artifact_uri
    elif local and run_id:
        run = await backend.runs.GetRun(run_pb2.GetRunRequest(run_id=known_form(run_id)))
        root = run.artifact_uri
    if local and not _holds(root, source):
        said = "model_id" if model_id else "run_id"
        raise Invalid(
            f"Invalid model version source: '{source}'. To use a local path as a model version source, the "
            f"{said} request parameter has to be specified and the local path has to be contained within "
            f"the artifact directory of the run specified by the {said}.",
            field="source",
        )
    return Provenance(run_id, model_id)


async def _named_model(backend: Backend, source: str, model_id: str) -> logged_model_pb2.LoggedModel:
    try:
        return await _logged_model(backend, model_id)
    except grpc.aio.AioRpcError as error:
        refused = error_from_rpc(error)
        if not isinstance(refused, NotFound):
            raise
        raise Invalid(
            f"Unable to fetch model from model URI source artifact location '{source}'.Error: "
            f"{refused.message}",
            field="source",
        ) from None


async def _logged_model(backend: Backend, model_id: str) -> logged_model_pb2.LoggedModel:
    request = logged_model_pb2.GetLoggedModelRequest(model_id=model_id)
    return await backend.logged_models.GetLoggedModel(request)


def _is_local(uri: str) -> bool:
    try:
        scheme = urlsplit(uri).scheme
    except ValueError:
        return False
    # One letter is a drive.
    return len(scheme) < 2 or scheme == "file"


def _holds(root: str, source: str) -> bool:
    """Whether the path lies in the folder, both of a disk."""
    if not _is_local(root):
        return False
    folder, path = _path_of(root), _path_of(source)
    return folder.is_absolute() and folder in (path, *path.parents)


def _path_of(uri: str) -> PurePosixPath:
    path = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
    return PurePosixPath(posixpath.normpath(path))
