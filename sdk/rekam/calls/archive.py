"""Operators' call: what of the log is archived."""

from __future__ import annotations

from rekam import settings
from rekam.calls.session import Session
from rekam_proto.log.v1 import archive_pb2


class Archive(Session):
    """Asks a server's archive."""

    def __init__(self, tracking_uri: str) -> None:
        super().__init__(tracking_uri, "strong", settings.current().connect_timeout)

    def streams(self) -> archive_pb2.ListStreamsResponse:
        """Every stream, and whether archiving goes on."""
        answer: archive_pb2.ListStreamsResponse = self._call(
            self._server.archive.ListStreams, archive_pb2.ListStreamsRequest()
        )
        return answer
