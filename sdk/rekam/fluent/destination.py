"""Where runs go: the server and the experiment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from rekam import settings
from rekam.address import target_of
from rekam.client import Client
from rekam.entities import Experiment
from rekam.errors import FailedPrecondition, Invalid, Unavailable
from rekam.offline import is_offline
from rekam_proto.tracking.v1 import run_pb2

log = logging.getLogger("rekam")

_uri: str | None = None
_experiment: Experiment | None = None


def set_tracking_uri(uri: str) -> None:
    """Log to the server at `uri` (grpc://host:port) from now on. Runs that are active stay where they are."""
    global _uri, _experiment
    target_of(uri)
    if uri != _uri:
        _experiment = None
    _uri = uri


def get_tracking_uri() -> str:
    """The tracking URI: as set, else REKAM_TRACKING_URI, else grpc://127.0.0.1:50051."""
    return _uri if _uri is not None else settings.current().tracking_uri


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Make an experiment the one that runs start in; created by name when there is none.

    With no server reachable, or offline, the name is remembered, and the experiment made when the
    run is delivered; the answer's experiment_id is empty then. FailedPrecondition when it is deleted.
    """
    global _experiment
    if (experiment_name is None) == (experiment_id is None):
        raise Invalid("give exactly one of experiment_name and experiment_id", field="experiment_name")
    client = Client(retry_timeout=settings.current().connect_timeout)
    try:
        if experiment_name is not None:
            _experiment = client.ensure_experiment(experiment_name)
        else:
            assert experiment_id is not None
            _experiment = client.get_experiment(experiment_id)
    except Unavailable as error:
        if not is_offline():
            log.warning("going on without a server: %s", error)
        _experiment = Experiment(experiment_id or "", experiment_name or "")
    if _experiment.lifecycle_stage == "deleted":
        found, _experiment = _experiment, None
        raise FailedPrecondition(
            f"Cannot set a deleted experiment {found.name!r} as the active experiment: restore it first.",
            field="experiment_id",
        )
    return _experiment


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Create an experiment; returns its id. AlreadyExists when the name is taken, also by a deleted one."""
    return Client().create_experiment(name, artifact_location, tags)


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the active experiment (text of up to 5,000 characters), now."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active experiment, now."""
    client = Client()
    request = run_pb2.CreateRunRequest()
    place(request, None)
    experiment_id = request.experiment_id or client.ensure_experiment(request.experiment_name).experiment_id
    for key, value in tags.items():
        client.set_experiment_tag(experiment_id, key, value)


def place(request: run_pb2.CreateRunRequest, experiment_id: str | None) -> None:
    """The experiment of a new run: as asked, as set, as the environment says, or Default."""
    options = settings.current()
    chosen = _experiment
    if experiment_id is not None:
        request.experiment_id = str(experiment_id)
    elif chosen is not None and chosen.experiment_id:
        request.experiment_id = chosen.experiment_id
    elif chosen is not None:
        request.experiment_name = chosen.name
    elif options.experiment_id:
        request.experiment_id = options.experiment_id
    elif options.experiment_name:
        request.experiment_name = options.experiment_name
    else:
        request.experiment_id = "0"
