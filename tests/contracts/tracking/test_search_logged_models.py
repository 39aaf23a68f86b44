"""Searches for logged models: a table of filters, and random ones against a slow reference."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from rekam_proto.tracking.v1 import logged_model_pb2 as m
from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import And, Comparison, Filter, Operator, Or, parse_filter, positive_form
from rekam_runtime.postgres import Connection
from rekam_runtime.rpc.options import MAX_MESSAGE_BYTES
from rekam_tracking.logged_models import query
from rekam_tracking.logged_models.fields import LOGGED_MODELS
from rekam_tracking.portions import MAX_BYTES_OF_ONE
from tests.support.run_rows import Cell, compare, connected, sort_by_cells

NUMBERS = [0.0, -0.0, 0.5, 1.0, -1.0, 3.0, math.inf, math.nan]
STATUSES = ["PENDING", "READY", "UPLOAD_FAILED"]


@dataclass(frozen=True)
class Value:
    key: str
    value: float
    step: int
    time_us: int
    dataset: str
    digest: str


@dataclass
class Model:
    number: int
    experiment_id: int = 1
    name: str = "forest"
    status: str = "READY"
    created_ms: int = 1
    updated_ms: int = 1
    lifecycle: int = 0
    model_type: str | None = None
    source_run_id: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Value] = field(default_factory=list)

    @property
    def model_id(self) -> str:
        return f"m-{self.number:032x}"

    def cells(self, entity: str, key: str, datasets: Sequence[m.DatasetReference] = ()) -> list[Cell]:
        """What the model has there: several values of a metric, at most one of all else."""
        match entity:
            case "metric":
                return [value.value for value in self.metrics if value.key == key and on(value, datasets)]
            case "param" | "tag":
                values = self.params if entity == "param" else self.tags
                return [values[key]] if key in values else []
        attributes: dict[str, Cell] = {
            "name": self.name,
            "model_id": self.model_id,
            "model_type": self.model_type,
            "source_run_id": self.source_run_id,
            "artifact_uri": f"x:/{self.number}",
            "status": self.status,
            "creation_timestamp": self.created_ms,
            "last_updated_timestamp": self.updated_ms,
        }
        return [] if attributes[key] is None else [attributes[key]]

    def latest(self, key: str, datasets: Sequence[m.DatasetReference]) -> Cell:
        found = [value for value in self.metrics if value.key == key and on(value, datasets)]
        number = [
            (value.time_us, value.step, 0.0 if value.value != value.value else value.value, value.value)
            for value in found
        ]
        return max(number, key=lambda one: (one[:3], one[3] == one[3]))[3] if number else None


def on(value: Value, datasets: Sequence[m.DatasetReference]) -> bool:
    return not datasets or any(
        value.dataset == dataset.name and dataset.digest in ("", value.digest) for dataset in datasets
    )


async def insert(connection: Connection, models: Sequence[Model]) -> None:
    for model in models:
        await connection.execute(
            "INSERT INTO logged_models VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            model.model_id,
            model.experiment_id,
            model.name,
            STATUSES.index(model.status) + 1,
            model.lifecycle,
            model.created_ms,
            model.updated_ms,
            f"x:/{model.number}",
            model.model_type,
            model.source_run_id,
        )
        for table, values in (("params", model.params), ("tags", model.tags)):
            await connection.executemany(
                f"INSERT INTO logged_model_{table} VALUES ($1, $2, $3)",
                [(model.model_id, key, value) for key, value in values.items()],
            )
        await connection.executemany(
            "INSERT INTO logged_model_metrics VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
            [
                (
                    model.model_id,
                    value.key,
                    value.value,
                    value.step,
                    value.time_us,
                    value.dataset,
                    value.digest,
                )
                for value in model.metrics
            ],
        )


def holds(model: Model, tree: Filter, datasets: Sequence[m.DatasetReference]) -> bool:
    """Of a filter without NOT."""
    match tree:
        case And(terms):
            return all(holds(model, term, datasets) for term in terms)
        case Or(terms):
            return any(holds(model, term, datasets) for term in terms)
        case Comparison(reference, operator, value):
            cells = model.cells(reference.entity, reference.key, datasets)
            if operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
                return bool(cells) == (operator is Operator.IS_NOT_NULL)
            return any(compare(cell, operator, value) for cell in cells)
    raise AssertionError(tree)


def reads_metrics(tree: Filter | None) -> bool:
    match tree:
        case And(terms) | Or(terms):
            return any(map(reads_metrics, terms))
        case Comparison(reference):
            return reference.entity == "metric"
    return False


def expected(models: Sequence[Model], request: m.SearchLoggedModelsRequest) -> list[str]:
    parsed = parse_filter(request.filter, LOGGED_MODELS)
    tree = None if parsed is None else positive_form(parsed)
    datasets = list(request.datasets)
    found = [
        model
        for model in models
        if str(model.experiment_id) in request.experiment_ids
        and not model.lifecycle
        and (tree is None or holds(model, tree, datasets))
        and (not datasets or reads_metrics(tree) or any(on(value, datasets) for value in model.metrics))
    ]
    found.sort(key=lambda model: (-model.created_ms, model.model_id))
    for order in reversed(request.order_by):
        cells: list[Cell] = []
        for model in found:
            if order.field.startswith("metrics."):
                of = [order.dataset] if order.HasField("dataset") else []
                cells.append(model.latest(order.field.removeprefix("metrics."), of))
            else:
                cells.append(next(iter(model.cells("attribute", order.field)), None))
        sort_by_cells(found, cells, order.descending)
    return [model.model_id for model in found]


async def all_pages(connection: Connection, request: m.SearchLoggedModelsRequest) -> list[str]:
    found: list[str] = []
    while True:
        page = await query.search_logged_models(connection, request)
        found += [model.model_id for model in page.models]
        if not page.next_page_token:
            return found
        assert len(page.models) == request.page_size
        request.page_token = page.next_page_token


def random_model(rng: random.Random, number: int) -> Model:
    def some(keys: str) -> dict[str, str]:
        return {key: rng.choice(["a", "b", "A", "ab"]) for key in keys if rng.random() < 0.6}

    return Model(
        number,
        experiment_id=rng.choice([1, 1, 2]),
        name=rng.choice(["forest", "tree", "Forest"]),
        status=rng.choice(STATUSES),
        created_ms=rng.choice([5, 6, 7]),
        updated_ms=rng.choice([7, 8]),
        lifecycle=int(rng.random() < 0.2),
        model_type=rng.choice([None, "agent", "a"]),
        source_run_id=rng.choice([None, "0" * 32]),
        params=some("pq"),
        tags=some("tu"),
        metrics=[
            Value(
                rng.choice("xy"),
                rng.choice(NUMBERS),
                rng.choice([1, 2]),
                rng.choice([1, 2]),
                rng.choice(["", "d", "e"]),
                rng.choice(["1", "2"]),
            )
            for _ in range(rng.choice([0, 1, 2, 4]))
        ],
    )


def random_filter(rng: random.Random, depth: int = 2) -> str:
    if depth and rng.random() < 0.6:
        parts = [random_filter(rng, depth - 1) for _ in range(rng.choice([1, 2, 3]))]
        joined = rng.choice([" AND ", " OR "]).join(f"({part})" for part in parts)
        return f"NOT ({joined})" if rng.random() < 0.3 else joined
    equal, order = ["=", "!="], ["<", "<=", ">", ">="]
    match = ["LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE"]
    text = rng.choice(["a", "A", "b", "a%", "_", "forest"])
    number = rng.choice(["0", "-1", "0.5", "1e999"])
    keys = ["params.p", "params.q", "tags.t", "name", "model_type"]
    time = rng.choice(["creation_time", "last_updated_timestamp"])
    return rng.choice(
        [
            f"metrics.{rng.choice('xyz')} {rng.choice(equal + order)} {number}",
            f"{rng.choice(keys)} {rng.choice(equal + match)} '{text}'",
            f"{rng.choice(keys)} {rng.choice(['IN', 'NOT IN'])} ('a', 'b', 'tree')",
            f"{rng.choice(keys[:3])} {rng.choice(['IS NULL', 'IS NOT NULL'])}",
            f"{time} {rng.choice(equal + order)} 6",
            f"status {rng.choice(equal)} '{rng.choice([*STATUSES, 'ready'])}'",
            f"attributes.source_run_id {rng.choice(equal)} '{'0' * 32}'",
            f"model_id LIKE '%{rng.choice('0123456789abcdef')}'",
        ]
    )


def random_request(rng: random.Random) -> m.SearchLoggedModelsRequest:
    def dataset() -> m.DatasetReference:
        return m.DatasetReference(name=rng.choice("de"), digest=rng.choice(["", "1", "2"]))

    fields = "metrics.x metrics.y metrics.z name model_id model_type status creation_timestamp".split()
    return m.SearchLoggedModelsRequest(
        experiment_ids=rng.choice([["1"], ["1", "2"], ["9"]]),
        filter="" if rng.random() < 0.2 else random_filter(rng),
        datasets=[dataset() for _ in range(rng.choice([0, 0, 1, 2]))],
        order_by=[
            m.LoggedModelOrder(
                field=key,
                descending=rng.random() < 0.5,
                dataset=dataset() if key.startswith("metrics.") and rng.random() < 0.5 else None,
            )
            for key in rng.sample(fields, rng.choice([0, 1, 2, 3]))
        ],
    )


@pytest.mark.parametrize("seed", range(4))
async def test_searches_find_what_the_reference_finds(database_url: str, seed: int) -> None:
    rng = random.Random(seed)
    models = [random_model(rng, number) for number in range(40)]
    async with connected(database_url) as connection:
        await insert(connection, models)
        for _ in range(60):
            request = random_request(rng)
            wanted = expected(models, request)
            for size in (1_000, rng.choice([1, 2, 3, 7])):
                request.page_size, request.page_token = size, ""
                assert await all_pages(connection, request) == wanted, request


MODELS = [
    Model(
        1,
        model_type="agent",
        params={"depth": "5"},
        tags={"team": "vision"},
        metrics=[Value("loss", 0.5, 1, 1, "d", "1"), Value("loss", 2.0, 2, 2, "e", "1")],
    ),
    Model(2, name="tree", status="PENDING", metrics=[Value("val loss", math.nan, 1, 1, "d", "2")]),
    Model(3, name="gone", lifecycle=1),
]

FILTERS: list[tuple[str, list[int]]] = [
    ("", [1, 2]),
    ("name = 'forest'", [1]),
    ("attributes.name IN ('forest', 'gone')", [1]),
    ("model_type != 'x'", [1]),
    ("status = 'PENDING'", [2]),
    ("artifact_location LIKE '%/2'", [2]),
    ("lifecycle_stage = 'active'", [1, 2]),
    ("lifecycle_stage != 'active'", []),
    # Text may stand without quotes.
    ("params.depth = 5", [1]),
    ("params.depth != 5.0 AND tags.team = vision", [1]),
    # Any value meets a condition, each condition another.
    ("metrics.loss = 0.5", [1]),
    ("metrics.loss > 1 AND metrics.loss < 1", [1]),
    ("metrics.`val loss` = 0", []),
    ("metrics.`val loss` != 0", [2]),
    ("params.depth = '5' OR tags.team IS NULL", [1, 2]),
]


async def test_filters(database_url: str) -> None:
    async with connected(database_url) as connection:
        await insert(connection, MODELS)
        for text, numbers in FILTERS:
            request = m.SearchLoggedModelsRequest(experiment_ids=["1"], filter=text)
            found = (await query.search_logged_models(connection, request)).models
            assert [model.model_id for model in found] == [MODELS[n - 1].model_id for n in numbers], text
        request = m.SearchLoggedModelsRequest(experiment_ids=["1"], page_size=1)
        first = await query.search_logged_models(connection, request)
        assert list(first.models) == [await query.get_logged_model(connection, MODELS[0].model_id)]
        assert [(metric.value, metric.dataset_name) for metric in first.models[0].metrics] == [
            (0.5, "d"),
            (2.0, "e"),
        ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (" AND ".join(f"metrics.loss < {n}" for n in range(1, 1_000)), [1]),
        (
            " OR ".join(f"metrics.m{n} < 1 AND tags.t{n} = 'x'" for n in range(1_000)) + " OR name = 'tree'",
            [2],
        ),
        (" OR ".join(f"params.depth = '{n}'" for n in range(10_000)), [1]),
    ],
    ids=["metric", "many-keys", "values"],
)
async def test_long_filters_are_answered(database_url: str, text: str, numbers: list[int]) -> None:
    async with connected(database_url) as connection:
        await insert(connection, MODELS)
        request = m.SearchLoggedModelsRequest(experiment_ids=["1"], filter=text)
        found = (await query.search_logged_models(connection, request)).models
    assert [model.model_id for model in found] == [MODELS[number - 1].model_id for number in numbers]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (m.SearchLoggedModelsRequest(filter="metrics.x = 'a'"), "filter"),
        (m.SearchLoggedModelsRequest(filter="experiment_id = '1'"), "filter"),
        (m.SearchLoggedModelsRequest(experiment_ids=["x"]), "experiment_ids[0]"),
        (m.SearchLoggedModelsRequest(datasets=[m.DatasetReference(digest="1")]), "datasets[0].name"),
        (m.SearchLoggedModelsRequest(order_by=[m.LoggedModelOrder(field="oops")]), "order_by[0].field"),
        (m.SearchLoggedModelsRequest(order_by=[m.LoggedModelOrder(field="tags.a")]), "order_by[0].field"),
        (m.SearchLoggedModelsRequest(order_by=[m.LoggedModelOrder(field="x.a")]), "order_by[0].field"),
        (m.SearchLoggedModelsRequest(order_by=[m.LoggedModelOrder(field="metrics.\0")]), "order_by[0].field"),
        (m.SearchLoggedModelsRequest(page_token="x"), "page_token"),
        (m.SearchLoggedModelsRequest(page_size=-1), "page_size"),
    ],
)
async def test_what_is_wrong_is_named(
    database_url: str, request_: m.SearchLoggedModelsRequest, field: str
) -> None:
    async with connected(database_url) as connection:
        with pytest.raises(Invalid) as caught:
            await query.search_logged_models(connection, request_)
    assert caught.value.field == field


async def test_a_token_belongs_to_its_search(database_url: str) -> None:
    async with connected(database_url) as connection:
        await insert(connection, MODELS)
        request = m.SearchLoggedModelsRequest(experiment_ids=["1"], page_size=1)
        request.page_token = (await query.search_logged_models(connection, request)).next_page_token
        request.datasets.add(name="d")
        with pytest.raises(Invalid, match="another search"):
            await query.search_logged_models(connection, request)


async def test_models_with_many_values_fit_into_messages(database_url: str) -> None:
    models = [Model(number, created_ms=number) for number in range(1, 260)]
    heavy = [model.model_id for model in models[:5]]
    async with connected(database_url) as connection:
        await insert(connection, models)
        # 250,000 values of 64 bytes and a key are more than an answer has of one model.
        await connection.execute(
            "INSERT INTO logged_model_metrics"
            " SELECT id, repeat('k', 36), n, 0, n, '', '', ''"
            " FROM unnest($1::text[]) id, generate_series(1, 250000) n",
            heavy,
        )
        got = await query.get_logged_model(connection, heavy[0])
        assert got is not None
        values = [metric.value for metric in got.metrics]
        kept = MAX_BYTES_OF_ONE // 100
        assert values == list(range(250_001 - kept, 250_001))
        request = m.SearchLoggedModelsRequest(experiment_ids=["1"], page_size=1_000)
        found: list[str] = []
        while not found or request.page_token:
            page = await query.search_logged_models(connection, request)
            assert page.ByteSize() < MAX_MESSAGE_BYTES
            found += [model.model_id for model in page.models]
            request.page_token = page.next_page_token
        assert found == [model.model_id for model in reversed(models)]
