"""LogService: proto in, proto out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import grpc.aio

from rekam_proto.log.v1 import log_pb2, log_pb2_grpc
from rekam_runtime.errors import Invalid, RekamError
from rekam_runtime.operating.quarantine import Place, Quarantined, as_json
from rekam_runtime.postgres import Pool, Row, acquire
from rekam_runtime.rebuild import requests
from rekam_runtime.rebuild.requests import Standing

SERVICE = log_pb2.DESCRIPTOR.services_by_name["LogService"].full_name
_DEFAULT_PAGE = 100
_MAX_PAGE = 1_000
_WATCH_EVERY_S = 0.25
_MAX_REASON_CHARS = 2_000

Context = grpc.aio.ServicerContext[Any, Any]


class LogServicer(log_pb2_grpc.LogServiceServicer):
    """Answers for one service."""

    def __init__(self, service: str, pool: Pool, quarantined: Quarantined) -> None:
        self._service = service
        self._pool = pool
        self._quarantined = quarantined

    async def ListQuarantine(
        self, request: log_pb2.ListQuarantineRequest, context: Context
    ) -> log_pb2.ListQuarantineResponse:
        self._check(request.service)
        size = request.page_size or _DEFAULT_PAGE
        if not 1 <= size <= _MAX_PAGE:
            raise Invalid(f"a page has 1 to {_MAX_PAGE} records, got {size}", field="page_size")
        rows = await self._quarantined.list(
            request.stream, _place_of(request.page_token), size + 1, dropped=request.include_dropped
        )
        response = log_pb2.ListQuarantineResponse(records=[_record(row) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            response.next_page_token = f"{last['stream']}:{last['position']}"
        return response

    async def ShowQuarantined(
        self, request: log_pb2.ShowQuarantinedRequest, context: Context
    ) -> log_pb2.ShowQuarantinedResponse:
        self._check(request.service)
        row = await self._quarantined.show((request.place.stream, _position(request.place)))
        data = row["data"]
        return log_pb2.ShowQuarantinedResponse(record=_record(row), data=data, json=as_json(data))

    async def RetryQuarantined(
        self, request: log_pb2.RetryQuarantinedRequest, context: Context
    ) -> log_pb2.RetryQuarantinedResponse:
        self._check(request.service)
        outcomes = await _each(request.places, self._quarantined.retry)
        return log_pb2.RetryQuarantinedResponse(outcomes=outcomes)

    async def DropQuarantined(
        self, request: log_pb2.DropQuarantinedRequest, context: Context
    ) -> log_pb2.DropQuarantinedResponse:
        self._check(request.service)
        if not 1 <= len(request.reason) <= _MAX_REASON_CHARS:
            raise Invalid(f"a reason has 1 to {_MAX_REASON_CHARS} characters", field="reason")

        async def drop(place: Place) -> None:
            await self._quarantined.drop(place, request.actor, request.reason)

        return log_pb2.DropQuarantinedResponse(outcomes=await _each(request.places, drop))

    async def StartRebuild(self, request: log_pb2.StartRebuildRequest, context: Context) -> log_pb2.Rebuild:
        self._check(request.service)
        async with acquire(self._pool) as connection:
            id = await requests.start(
                connection, request.actor, accept_differences=request.accept_differences
            )
        return await self._standing(id)

    async def GetRebuild(self, request: log_pb2.GetRebuildRequest, context: Context) -> log_pb2.Rebuild:
        self._check(request.service)
        return await self._standing(request.id)

    async def WatchRebuild(
        self, request: log_pb2.WatchRebuildRequest, context: Context
    ) -> AsyncIterator[log_pb2.Rebuild]:
        self._check(request.service)
        shown = log_pb2.Rebuild()
        while not shown.ended_us:
            now = await self._standing(shown.id or request.id)
            if now != shown:
                yield now
            else:
                await asyncio.sleep(_WATCH_EVERY_S)
            shown = now

    async def PauseRebuild(self, request: log_pb2.PauseRebuildRequest, context: Context) -> log_pb2.Rebuild:
        self._check(request.service)
        async with acquire(self._pool) as connection:
            id = await requests.pause(connection, True)
        return await self._standing(id)

    async def ResumeRebuild(self, request: log_pb2.ResumeRebuildRequest, context: Context) -> log_pb2.Rebuild:
        self._check(request.service)
        async with acquire(self._pool) as connection:
            id = await requests.pause(connection, False)
        return await self._standing(id)

    async def CancelRebuild(self, request: log_pb2.CancelRebuildRequest, context: Context) -> log_pb2.Rebuild:
        self._check(request.service)
        async with acquire(self._pool) as connection:
            id = await requests.cancel(connection)
        return await self._standing(id)

    def _check(self, service: str) -> None:
        if service != self._service:
            raise Invalid(f"this is {self._service}, got {service!r}", field="service")

    async def _standing(self, id: int) -> log_pb2.Rebuild:
        async with acquire(self._pool) as connection:
            return _rebuild(self._service, await requests.find(connection, id))


async def _each(
    places: Sequence[log_pb2.Place], do: Callable[[Place], Awaitable[None]]
) -> list[log_pb2.Outcome]:
    """One after the other; what speaks against one is its outcome."""
    if not 1 <= len(places) <= _MAX_PAGE:
        raise Invalid(f"1 to {_MAX_PAGE} places, got {len(places)}", field="places")
    outcomes: list[log_pb2.Outcome] = []
    for place in places:
        outcome = log_pb2.Outcome(place=place)
        try:
            await do((place.stream, _position(place)))
            outcome.done = True
        except RekamError as error:
            outcome.reason = error.message
        outcomes.append(outcome)
    return outcomes


def _position(place: log_pb2.Place) -> int:
    return min(place.position, 2**63 - 1)


def _place_of(token: str) -> Place:
    if not token:
        return "", 0
    stream, _, position = token.rpartition(":")
    if not position.isdecimal() or len(position) > 18:
        raise Invalid("is not one that a page came with", field="page_token")
    return stream, int(position)


def _record(row: Row) -> log_pb2.QuarantinedRecord:
    record = log_pb2.QuarantinedRecord(
        stream=row["stream"],
        position=row["position"],
        subject=row["subject"],
        reason=row["reason"],
        time_us=_micros(row["at"]),
        bytes=row["bytes"],
    )
    if row["dropped_at"] is not None:
        record.dropped.actor = row["dropped_by"]
        record.dropped.reason = row["dropped_because"]
        record.dropped.time_us = _micros(row["dropped_at"])
    return record


def _rebuild(service: str, standing: Standing) -> log_pb2.Rebuild:
    row, streams = standing.row, standing.streams
    rebuild = log_pb2.Rebuild(
        service=service,
        id=row["rebuild_id"],
        state=f"REBUILD_STATE_{row['state'].upper()}",
        paused=row["paused"],
        generation=row["generation"],
        active_generation=row["active"],
        actor=row["actor"],
        requested_us=_micros(row["requested_at"]),
        ended_us=_micros(row["ended_at"]),
        streams=[log_pb2.StreamProgress(**dict(stream)) for stream in streams],
        records=sum(stream["records"] for stream in streams),
        points=sum(stream["points"] for stream in streams),
        bytes=sum(stream["bytes"] for stream in streams),
        projecting_s=row["projecting_s"],
        comparing_s=row["comparing_s"],
        records_per_s=row["records_per_s"],
        points_per_s=row["points_per_s"],
        bytes_per_s=row["bytes_per_s"],
        left_s=row["left_s"],
        message=row["message"],
        differing=row["differing"],
        accept_differences=row["accept_differences"],
    )
    for table, owner, now, new in standing.differences:
        rebuild.differences.add(table=table, owner=owner, active_rows=now, rebuilt_rows=new)
    return rebuild


def _micros(time: datetime | None) -> int:
    return 0 if time is None else round(time.timestamp() * 1_000_000)
