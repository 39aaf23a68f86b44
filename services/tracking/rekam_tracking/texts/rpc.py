"""TextService: proto in, proto out. Lines leave as views: nothing is decoded that was not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from rekam_proto.tracking.v1 import read_pb2, text_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid
from rekam_tracking import ranges, rules, tokens
from rekam_tracking.ranks import rank_of
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context
from rekam_tracking.texts import query
from rekam_tracking.texts.query import BEGINNING, Asked, Place

SERVICE = text_pb2.DESCRIPTOR.services_by_name["TextService"].full_name
MAX_PAGE = 100_000
DEFAULT_PAGE = 10_000
# How often a caller that follows is looked after.
FOLLOW_S = 0.5


class TextServicer:
    """Answers from the projection, once it has what was acknowledged."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def handler(self) -> grpc.GenericRpcHandler:
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ListTexts": grpc.unary_unary_rpc_method_handler(
                self.list_texts,
                text_pb2.ListTextsRequest.FromString,
                text_pb2.ListTextsResponse.SerializeToString,
            ),
            "GetText": grpc.unary_unary_rpc_method_handler(
                self.get_text,
                text_pb2.GetTextRequest.FromString,
                text_pb2.GetTextResponseView.SerializeToString,
            ),
            "StreamText": grpc.unary_stream_rpc_method_handler(
                self.stream_text,
                text_pb2.StreamTextRequest.FromString,
                text_pb2.TextBlockView.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def list_texts(
        self, request: text_pb2.ListTextsRequest, context: Context
    ) -> text_pb2.ListTextsResponse:
        async with self._reads.of_runs(
            [request.run_id], "run_id", request.consistency, context
        ) as connection:
            return await query.list_texts(connection, request.run_id)

    async def get_text(
        self, request: text_pb2.GetTextRequest, context: Context
    ) -> text_pb2.GetTextResponseView:
        if not 0 <= request.page_size <= MAX_PAGE:
            raise Invalid(f"a page has 1 to {MAX_PAGE} lines, got {request.page_size}", field="page_size")
        asked, place = _asked(request), BEGINNING
        if request.page_token:
            place = Place(*tokens.decode(request, request.page_token, 3))
        async with self._reads.of_runs(
            [request.run_id], "run_id", request.consistency, context
        ) as connection:
            if request.tail and not request.page_token:
                place = await query.tail(connection, asked, request.tail)
            blocks, following = await query.page(connection, asked, place, request.page_size or DEFAULT_PAGE)
        token = tokens.encode(request, *following) if following is not None else ""
        return text_pb2.GetTextResponseView(blocks=query.joined(blocks), next_page_token=token)

    async def stream_text(
        self, request: text_pb2.StreamTextRequest, context: Context
    ) -> AsyncIterator[text_pb2.TextBlockView]:
        asked, place, consistency = _asked(request), BEGINNING, request.consistency
        if request.tail:
            async with self._reads.of_runs([request.run_id], "run_id", consistency, context) as connection:
                place = await query.tail(connection, asked, request.tail)
            consistency = read_pb2.CONSISTENCY_EVENTUAL
        while True:
            # A connection for each part: a slow caller keeps none.
            async with self._reads.of_runs([request.run_id], "run_id", consistency, context) as connection:
                part = await query.read(connection, asked, place)
            for block in query.joined(found.block for found in part.found):
                yield block
            place, consistency = part.following, read_pb2.CONSISTENCY_EVENTUAL
            if not part.more:
                if not request.follow:
                    return
                await asyncio.sleep(FOLLOW_S)


def _asked(request: text_pb2.GetTextRequest | text_pb2.StreamTextRequest) -> Asked:
    rules.key(request.stream, "stream")
    if request.writer and (fault := names.writer_fault(request.writer)):
        raise Invalid(fault, field="writer")
    if not 0 <= request.tail <= MAX_PAGE:
        raise Invalid(f"a tail has 1 to {MAX_PAGE} lines, got {request.tail}", field="tail")
    ranges.check(request.times_us, "times_us")
    return Asked(
        request.run_id,
        request.stream,
        request.writer,
        rank_of(request),
        *ranges.closed(request.times_us),
    )
