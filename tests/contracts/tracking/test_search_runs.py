"""Searches for runs against Postgres: every operator, the pages, the details, the refusals."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from itertools import islice

import pytest

from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.errors import DeadlineExceeded, Invalid
from rekam_runtime.postgres import Connection
from rekam_runtime.rpc.options import MAX_MESSAGE_BYTES
from rekam_tracking.portions import MAX_BYTES_OF_ONE
from rekam_tracking.runs import query
from tests.support.run_rows import Point, RunRow, connected, insert

RUNS = [
    RunRow(
        1,
        name="Forest",
        user="ada",
        status="FINISHED",
        start_ms=100,
        end_ms=200,
        params={"depth": "5", "opt": "Adam", "a.b": "x"},
        tags={"team": "vision", "note": "50% off", "quote": "it's"},
        settled=[Point(1, 1, {"loss": 0.5, "val loss": 1.0}), Point(2, 1, {"step2": 7.0})],
        datasets={"iris": ("d1", "training"), "house prices": ("d2", "Eval")},
    ),
    RunRow(
        2,
        name="forest",
        user="bob",
        status="FAILED",
        start_ms=200,
        params={"depth": "10", "opt": "sgd"},
        tags={"team": "Vision", "note": "50 off"},
        settled=[Point(1, 1, {"loss": math.nan})],
        datasets={"iris": ("d3", None)},
    ),
    RunRow(
        3,
        name="tree_1",
        status="RUNNING",
        start_ms=300,
        params={"depth": "5"},
        # Live: the greater step wins over the settled one, key by key.
        settled=[Point(1, 1, {"loss": 9.0, "old": 1.0})],
        live=[Point(5, 1, {"loss": math.inf, "acc": 0.1}), Point(6, 1, {"acc": 0.9})],
    ),
    RunRow(4, name="tree-1", status="KILLED", start_ms=None, tags={"team": ""}),
]
BY_ID = {run.run_id: run.number for run in RUNS}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with connected(database_url) as connection:
        await insert(connection, RUNS)
        yield connection


async def numbers(connection: Connection, filter: str, *order_by: str) -> list[int]:
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"], filter=filter, order_by=order_by)
    return [BY_ID[run.run_id] for run in (await query.search_runs(connection, request)).runs]


# Filter and the runs it matches, sorted.
FILTERS: list[tuple[str, list[int]]] = [
    ("", [1, 2, 3, 4]),
    # Attributes.
    (f"run_id = '{RUNS[0].run_id}'", [1]),
    (f"attribute.run_id != '{RUNS[0].run_id}'", [2, 3, 4]),
    (f"run_id IN ('{RUNS[0].run_id}', '{RUNS[2].run_id.upper()}', 'nothing')", [1]),
    (f"run_id NOT IN ('{RUNS[0].run_id}', 'nothing')", [2, 3, 4]),
    (f"run_id LIKE '{RUNS[1].run_id[:12]}%'", [2]),
    ("run_name = 'Forest'", [1]),
    ("attr.`Run name` ILIKE 'FOREST'", [1, 2]),
    ("run.run_name LIKE 'tree_1'", [3, 4]),
    ("run_name NOT LIKE 'tree%'", [1, 2]),
    ("status = 'FINISHED'", [1]),
    ("status = 'finished'", []),
    ("status != 'FINISHED'", [2, 3, 4]),
    ("status ILIKE 'f%'", [1, 2]),
    ("status NOT LIKE 'F%'", [3, 4]),
    ("user_id = 'ada'", [1]),
    ("user_id != 'ada'", [2, 3, 4]),
    ("artifact_uri LIKE '%/3'", [3]),
    ("start_time > 100", [2, 3]),
    ("created >= 100", [1, 2, 3]),
    ("start_time < 200", [1]),
    ("start_time <= 200.5", [1, 2]),
    ("start_time = 200", [2]),
    ("start_time != 200", [1, 3]),
    ("start_time != 200.5", [1, 2, 3]),
    ("start_time < 1e999", [1, 2, 3]),
    ("start_time > -1e999", [1, 2, 3]),
    ("start_time > -1e30", [1, 2, 3]),
    (f"start_time >= {-(2**63)}", [1, 2, 3]),
    (f"start_time = {-(2**63)}", []),
    (f"start_time > {-(2**63) - 1}", [1, 2, 3]),
    ("start_time > 1e30", []),
    ("end_time >= 0", [1]),
    # Metrics: the latest value; NaN only differs, infinity is itself; missing never matches.
    ("metrics.loss = 0.5", [1]),
    ("metrics.loss != 0.5", [2, 3]),
    ("metrics.loss = 0", []),
    ("metrics.loss > -1", [1, 3]),
    ("metrics.loss >= 0.5", [1, 3]),
    ("metrics.loss < 0.5", []),
    ("metrics.loss <= 0.5", [1]),
    ("metrics.loss = 1e999", [3]),
    ("metrics.loss = 9", []),
    ("metrics.loss > 1e308", [3]),
    ("metrics.acc = 0.9", [3]),
    ("metrics.old = 1", [3]),
    ("metrics.`val loss` = 1", [1]),
    ("metrics.nobody != 1", []),
    # Params and tags.
    ("params.depth = '5'", [1, 3]),
    ("params.depth != '5'", [2]),
    ("params.depth LIKE '1%'", [2]),
    ("params.opt LIKE 'A%'", [1]),
    ("params.opt ILIKE 'ADAM'", [1]),
    ("params.opt NOT ILIKE 'ADAM'", [2]),
    ("params.opt IS NULL", [3, 4]),
    ("params.opt IS NOT NULL", [1, 2]),
    ("params.a.b = 'x'", [1]),
    ("tags.team = 'vision'", [1]),
    ("tags.team ILIKE 'VISION'", [1, 2]),
    ("tags.team != 'vision'", [2, 4]),
    ("tag.team = ''", [4]),
    ("tags.note LIKE '%50\\%%'", []),
    ("tags.note LIKE '50% off'", [1, 2]),
    ("tags.note LIKE '50_ off'", [1]),
    ("tags.note LIKE '%\\'", []),
    ('tags.quote = "it\'s"', [1]),
    ("tags.nobody IS NULL", [1, 2, 3, 4]),
    # Datasets: each condition may be met by another.
    ("datasets.name = 'iris'", [1, 2]),
    ("dataset.name != 'iris'", [1]),
    ("datasets.name LIKE 'house%'", [1]),
    ("datasets.digest IN ('d1', 'd3')", [1, 2]),
    ("datasets.digest NOT IN ('d3')", [1]),
    ("datasets.context = 'training'", [1]),
    ("datasets.context != 'training'", [1]),
    ("datasets.context ILIKE 'EVAL'", [1]),
    ("datasets.name = 'iris' AND datasets.digest = 'd2'", [1]),
    ("datasets.digest != 'd1' AND datasets.digest != 'd2'", [1, 2]),
    ("NOT datasets.name = 'iris'", [1]),
    (" OR ".join(f"datasets.digest LIKE 'd{n}'" for n in range(3, 30)), [2]),
    # Together.
    ("params.depth = '5' AND metrics.loss < 1", [1]),
    ("params.depth = '10' OR metrics.acc > 0", [2, 3]),
    ("NOT params.depth = '5'", [2]),
    ("NOT (params.depth = '5' OR status = 'KILLED')", [2]),
    ("NOT metrics.loss > 0", []),
    ("NOT params.opt IS NULL", [1, 2]),
    ("params.depth IS NULL OR NOT (metrics.loss > 1)", [1, 4]),
    ("params.depth = '5' AND params.opt = 'Adam' AND tags.team = 'vision' AND metrics.loss = 0.5 AND "
     "metrics.step2 = 7 AND params.a.b = 'x' AND tags.note LIKE '50%' AND metrics.`val loss` > 0 AND", [1]),
    ("params.depth = '5'' OR 1=1 --'", []),
    ("params.`x' OR 1=1 --` = 'x'", []),
]  # fmt: skip


async def test_filters(connection: Connection) -> None:
    for text, found in FILTERS:
        assert sorted(await numbers(connection, text)) == found, text


# Order and the runs in it. Without one: by start, latest first, those without a start last.
ORDERS: list[tuple[list[str], list[int]]] = [
    ([], [3, 2, 1, 4]),
    (["metrics.loss"], [1, 3, 2, 4]),
    (["metrics.loss DESC"], [3, 1, 2, 4]),
    (["metrics.nobody"], [3, 2, 1, 4]),
    (["params.depth"], [2, 3, 1, 4]),
    (["params.depth DESC"], [3, 1, 2, 4]),
    (["params.depth DESC", "start_time ASC"], [1, 3, 2, 4]),
    (["params.depth", "metrics.loss DESC"], [2, 3, 1, 4]),
    (["tags.team"], [4, 2, 1, 3]),
    (["tags.team DESC"], [1, 2, 4, 3]),
    (["status"], [2, 1, 4, 3]),
    (["status DESC"], [3, 4, 1, 2]),
    (["start_time ASC"], [1, 2, 3, 4]),
    (["end_time DESC"], [1, 3, 2, 4]),
    (["run_name"], [1, 2, 4, 3]),
    (["user_id DESC", "attribute.created ASC"], [2, 1, 3, 4]),
]


async def test_orders(connection: Connection) -> None:
    for order, found in ORDERS:
        assert await numbers(connection, "", *order) == found, order


async def test_ties_are_broken_by_run_id(connection: Connection) -> None:
    await connection.execute("UPDATE runs SET start_ms = 5")
    assert await numbers(connection, "") == sorted(BY_ID.values(), key=lambda number: RUNS[number - 1].run_id)


async def test_a_found_run_has_everything(connection: Connection) -> None:
    found: list[run_pb2.Run] = []
    for number in (1, 3):
        request = run_pb2.SearchRunsRequest(experiment_ids=["1"], filter=f"artifact_uri = 'x:/1/{number}'")
        found += (await query.search_runs(connection, request)).runs
        assert await query.get_run(connection, RUNS[number - 1].run_id) == found[-1]
    run = found[-1]
    assert run.name == "tree_1"
    assert run.experiment_id == "1"
    assert run.status == run_pb2.RUN_STATUS_RUNNING
    assert (run.start_ms, run.end_ms, run.artifact_uri) == (300, 0, "x:/1/3")
    assert list(run.params) == [read_pb2.Param(key="depth", value="5")]
    assert list(run.metrics) == [
        run_pb2.LatestMetric(key="acc", value=0.9, step=6, time_us=1),
        run_pb2.LatestMetric(key="loss", value=math.inf, step=5, time_us=1),
        run_pb2.LatestMetric(key="old", value=1.0, step=1, time_us=1),
    ]


async def test_a_run_that_is_not_there(connection: Connection) -> None:
    assert await query.get_run(connection, "f" * 32) is None


async def test_views_and_experiments(connection: Connection) -> None:
    await connection.execute("UPDATE runs SET lifecycle = 1 WHERE name = 'Forest'")
    await connection.execute("UPDATE runs SET experiment_id = 2 WHERE name = 'forest'")

    async def found(view: read_pb2.LifecycleView, *experiments: str) -> list[int]:
        request = run_pb2.SearchRunsRequest(experiment_ids=experiments, view=view)
        return [BY_ID[run.run_id] for run in (await query.search_runs(connection, request)).runs]

    assert await found(read_pb2.LIFECYCLE_VIEW_ACTIVE, "1") == [3, 4]
    assert await found(read_pb2.LIFECYCLE_VIEW_DELETED, "1", "2") == [1]
    assert await found(read_pb2.LIFECYCLE_VIEW_ALL, "2", "1") == [3, 2, 1, 4]
    assert await found(read_pb2.LIFECYCLE_VIEW_ALL, "1", *map(str, range(2, 40))) == [3, 2, 1, 4]
    assert await found(read_pb2.LIFECYCLE_VIEW_ALL, "9" * 30) == []
    assert await found(read_pb2.LIFECYCLE_VIEW_ALL) == []


@pytest.mark.parametrize(
    "order", [[], ["metrics.loss DESC"], ["params.depth"], ["tags.team", "metrics.loss"]]
)
async def test_pages_put_together_are_the_whole(connection: Connection, order: list[str]) -> None:
    whole = await numbers(connection, "", *order)
    for size in (1, 2, 3, 4):
        request = run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=order, page_size=size)
        pages: list[list[int]] = []
        while not pages or request.page_token:
            page = await query.search_runs(connection, request)
            pages.append([BY_ID[run.run_id] for run in page.runs])
            request.page_token = page.next_page_token
        assert [number for page in pages for number in page] == whole
        # A page that is exactly full and the last has no token behind it.
        assert len(pages) == math.ceil(4 / size)


async def test_runs_that_come_between_two_pages_move_nothing(connection: Connection) -> None:
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"], page_size=2)
    first = await query.search_runs(connection, request)
    await insert(connection, [RunRow(5, start_ms=1_000)])
    request.page_token = first.next_page_token
    second = await query.search_runs(connection, request)
    assert [BY_ID[run.run_id] for page in (first, second) for run in page.runs] == [3, 2, 1, 4]


async def test_tokens_belong_to_their_search(connection: Connection) -> None:
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"], page_size=1, order_by=["metrics.loss"])
    token = (await query.search_runs(connection, request)).next_page_token
    others = [
        run_pb2.SearchRunsRequest(experiment_ids=["1"], page_token=token),
        run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=["metrics.loss DESC"], page_token=token),
        run_pb2.SearchRunsRequest(experiment_ids=["2"], order_by=["metrics.loss"], page_token=token),
        run_pb2.SearchRunsRequest(
            experiment_ids=["1"], order_by=["metrics.loss"], page_token=token, filter="status = 'RUNNING'"
        ),
    ]
    others += [
        run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=["metrics.loss"], page_token=broken)
        for broken in ("x", "é", "!", token[:-4], token[4:], token + "AAAA", "W10", "W1tbW1tbW1tbW10")
    ]
    for other in others:
        with pytest.raises(Invalid) as caught:
            await query.search_runs(connection, other)
        assert caught.value.field == "page_token"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], filter="metrics.x = 'a'"), "filter"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], filter="params.x = 'a\0'"), "filter"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=["metrics.x", "oops"]), "order_by[1]"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], page_size=-1), "page_size"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], page_size=50_001), "page_size"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1", "x"]), "experiment_ids[1]"),
        (run_pb2.SearchRunsRequest(experiment_ids=["-1"]), "experiment_ids[0]"),
        (run_pb2.SearchRunsRequest(experiment_ids=["1"], view=7), "view"),  # type: ignore[arg-type]
    ],
)
async def test_what_is_wrong_is_named(
    connection: Connection, request_: run_pb2.SearchRunsRequest, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await query.search_runs(connection, request_)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" OR ".join(f"run_name = 'n{i}'" for i in range(9_999)) + " OR run_name = 'forest'", [2]),
        (" OR ".join(f"params.depth = '{i}'" for i in range(10_000)), [1, 2, 3]),
        (" AND ".join(f"params.depth != '{i}'" for i in range(6, 10_006)), [1, 3]),
        (" OR ".join(f"params.k{i} = 'x'" for i in range(999)) + " OR params.depth = '10'", [2]),
        (" AND ".join(f"metrics.loss < {i}" for i in range(1, 1_000)), [1]),
        (
            " OR ".join(f"metrics.m{i} < 1 AND tags.t{i} = 'x'" for i in range(300))
            + " OR params.depth = '10'",
            [2],
        ),
    ],
    ids=["names", "values", "not-values", "params", "metric", "many-metrics"],
)
async def test_long_filters_are_answered(connection: Connection, text: str, found: list[int]) -> None:
    assert sorted(await numbers(connection, text)) == found


async def test_a_heavy_page_ends_early_with_a_token(connection: Connection) -> None:
    await connection.execute("DELETE FROM runs")
    await connection.execute("""
        WITH made AS (
            INSERT INTO runs (run_id, experiment_id, name, status, start_ms, artifact_uri)
            SELECT gen_random_uuid(), 1, 'heavy', 3, n, 'x:/' FROM generate_series(1, 700) n RETURNING run_id
        )
        INSERT INTO tags SELECT run_id, 'k' || k, repeat('x', 8000) FROM made, generate_series(1, 8) k
    """)
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"])
    first = await query.search_runs(connection, request)
    assert len(first.runs) == 600
    request.page_token = first.next_page_token
    second = await query.search_runs(connection, request)
    assert [run.start_ms for page in (first, second) for run in page.runs] == list(range(700, 0, -1))


async def test_columns_say_the_same_as_runs(connection: Connection) -> None:
    # More than are read at one time, some of them with nothing.
    more = [RunRow(number, params={"depth": "5"}, start_ms=number % 3) for number in range(5, 300)]
    await insert(connection, more)
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=["params.opt"])
    plain = await query.search_runs(connection, request)
    request.as_columns = True
    page = await query.search_runs(connection, request)
    for pairs, name in ((page.columns.params, "params"), (page.columns.tags, "tags")):
        rows = zip(pairs.keys, pairs.values, strict=True)
        for run, count in zip(page.runs, pairs.counts, strict=True):
            for key, value in islice(rows, count):
                getattr(run, name).add(key=key, value=value)
        assert not list(rows)
    columns = page.columns.metrics
    latest = zip(columns.keys, columns.values, columns.steps, columns.times_us, strict=True)
    for run, count in zip(page.runs, columns.counts, strict=True):
        for key, latest_value, step, time_us in islice(latest, count):
            run.metrics.add(key=key, value=latest_value, step=step, time_us=time_us)
    assert not list(latest)
    # As bytes: NaN differs from itself.
    assert [run.SerializeToString() for run in page.runs] == [run.SerializeToString() for run in plain.runs]
    assert len(page.runs) == 299


async def test_a_search_that_takes_too_long_is_given_up(connection: Connection) -> None:
    request = run_pb2.SearchRunsRequest(experiment_ids=["1"])
    with pytest.raises(DeadlineExceeded, match="longer than 0 s"):
        await query.search_runs(connection, request, limit_s=0)
    assert await numbers(connection, "") == [3, 2, 1, 4]


async def test_runs_with_heavy_datasets_fit_into_messages(database_url: str) -> None:
    heavy = [
        RunRow(number, start_ms=number, datasets={f"d{n}": ("1", None) for n in range(6)})
        for number in range(1, 8)
    ]
    async with connected(database_url) as connection:
        await insert(connection, [*heavy, *(RunRow(number, start_ms=number) for number in range(8, 500))])
        await connection.execute("UPDATE datasets SET profile = repeat('x', 4 << 20)")
        got = await query.get_run(connection, heavy[0].run_id)
        assert got is not None
        # What is past the bound is left out: the datasets stay.
        sizes = [len(input.dataset.profile) for input in got.inputs.datasets]
        assert sizes == [4 << 20] * (MAX_BYTES_OF_ONE >> 22) + [0, 0]
        request = run_pb2.SearchRunsRequest(experiment_ids=["1"], order_by=["start_time"])
        found: list[int] = []
        while not found or request.page_token:
            page = await query.search_runs(connection, request)
            assert page.ByteSize() < MAX_MESSAGE_BYTES
            found += [run.start_ms for run in page.runs]
            request.page_token = page.next_page_token
        assert found == list(range(1, 500))
