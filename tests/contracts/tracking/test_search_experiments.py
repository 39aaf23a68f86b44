"""Searches for experiments against Postgres: every operator, order, pages, refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rekam_proto.tracking.v1 import experiment_pb2, read_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.postgres import Connection
from rekam_tracking.experiments import query
from tests.support.run_rows import connected

# id, name, lifecycle, created, updated, tags.
EXPERIMENTS = [
    (0, "Default", 0, 10, 10, {}),
    (2, "House Price", 0, 20, 50, {"team": "Vision", "note": "50% off"}),
    (10, "house price", 0, 20, 40, {"team": "vision"}),
    (11, "gone", 1, 30, 60, {"team": ""}),
]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with connected(database_url) as connection:
        for id, name, lifecycle, created, updated, tags in EXPERIMENTS:
            await connection.execute(
                "INSERT INTO experiments VALUES ($1, $2, $3, $4, $5, $6)",
                id,
                name,
                f"x:/{id}",
                lifecycle,
                created,
                updated,
            )
            await connection.executemany(
                "INSERT INTO experiment_tags VALUES ($1, $2, $3)",
                [(id, key, value) for key, value in tags.items()],
            )
        yield connection


async def ids(connection: Connection, filter: str, *order_by: str, view: int = 2) -> list[int]:
    request = experiment_pb2.SearchExperimentsRequest(
        filter=filter,
        order_by=order_by,
        view=view,  # type: ignore[arg-type]
    )
    return [
        int(found.experiment_id)
        for found in (await query.search_experiments(connection, request)).experiments
    ]


FILTERS: list[tuple[str, list[int]]] = [
    ("", [0, 2, 10, 11]),
    ("name = 'House Price'", [2]),
    ("attribute.name != 'House Price'", [0, 10, 11]),
    ("name LIKE '%ouse%'", [2, 10]),
    ("name ILIKE 'HOUSE%'", [2, 10]),
    ("name NOT LIKE 'H%'", [0, 10, 11]),
    ("creation_time = 20", [2, 10]),
    ("creation_time != 20", [0, 11]),
    ("creation_time > 10", [2, 10, 11]),
    ("creation_time >= 10.5 AND last_update_time < 50", [10]),
    ("last_update_time <= 40", [0, 10]),
    ("tags.team = 'vision'", [10]),
    ("tags.team != 'vision'", [2, 11]),
    ("tag.team ILIKE 'VIS%'", [2, 10]),
    ("tags.team LIKE 'V%' OR tags.team = ''", [2, 11]),
    ("experiment_id = '10'", [10]),
    ("experiment_id != '10'", [0, 2, 11]),
    ("attribute.experiment_id IN ('2', '11', 'x')", [2, 11]),
    ("experiment_id NOT IN ('2', '11')", [0, 10]),
    ("experiment_id LIKE '1%'", [10, 11]),
    ("tags.team IS NULL", [0]),
    ("tags.team IS NOT NULL", [2, 10, 11]),
    ("NOT (tags.team = 'vision' OR name = 'gone')", [2]),
    (" OR ".join(f"name = 'e{i}'" for i in range(9_999)) + " OR name = 'gone'", [11]),
]


async def test_filters(connection: Connection) -> None:
    for text, found in FILTERS:
        assert sorted(await ids(connection, text)) == found, text[:200]


ORDERS: list[tuple[list[str], list[int]]] = [
    ([], [11, 2, 10, 0]),
    (["name"], [0, 2, 11, 10]),
    (["name DESC"], [10, 11, 2, 0]),
    (["experiment_id"], [0, 2, 10, 11]),
    (["experiment_id DESC"], [11, 10, 2, 0]),
    (["creation_time"], [0, 10, 2, 11]),
    (["creation_time DESC", "experiment_id ASC"], [11, 2, 10, 0]),
    (["last_update_time ASC"], [0, 10, 2, 11]),
]


async def test_orders_and_pages(connection: Connection) -> None:
    for order, found in ORDERS:
        assert await ids(connection, "", *order) == found, order
        for size in (1, 2, 3, 4):
            request = experiment_pb2.SearchExperimentsRequest(
                order_by=order, page_size=size, view=read_pb2.LIFECYCLE_VIEW_ALL
            )
            paged: list[int] = []
            while not paged or request.page_token:
                page = await query.search_experiments(connection, request)
                paged += [int(experiment.experiment_id) for experiment in page.experiments]
                request.page_token = page.next_page_token
            assert paged == found, (order, size)


async def test_views(connection: Connection) -> None:
    assert await ids(connection, "", view=read_pb2.LIFECYCLE_VIEW_ACTIVE) == [2, 10, 0]
    assert await ids(connection, "", view=read_pb2.LIFECYCLE_VIEW_DELETED) == [11]


async def test_one_by_id_and_by_name(connection: Connection) -> None:
    found = await query.get_experiment(connection, "2")
    assert found == experiment_pb2.Experiment(
        experiment_id="2",
        name="House Price",
        artifact_location="x:/2",
        created_ms=20,
        updated_ms=50,
        tags=[read_pb2.Tag(key="note", value="50% off"), read_pb2.Tag(key="team", value="Vision")],
    )
    assert await query.get_experiment_by_name(connection, "House Price") == found
    deleted = await query.get_experiment_by_name(connection, "gone")
    assert deleted is not None
    assert deleted.lifecycle == read_pb2.LIFECYCLE_DELETED
    assert await query.get_experiment(connection, "99") is None
    assert await query.get_experiment_by_name(connection, "HOUSE PRICE") is None


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (experiment_pb2.SearchExperimentsRequest(filter="experiment_id = 1"), "filter"),
        (experiment_pb2.SearchExperimentsRequest(filter="metrics.x = 1"), "filter"),
        (experiment_pb2.SearchExperimentsRequest(order_by=["tags.x"]), "order_by[0]"),
        (experiment_pb2.SearchExperimentsRequest(order_by=["name", "name DESC"]), "order_by[1]"),
        (experiment_pb2.SearchExperimentsRequest(page_size=-1), "page_size"),
        (experiment_pb2.SearchExperimentsRequest(page_token="x"), "page_token"),
    ],
)
async def test_what_is_wrong_is_named(
    connection: Connection, request_: experiment_pb2.SearchExperimentsRequest, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await query.search_experiments(connection, request_)
    assert caught.value.field == field
