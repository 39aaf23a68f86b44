"""Calls about text streams: console output, diffs."""

from __future__ import annotations

from collections.abc import Generator

from rekam import conversion
from rekam.calls.session import Bounds, Session, set_range
from rekam.entities import Line, TextSummary
from rekam_proto.tracking.v1 import text_pb2


class Texts(Session):
    """Text streams of runs, by run id and name."""

    def list_texts(self, run_id: str) -> list[TextSummary]:
        """Text streams of a run, an entry for each writer, sorted by stream, rank and writer."""
        request = text_pb2.ListTextsRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.texts.ListTexts, request)
        return [conversion.text_from(text) for text in answer.texts]

    def get_text(
        self,
        run_id: str,
        stream: str = "stdout",
        *,
        writer: str | None = None,
        rank: int | None = None,
        times_us: Bounds | None = None,
        tail: int = 0,
    ) -> list[Line]:
        """All lines of a stream; see stream_text."""
        found = self.stream_text(run_id, stream, writer=writer, rank=rank, times_us=times_us, tail=tail)
        return list(found)

    def stream_text(
        self,
        run_id: str,
        stream: str = "stdout",
        *,
        writer: str | None = None,
        rank: int | None = None,
        times_us: Bounds | None = None,
        tail: int = 0,
        follow: bool = False,
    ) -> Generator[Line, None, None]:
        """Lines of a stream as they reached the server, in constant memory; none for an unknown stream.

        writer, rank: only lines of this writer, or of writers with this rank.
        times_us: (from, to), both inclusive, None is open; microseconds since the epoch.
        tail: only the last so many, at most 100,000; 0: all.
        follow: go on with lines as they come; close the iterator to end that.
        """
        request = text_pb2.StreamTextRequest(
            run_id=run_id,
            stream=stream,
            writer=writer or "",
            rank=rank,
            tail=tail,
            follow=follow,
            consistency=self._consistency,
        )
        set_range(request.times_us, times_us)
        if self._strong:
            self._settle()
        for block in self._server.stream(self._server.texts.StreamText, request, self._retry_timeout):
            yield from conversion.lines_from(block)
