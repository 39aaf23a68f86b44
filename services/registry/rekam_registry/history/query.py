"""History: pages of what happened to a model or a part of it."""

from __future__ import annotations

from uuid import UUID

from rekam_proto.registry.v1 import history_pb2
from rekam_registry.history import parts
from rekam_registry.ledger import missing
from rekam_registry.moment import Moment
from rekam_registry.paging import page_size, position_of, token_of
from rekam_registry.reads import View
from rekam_registry.timelines import FOREVER
from rekam_runtime.postgres import Statements

_statements = Statements.load("rekam_registry.history", "query.sql")


async def get_history(view: View, request: history_pb2.GetHistoryRequest) -> history_pb2.GetHistoryResponse:
    """One page, the newest first; raises NotFound when no model ever had the name."""
    size = page_size(request.page_size)
    if request.WhichOneof("model") == "model_id":
        model_id = UUID(request.model_id)
    else:
        model_id = await _owner(view, request.name)
    rows = await view.connection.fetch(
        _statements.page.format(last=_last(view.at)),
        model_id,
        _part(request),
        position_of(request.page_token),
        size + 1,
    )
    response = history_pb2.GetHistoryResponse(
        changes=[history_pb2.Change.FromString(row["change"]) for row in rows[:size]]
    )
    if len(rows) > size:
        response.next_page_token = token_of(rows[size - 1]["position"])
    return response


async def _owner(view: View, name: str) -> UUID:
    begin, end, moment = "from_position", "until_position", FOREVER - 1
    if view.at.position is not None:
        moment = view.at.position
    elif view.at.time_us is not None:
        begin, end, moment = "from_us", "until_us", view.at.time_us
    text = _statements.owner.format(begin=begin, end=end, moment=moment)
    found: UUID | None = await view.connection.fetchval(text, name)
    if found is None:
        raise missing(name)
    return found


def _part(request: history_pb2.GetHistoryRequest) -> str:
    match request.WhichOneof("part"):
        case "version":
            return parts.version_part(request.version)
        case "stage":
            return parts.stage_part(request.stage)
        case "alias":
            return parts.alias_part(request.alias)
        case _:
            return parts.MODEL


def _last(at: Moment) -> str:
    """The position of the last change that had happened."""
    if at.time_us is not None:
        return f"({_statements.last_by_time.format(time_us=at.time_us)})"
    return str(FOREVER if at.position is None else at.position)
