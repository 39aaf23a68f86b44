"""Random searches over random runs find what a slow reference finds, in its order, on any page size."""

from __future__ import annotations

import math
import random

import pytest

from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.filtering import parse_filter, parse_order_by
from rekam_runtime.postgres import Connection
from rekam_tracking.runs import query
from rekam_tracking.runs.fields import RUNS
from tests.support.run_rows import Point, RunRow, connected, expected, insert

SEARCHES = 50
# Few values, so that there are many ties; each kind of float that sorts or compares oddly.
NUMBERS = [0.0, -0.0, 0.5, 0.5, 1.0, -1.0, 3.0, 1e308, math.inf, -math.inf, math.nan, math.nan]
TEXTS = ["a", "b", "A", "ab", "aB%", "x_y", "é", "É", "\\", "it''s", "", "a" * 250, "a" * 249 + "b"]
STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]

VIEWS = [
    read_pb2.LIFECYCLE_VIEW_ACTIVE,
    read_pb2.LIFECYCLE_VIEW_ACTIVE,
    read_pb2.LIFECYCLE_VIEW_DELETED,
    read_pb2.LIFECYCLE_VIEW_ALL,
]


def random_run(rng: random.Random, number: int) -> RunRow:
    def some(keys: str, values: list[str]) -> dict[str, str]:
        return {key: rng.choice(values) for key in keys if rng.random() < 0.7}

    def point(keys: str) -> Point:
        return Point(rng.randrange(3), rng.randrange(3), {key: rng.choice(NUMBERS) for key in keys})

    def dataset() -> tuple[str, str | None]:
        return rng.choice("12"), rng.choice(["training", "eval", None])

    live = rng.random() < 0.3
    return RunRow(
        number,
        experiment_id=rng.choice([1, 1, 2, 3]),
        name=rng.choice(TEXTS),
        user=rng.choice(["ada", "bob", ""]),
        status=rng.choice(STATUSES),
        start_ms=rng.choice([None, 5, 5, 7, 2**40, -3]),
        end_ms=rng.choice([None, 6, 9]),
        lifecycle=int(rng.random() < 0.2),
        params=some("pq", TEXTS),
        tags=some("tu", TEXTS),
        settled=[point(key) for key in "mno" if rng.random() < 0.6],
        datasets={name: dataset() for name in rng.sample(["a", "b", "aB%"], rng.choice([0, 1, 2, 3]))},
        live=[point(keys) for keys in ("mn", "no", "m") if rng.random() < 0.6] if live else [],
    )


def random_filter(rng: random.Random, depth: int = 3) -> str:
    if depth and rng.random() < 0.6:
        parts = [random_filter(rng, depth - 1) for _ in range(rng.choice([1, 2, 2, 3, 9]))]
        joined = rng.choice([" AND ", " OR "]).join(f"({part})" for part in parts)
        return f"NOT ({joined})" if rng.random() < 0.3 else joined
    equal = ["=", "!="]
    order = ["<", "<=", ">", ">="]
    match = ["LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE"]
    text = rng.choice(
        [value for value in TEXTS if "'" not in value] + ["%a%", "a%", "%b", "_", "A_", "%é", "%\\"]
    )
    number = rng.choice(["0", "-1", "0.5", "1", "1e308", "1e999", "-1e999", "2.5"])
    time = rng.choice(["5", "6", "5.5", "-3", "0", "1e30", "-1e30", "1e999", str(-(2**63)), str(2**63)])
    ids = ", ".join(f"'{RunRow(rng.randrange(60)).run_id}'" for _ in range(9))
    return rng.choice(
        [
            f"metrics.{rng.choice('mnoz')} {rng.choice(equal + order)} {number}",
            f"metrics.{rng.choice('mno')} {rng.choice(order)} {number}",
            f"params.{rng.choice('pqz')} {rng.choice(equal + match)} '{text}'",
            f"tags.{rng.choice('tuz')} {rng.choice(equal + match)} '{text}'",
            f"{rng.choice(['params.p', 'tags.t'])} {rng.choice(['IS NULL', 'IS NOT NULL'])}",
            f"{rng.choice(['start_time', 'end_time'])} {rng.choice(equal + order)} {time}",
            f"{rng.choice(['run_name', 'user_id'])} {rng.choice(equal + match)} '{text}'",
            f"artifact_uri {rng.choice(match)} '{rng.choice(['x:/1/%', '%5', '%'])}'",
            f"status {rng.choice(equal)} '{rng.choice([*STATUSES, 'finished'])}'",
            f"status {rng.choice(match)} '{rng.choice(['F%', 'f%', '%ED', '_ILLED'])}'",
            f"run_id {rng.choice(['IN', 'NOT IN'])} ({ids}, 'no run')",
            f"datasets.name {rng.choice(equal + match)} '{rng.choice(['a', 'b', 'z', 'a%', 'A'])}'",
            f"dataset.digest {rng.choice([*equal, 'IN', 'NOT IN'])} ('1')".replace("= ('1')", "= '1'"),
            f"datasets.context {rng.choice(equal + match)} '{rng.choice(['training', 'eval', '%a%'])}'",
            f"run_id {rng.choice(match)} '%{rng.choice('0123456789abcdef')}'",
        ]
    )


def random_order(rng: random.Random) -> list[str]:
    keys = "metrics.m metrics.n metrics.z params.p params.q tags.t".split()
    keys += "start_time end_time status run_name user_id run_id".split()
    chosen = rng.sample(keys, rng.choice([0, 1, 1, 2, 3]))
    return [f"{key} {rng.choice(['ASC', 'DESC', ''])}" for key in chosen]


async def all_pages(connection: Connection, request: run_pb2.SearchRunsRequest) -> list[str]:
    found: list[str] = []
    while True:
        page = await query.search_runs(connection, request)
        assert len(page.runs) <= request.page_size
        found += [run.run_id for run in page.runs]
        if not page.next_page_token:
            return found
        # A page behind which there is another is full; the last is never empty.
        assert len(page.runs) == request.page_size
        request.page_token = page.next_page_token


@pytest.mark.parametrize("seed", range(4))
async def test_searches_find_what_the_reference_finds(database_url: str, seed: int) -> None:
    rng = random.Random(seed)
    runs = [random_run(rng, number) for number in range(60)]
    async with connected(database_url) as connection:
        await insert(connection, runs)
        for _ in range(SEARCHES):
            text = "" if rng.random() < 0.15 else random_filter(rng)
            order = random_order(rng)
            experiments = rng.choice([[1], [1, 2], [3, 2, 1], [1, 99]])
            view = rng.choice(VIEWS)
            wanted = expected(runs, experiments, view, parse_filter(text, RUNS), parse_order_by(order, RUNS))
            for size in (1_000, rng.choice([1, 2, 3, 7])):
                request = run_pb2.SearchRunsRequest(
                    experiment_ids=map(str, experiments),
                    filter=text,
                    order_by=order,
                    view=view,
                    page_size=size,
                )
                assert await all_pages(connection, request) == wanted, (text, order, experiments, view, size)
