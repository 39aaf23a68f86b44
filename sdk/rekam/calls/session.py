"""What every call shares: the server, its consistency, and this process' own records first."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Literal

from rekam import settings
from rekam.address import target_of
from rekam.errors import DeliveryTimeout, Invalid, Unavailable
from rekam.offline import is_offline
from rekam.recorder import Recorder, recorder_for
from rekam.server import Server, server_for
from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import metric_pb2, read_pb2

Consistency = Literal["strong", "eventual"]
# (from, to), both inclusive; None is open.
Bounds = tuple[int | None, int | None]
MAX_PAGE = 50_000


class Session:
    """One server, and how fresh its answers must be."""

    def __init__(self, tracking_uri: str, consistency: Consistency, retry_timeout: float | None) -> None:
        if consistency not in ("strong", "eventual"):
            raise Invalid(f"must be 'strong' or 'eventual', got {consistency!r}", field="consistency")
        self.tracking_uri = tracking_uri
        self._target = target_of(tracking_uri)
        self._strong = consistency == "strong"
        self._retry_timeout = settings.current().retry_timeout if retry_timeout is None else retry_timeout

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything this process logged to this server is acknowledged; see rekam.flush."""
        self._recorder.flush(settings.current().flush_timeout if timeout is None else timeout)

    @property
    def _recorder(self) -> Recorder:
        return recorder_for(self._target, offline=is_offline())

    @property
    def _server(self) -> Server:
        if is_offline():
            raise Unavailable(
                f"offline (REKAM_OFFLINE or set_offline): {self._target} is not asked; what is logged is kept"
            )
        return server_for(self._target)

    @property
    def _consistency(self) -> read_pb2.Consistency:
        return read_pb2.CONSISTENCY_STRONG if self._strong else read_pb2.CONSISTENCY_EVENTUAL

    def _call(self, method: Any, request: Any) -> Any:
        return self._server.call(method, request, self._retry_timeout)

    def _query(self, method: Any, request: Any, *, files: bool = False) -> Any:
        if self._strong:
            self._settle(files=files)
        return self._call(method, request)

    def _settle(self, *, files: bool = False) -> None:
        """What this process logged before comes first: an answer without it would be wrong."""
        if not self._recorder.settle(self._retry_timeout, files=files):
            raise DeliveryTimeout(
                f"{self._target} has not acknowledged what this process logged, within "
                f"{self._retry_timeout:g} s: an answer would lack it (consistency='eventual' does not wait)"
            )


def new_origin() -> envelope_pb2.Origin:
    """Marks a request that would be refused the second time: sent again, it is known as the same."""
    return envelope_pb2.Origin(writer=f"call-{secrets.token_hex(12)}", sequence=1)


def set_range(target: metric_pb2.Range, bounds: Bounds | None) -> None:
    """Bounds as a message."""
    if bounds is None:
        return
    first, last = bounds
    if first is not None:
        setattr(target, "from", first)
    if last is not None:
        target.to = last


def tags_of(tags: Mapping[str, Any] | None) -> list[read_pb2.Tag]:
    """Tags as messages."""
    return [read_pb2.Tag(key=key, value=str(value)) for key, value in (tags or {}).items()]


def page_size(max_results: int) -> int:
    """A page's size, checked."""
    if not 1 <= max_results <= MAX_PAGE:
        raise Invalid(f"must be 1 to {MAX_PAGE}, got {max_results}", field="max_results")
    return max_results
