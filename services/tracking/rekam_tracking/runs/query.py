"""Queries of runs: one by id, or a search with filter, order and pages."""

from __future__ import annotations

import asyncio

from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.errors import DeadlineExceeded, Invalid
from rekam_runtime.filtering import parse_filter, parse_order_by, positive_form
from rekam_runtime.postgres import Connection, Row
from rekam_runtime.searching.keyset import PageToken, decode_token, digest, page_size, row_key
from rekam_runtime.searching.merging import merge_equalities
from rekam_tracking import rules
from rekam_tracking.portions import portions
from rekam_tracking.runs.conditions import fragments
from rekam_tracking.runs.details import fetch_columns, fetch_runs, heavy_runs
from rekam_tracking.runs.fields import RUNS
from rekam_tracking.runs.ordering import phases
from rekam_tracking.runs.statement import Scope, page_statement

# Runs with thousands of metrics make large pages: a page ends early, with a token, before
# its message grows past what a client takes.
_MAX_PAGE_BYTES = 32 << 20
# Thousands of conditions on thousands of keys, none of which an index answers, can take
# minutes; they must not take Postgres from the others.
_LIMIT_S = 30.0

LIFECYCLES: dict[int, list[int]] = {
    read_pb2.LIFECYCLE_VIEW_ACTIVE: [read_pb2.LIFECYCLE_ACTIVE],
    read_pb2.LIFECYCLE_VIEW_DELETED: [read_pb2.LIFECYCLE_DELETED],
    read_pb2.LIFECYCLE_VIEW_ALL: [read_pb2.LIFECYCLE_ACTIVE, read_pb2.LIFECYCLE_DELETED],
}


async def get_run(connection: Connection, run_id: str) -> run_pb2.Run | None:
    """The run, deleted or not, with all that it has."""
    runs = await fetch_runs(connection, [run_id], model_inputs=True)
    return runs[0] if runs else None


async def search_runs(
    connection: Connection, request: run_pb2.SearchRunsRequest, *, limit_s: float = _LIMIT_S
) -> run_pb2.SearchRunsResponse:
    """One page, read from one snapshot: the connection must not be in a transaction.

    Raises Invalid for what is wrong in the request, DeadlineExceeded after limit_s.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _search(connection, request)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"the search took longer than {limit_s:g} s: give it fewer conditions or experiments",
            field="filter",
        ) from error


async def _search(connection: Connection, request: run_pb2.SearchRunsRequest) -> run_pb2.SearchRunsResponse:
    size = page_size(request.page_size)
    order = parse_order_by(request.order_by, RUNS)
    tree = parse_filter(request.filter, RUNS)
    scope = Scope(
        experiment_ids=rules.experiment_ids(request.experiment_ids),
        lifecycles=_lifecycles(request.view),
        filter=None if tree is None else merge_equalities(positive_form(tree), many={"dataset"}),
        order=order,
    )
    steps = phases(order)
    query = digest(
        sorted(scope.experiment_ids), scope.lifecycles, request.filter, [str(term) for term in order]
    )
    start = PageToken(0, ())
    if request.page_token:
        start = decode_token(request.page_token, query, [step.columns for step in steps])
    response = run_pb2.SearchRunsResponse()
    if not scope.experiment_ids:
        return response
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        settings = await connection.fetchrow(fragments.settings, scope.metric_keys())
        assert settings is not None
        key_ids = dict(zip(settings["keys"], settings["key_ids"], strict=True))
        live = settings["live"] and bool(scope.metric_keys())
        found: list[tuple[int, Row]] = []
        for number in range(start.phase, len(steps)):
            # One more than the page holds tells whether there is another.
            wanted = size + 1 - len(found)
            if wanted == 0:
                break
            keys = start.keys if number == start.phase and start.keys else None
            text, arguments = page_statement(scope, steps[number], keys, wanted, key_ids, live)
            found += [(number, row) for row in await connection.fetch(text, *arguments)]
        page = found[:size]
        await connection.execute(fragments.found)
        run_ids = [row["run_id"].hex for _, row in page]
        for ids in portions(run_ids, await heavy_runs(connection, run_ids)):
            if response.ByteSize() >= _MAX_PAGE_BYTES:
                break
            if request.as_columns:
                response.runs.extend(await fetch_columns(connection, ids, response.columns))
            else:
                response.runs.extend(await fetch_runs(connection, ids, model_inputs=False))
    filled = len(response.runs)
    if filled < len(found):
        phase, last = page[filled - 1]
        # The run's id is the row's first column; its sort columns follow.
        response.next_page_token = PageToken(phase, tuple(row_key(key) for key in list(last)[1:])).encode(
            query
        )
    return response


def _lifecycles(view: int) -> list[int]:
    if view not in LIFECYCLES:
        raise Invalid(f"view {view} is not known", field="view")
    return LIFECYCLES[view]
