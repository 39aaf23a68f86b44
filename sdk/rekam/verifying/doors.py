"""Every way to read a run, each compared with what was written."""

from __future__ import annotations

import math
from collections.abc import Callable

from rekam.client import Client
from rekam.entities import Buckets
from rekam.verifying.difference import Bounds, Difference, compare_count, compare_last, compare_points
from rekam.verifying.plan import STEP_TAG, STREAM, Plan, lines_at, same
from rekam.verifying.written import Written

Door = Callable[[Client, str, Written], Difference]
_BUCKETS = 50


def read_run(client: Client, experiment_id: str, run: Written) -> Difference:
    """get_run: status, params, tags, latest values."""
    found = Difference()
    least, ended = run.acknowledged, run.ended
    answer = client.get_run(run.run_id)
    _compare_run(found, run, run.bounds(least), answer.data.params, answer.data.tags)
    latest = {key: (point.step, point.time_us, point.value) for key, point in answer.data.latest.items()}
    _compare_latest(found, run, run.bounds(least), latest)
    if ended and answer.info.status != "FINISHED":
        found.miss(1, f"the status FINISHED, it is {answer.info.status}")
    return found


def search(client: Client, experiment_id: str, run: Written) -> Difference:
    """search_runs, by a param and by a metric."""
    found = Difference()
    least = run.acknowledged
    key = run.plan.keys[0]
    by_param = f"params.`verify.seed` = '{run.plan.seed}'"
    answer = client.search_runs([experiment_id], by_param, max_results=2, order_by=[f"metrics.`{key}` DESC"])
    found.read += len(answer)
    if not answer:
        found.miss(1, "the run, searched by its param")
        return found
    if len(answer) > 1 or answer[0].info.run_id != run.run_id:
        found.mistake(f"searched by its param, there are {[each.info.run_id for each in answer]}")
        return found
    data = answer[0].data
    latest = {key: (point.step, point.time_us, point.value) for key, point in data.latest.items()}
    bounds = run.bounds(least)
    _compare_latest(found, run, bounds, latest)
    _compare_run(found, run, bounds, data.params, data.tags)
    return found


def history(client: Client, experiment_id: str, run: Written) -> Difference:
    """GetHistory, page by page, of this writer."""
    found = Difference()
    for number, key in enumerate(run.plan.keys):
        least = run.acknowledged
        points = client.get_history(run.run_id, key, writer=run.writer)
        rows = zip(points.steps.tolist(), points.times_us.tolist(), points.values.tolist(), strict=True)
        compare_points(found, run.plan, number, run.bounds(least), rows)
    return found


def stream(client: Client, experiment_id: str, run: Written) -> Difference:
    """StreamHistory, all keys at once."""
    found = Difference()
    least = run.acknowledged
    series: dict[str, list[tuple[int, int, float]]] = {key: [] for key in run.plan.keys}
    for block in client.stream_history([run.run_id], run.plan.keys):
        series[block.key] += zip(
            block.steps.tolist(), block.times_us.tolist(), block.values.tolist(), strict=True
        )
    for number, points in enumerate(series.values()):
        compare_points(found, run.plan, number, run.bounds(least), points)
    return found


def buckets(client: Client, experiment_id: str, run: Written) -> Difference:
    """Buckets: number of points, and of each bucket the count, NaNs, least, greatest and last."""
    found = Difference()
    least = run.acknowledged
    answer = {each.key: each for each in client.get_buckets([run.run_id], run.plan.keys, _BUCKETS)}
    bounds = run.bounds(least)
    for number, key in enumerate(run.plan.keys):
        each = answer.get(key)
        count = sum(each.count) if each is not None else 0
        found.read += count
        if compare_count(found, f"points of {key} in buckets", count, bounds) and each is not None:
            _compare_buckets(found, run.plan, number, each)
    return found


def listed(client: Client, experiment_id: str, run: Written) -> Difference:
    """ListMetrics: the keys and how many points each has."""
    found = Difference()
    least = run.acknowledged
    answer = {each.key: each.points for each in client.list_metrics(run.run_id)}
    bounds = run.bounds(least)
    for key in run.plan.keys:
        found.read += answer.get(key, 0)
        compare_count(found, f"points of {key}, as listed", answer.get(key, 0), bounds)
    for key in answer.keys() - set(run.plan.keys):
        found.mistake(f"there is a metric {key}")
    return found


def complete(client: Client, experiment_id: str, run: Written) -> Difference:
    """Completeness: no gap, and as many points as there should be."""
    found = Difference()
    least = run.acknowledged
    answer = client.get_completeness(run.run_id)
    bounds = run.bounds(least)
    width = len(run.plan.keys)
    points = sum(each.points for each in answer)
    found.read += points
    compare_count(found, "points, by writer", points, bounds.of(lambda steps: steps * width))
    for each in answer:
        if each.writer != run.writer:
            found.mistake(f"there is a writer {each.writer}")
        for first, last in each.gaps:
            found.miss(last - first + 1, f"records {first} to {last} of {each.writer}")
    return found


def text(client: Client, experiment_id: str, run: Written) -> Difference:
    """The lines of text, in order."""
    found = Difference()
    least = run.acknowledged
    lines = [line.text for line in client.get_text(run.run_id, STREAM)]
    bounds = run.bounds(least)
    found.read += len(lines)
    compare_count(found, "lines of text", len(lines), bounds.of(lines_at))
    for number, line in enumerate(lines[: lines_at(bounds.most)]):
        if line != run.plan.line(number):
            found.mistake(f"line {number} is {line!r}, {run.plan.line(number)!r} was written")
    return found


DOORS: dict[str, Door] = {
    "run": read_run,
    "search": search,
    "history": history,
    "stream": stream,
    "buckets": buckets,
    "metrics": listed,
    "completeness": complete,
    "text": text,
}


def _compare_run(
    found: Difference, run: Written, bounds: Bounds, params: dict[str, str], tags: dict[str, str]
) -> None:
    for key, value in run.plan.params.items():
        found.read += 1
        if key not in params:
            found.miss(1 if bounds.least else 0, f"the param {key}")
        elif params[key] != value:
            found.mistake(f"the param {key} is {params[key]!r}, {value!r} was written")
    found.read += 1
    step = int(tags.get(STEP_TAG, "0"))
    compare_last(found, f"the tag {STEP_TAG}", step, bounds)


def _compare_latest(
    found: Difference, run: Written, bounds: Bounds, latest: dict[str, tuple[int, int, float]]
) -> None:
    for number, key in enumerate(run.plan.keys):
        found.read += 1
        step, time_us, value = latest.get(key, (-1, 0, 0.0))
        if not compare_last(found, f"the latest of {key}", step + 1, bounds):
            continue
        if step >= 0 and not (
            same(value, run.plan.value(number, step)) and time_us == run.plan.time_us(step)
        ):
            found.mistake(f"the latest of {key}, at step {step}, is {value!r}")


def _compare_buckets(found: Difference, plan: Plan, number: int, read: Buckets) -> None:
    for i, (first, last) in enumerate(zip(read.first_x, read.last_x, strict=True)):
        values = [plan.value(number, step) for step in range(first, last + 1)]
        numbers = [value for value in values if not math.isnan(value)] or [math.nan]
        counts = (len(values), sum(map(math.isnan, values)))
        ends = (min(numbers), max(numbers), values[-1])
        if (read.count[i], read.nans[i]) != counts or not all(
            map(same, (read.min[i], read.max[i], read.last[i]), ends)
        ):
            found.mistake(f"the bucket of {plan.keys[number]} over steps {first} to {last}")
