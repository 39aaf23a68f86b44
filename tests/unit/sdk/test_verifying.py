"""What must be there follows from a seed, and every difference from it is told by its kind."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from rekam.verifying.difference import Bounds, Difference, compare_count, compare_last, compare_points
from rekam.verifying.exporting import ReportCollector
from rekam.verifying.plan import Plan, lines_at, same
from rekam.verifying.report import Report

PLAN = Plan(seed=7, keys=("a", "b", "c"), begin_us=1_700_000_000_000_000)
Point = tuple[int, int, float]


def points(steps: int, number: int = 1) -> list[Point]:
    return [(step, PLAN.time_us(step), PLAN.value(number, step)) for step in range(steps)]


def compared(found: list[Point], least: int, most: int) -> Difference:
    difference = Difference()
    compare_points(difference, PLAN, 1, Bounds(least, most), found)
    return difference


def counts(difference: Difference) -> tuple[int, int, int]:
    return difference.missing, difference.doubled, difference.wrong


@given(st.integers(0, 300), st.integers(0, 300), st.randoms())
def test_between_acknowledged_and_written_all_is_well(one: int, other: int, random: object) -> None:
    least, most = sorted((one, other))
    for there in {least, (least + most) // 2, most}:
        found = points(there)
        random.shuffle(found)  # type: ignore[attr-defined]
        difference = compared(found, least, most)
        assert not difference
        assert difference.read == there


def test_each_difference_has_its_kind() -> None:
    good = points(200)
    assert counts(compared(good[:150], 200, 200)) == (50, 0, 0)
    assert counts(compared(good[:50] + good[60:], 200, 200)) == (10, 0, 0)
    assert counts(compared(good + good[5:8], 200, 200)) == (0, 3, 0)
    assert counts(compared(points(201), 200, 200)) == (0, 0, 1)
    assert counts(compared([*good[:-1], (199, PLAN.time_us(199), 5.0)], 200, 200)) == (0, 0, 1)
    assert counts(compared([*good[:-1], (199, 1, good[-1][2])], 200, 200)) == (0, 0, 1)
    # Another key's values are nobody's here.
    assert counts(compared(points(200, number=2), 200, 200))[2] > 190


def test_counts_and_last_values() -> None:
    found = Difference()
    assert compare_count(found, "points", 5, Bounds(5, 6))
    assert compare_last(found, "latest", 6, Bounds(5, 6))
    assert not found
    assert not compare_count(found, "points", 3, Bounds(5, 6))
    assert not compare_count(found, "points", 8, Bounds(5, 6))
    assert not compare_last(found, "latest", 4, Bounds(5, 6))
    assert not compare_last(found, "latest", 7, Bounds(5, 6))
    assert counts(found) == (3, 2, 1)
    assert [note.split(":")[0] for note in found.notes] == ["missing", "doubled", "missing", "wrong"]


def test_values_are_alike_in_nothing_and_include_the_odd_ones() -> None:
    values = [PLAN.value(number, step) for number in range(3) for step in range(1000)]
    ordinary = [value for value in values if math.isfinite(value) and value != 0.0]
    assert len(set(ordinary)) == len(ordinary) > 2900
    assert any(map(math.isnan, values)) and math.inf in values and -math.inf in values
    assert not same(0.0, -0.0)
    assert same(math.nan, math.nan)
    assert [lines_at(steps) for steps in (0, 1, 10, 11, 20, 21)] == [0, 1, 1, 2, 2, 3]


def test_a_report_counts_and_is_exported() -> None:
    report = Report()
    registry = CollectorRegistry()
    registry.register(ReportCollector(report))

    def exported(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"rekam_verify_{name}", labels)

    report.add_written(30)
    report.add_acknowledged(20, 0.03)
    assert report.summary()["clean"]
    report.add_read("history", compared(points(5), 10, 10), "ab" * 16, late=2)
    report.add_error("flush", ValueError("no"))
    report.away()
    report.away()
    assert exported("server_away") == 1
    report.back()
    assert exported("server_away") == 0
    assert not report.summary()["clean"]
    assert exported("written_total") == 30
    assert exported("acknowledged_total") == 20
    assert exported("missing_total", door="history") == 5
    assert exported("late_total", door="history") == 2
    assert exported("client_errors_total", doing="flush", error="ValueError") == 1
    assert exported("outages_total") == 1
    assert exported("acknowledge_seconds_count") == 1
    assert exported("acknowledge_seconds_bucket", le="0.02") == 0
    assert exported("acknowledge_seconds_bucket", le="0.05") == 1
    summary = report.summary()
    assert summary["missing"] == {"history": 5}
    assert "history of run abab" in summary["notes"][0]


@pytest.mark.parametrize(
    ("seconds", "half"), [([], 0.0), ([0.003], 0.003), ([0.003, 0.003, 9.0], 0.005), ([99.0], 99.0)]
)
def test_shares_of_a_histogram(seconds: list[float], half: float) -> None:
    report = Report()
    for each in seconds:
        report.add_fresh(each)
    assert report.fresh.at_most(0.5) == half
