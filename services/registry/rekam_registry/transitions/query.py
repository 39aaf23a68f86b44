"""Queries of requests for transitions."""

from __future__ import annotations

from rekam_proto.registry.v1 import transition_pb2
from rekam_registry import finding
from rekam_registry.paging import page_size, position_of, token_of
from rekam_registry.reads import View
from rekam_runtime.postgres import Statements

_statements = Statements.load("rekam_registry.transitions", "query.sql")


async def list_transitions(
    view: View, request: transition_pb2.ListTransitionsRequest
) -> transition_pb2.ListTransitionsResponse:
    """One page, the newest first; raises NotFound when there is no such model."""
    size = page_size(request.page_size)
    rows = await view.connection.fetch(
        _statements.page.format(at=view.at),
        await finding.model_of(view, request.name),
        position_of(request.page_token),
        request.version,
        request.state,
        size + 1,
    )
    requests = [transition_pb2.TransitionRequest.FromString(row["request"]) for row in rows[:size]]
    for one in requests:
        one.name = request.name
    token = token_of(requests[-1].request_id) if len(rows) > size else ""
    return transition_pb2.ListTransitionsResponse(requests=requests, next_page_token=token)
