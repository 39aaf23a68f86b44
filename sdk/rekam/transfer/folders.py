"""Where runs keep their artifacts. It never changes, so it is asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rekam.transfer.paths import of_store
from rekam_proto.tracking.v1 import run_pb2

if TYPE_CHECKING:
    from rekam.server import Server

# Of server and run; those that are remembered are few.
_MOST = 1_000
_folders: dict[tuple[str, str], str] = {}


def folder_of(server: Server, run_id: str, retry_timeout: float) -> str:
    """The folder of a run's artifacts, in the store. NotFound when the server does not know the run."""
    key = (server.target, run_id)
    if key not in _folders:
        request = run_pb2.GetRunStateRequest(run_id=run_id)
        state = server.call(server.runs.GetRunState, request, retry_timeout)
        if len(_folders) >= _MOST:
            _folders.clear()
        _folders[key] = of_store(state.artifact_uri, f"artifact_uri of run {run_id}")
    return _folders[key]
