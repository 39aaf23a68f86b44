"""Operators' calls: what projections set aside, and rebuilding them from the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rekam import settings
from rekam.calls.session import Session
from rekam.server import user_name
from rekam_proto.log.v1 import log_pb2

_PAGE = 1_000


class Log(Session):
    """Asks one service of a server, "tracking" for example, about its part of the log."""

    def __init__(self, tracking_uri: str, service: str) -> None:
        super().__init__(tracking_uri, "strong", settings.current().connect_timeout)
        self.service = service

    def quarantined(
        self, stream: str = "", *, include_dropped: bool = False
    ) -> Iterator[log_pb2.QuarantinedRecord]:
        """Records that were set aside, of one stream or all, by position."""
        token = ""
        while True:
            page = self._call(
                self._server.log.ListQuarantine,
                log_pb2.ListQuarantineRequest(
                    service=self.service,
                    stream=stream,
                    include_dropped=include_dropped,
                    page_size=_PAGE,
                    page_token=token,
                ),
            )
            yield from page.records
            token = page.next_page_token
            if not token:
                return

    def show(self, stream: str, position: int) -> log_pb2.ShowQuarantinedResponse:
        """One of them, with its bytes."""
        place = log_pb2.Place(stream=stream, position=position)
        request = log_pb2.ShowQuarantinedRequest(service=self.service, place=place)
        answer: log_pb2.ShowQuarantinedResponse = self._call(self._server.log.ShowQuarantined, request)
        return answer

    def retry(self, places: Sequence[tuple[str, int]]) -> Iterator[log_pb2.Outcome]:
        """Apply them now; says for each what became of it."""
        for some in _pages(places):
            request = log_pb2.RetryQuarantinedRequest(service=self.service, places=some)
            yield from self._call(self._server.log.RetryQuarantined, request).outcomes

    def drop(self, places: Sequence[tuple[str, int]], reason: str) -> Iterator[log_pb2.Outcome]:
        """Decide that they are never applied."""
        for some in _pages(places):
            request = log_pb2.DropQuarantinedRequest(
                service=self.service, places=some, actor=user_name(), reason=reason
            )
            yield from self._call(self._server.log.DropQuarantined, request).outcomes

    def start_rebuild(self, *, accept_differences: bool = False) -> log_pb2.Rebuild:
        request = log_pb2.StartRebuildRequest(
            service=self.service, actor=user_name(), accept_differences=accept_differences
        )
        return self._rebuild(self._server.log.StartRebuild, request)

    def rebuild(self, id: int = 0) -> log_pb2.Rebuild:
        """How a rebuild stands, the last one by default."""
        request = log_pb2.GetRebuildRequest(service=self.service, id=id)
        return self._rebuild(self._server.log.GetRebuild, request)

    def watch_rebuild(self, id: int = 0) -> Iterator[log_pb2.Rebuild]:
        """How it stands, whenever that changes, until it has ended."""
        request = log_pb2.WatchRebuildRequest(service=self.service, id=id)
        yield from self._server.stream(self._server.log.WatchRebuild, request, self._retry_timeout)

    def pause_rebuild(self) -> log_pb2.Rebuild:
        return self._rebuild(self._server.log.PauseRebuild, log_pb2.PauseRebuildRequest(service=self.service))

    def resume_rebuild(self) -> log_pb2.Rebuild:
        return self._rebuild(
            self._server.log.ResumeRebuild, log_pb2.ResumeRebuildRequest(service=self.service)
        )

    def cancel_rebuild(self) -> log_pb2.Rebuild:
        return self._rebuild(
            self._server.log.CancelRebuild, log_pb2.CancelRebuildRequest(service=self.service)
        )

    def _rebuild(self, method: object, request: object) -> log_pb2.Rebuild:
        answer: log_pb2.Rebuild = self._call(method, request)
        return answer


def _pages(places: Sequence[tuple[str, int]]) -> Iterator[list[log_pb2.Place]]:
    for first in range(0, len(places), _PAGE):
        yield [
            log_pb2.Place(stream=stream, position=position)
            for stream, position in places[first : first + _PAGE]
        ]
