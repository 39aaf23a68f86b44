"""The registry: uris resolved, promotions followed, registrations at once, long histories."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import grpc.aio

from bench import unary
from bench.report import Figures
from bench.stack import Stack
from rekam.registry import Registry as View
from rekam_proto.registry.v1 import (
    alias_pb2,
    alias_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    read_pb2,
    resolve_pb2,
    version_pb2,
    version_pb2_grpc,
)
from rekam_proto.tracking.v1.read_pb2 import CONSISTENCY_EVENTUAL
from rekam_registry import events
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.jetstream import JetStreamLog

BY = read_pb2.By(actor="bench", reason="to be measured")
MODEL = "Bench"
RESOLVED = 50
ROUNDS = 3
RESOLVES = 100_000
WATCHERS = 1_000
PROMOTIONS = 300
REGISTRATIONS = 100
EVENTS = 100_000
BATCH = 1_000
PAGE = 100
REPEATS = 9


class Registry:
    """The registry through the gateway. target: of the service itself."""

    def __init__(self, stack: Stack) -> None:
        self.pid = stack.pid("registry-serve")
        self.environment = stack.environment("registry-serve")
        self.target = self.environment["REKAM_GRPC_LISTEN"]
        self.models = model_pb2_grpc.RegisteredModelServiceStub(stack.channel)
        self.versions = version_pb2_grpc.ModelVersionServiceStub(stack.channel)
        self.aliases = alias_pb2_grpc.AliasServiceStub(stack.channel)
        self.history = history_pb2_grpc.HistoryServiceStub(stack.channel)

    def create(self, versions: int) -> str:
        """A model with versions; answers its id."""
        made = self.models.CreateRegisteredModel(model_pb2.CreateRegisteredModelRequest(name=MODEL, by=BY))
        for number in range(versions):
            source = f"s3://models/{number}"
            created = version_pb2.CreateModelVersionRequest(name=MODEL, source=source, by=BY)
            self.versions.CreateModelVersion(created)
        return made.model_id

    def promote(self, number: int) -> None:
        self.versions.TransitionModelVersion(
            version_pb2.TransitionModelVersionRequest(
                name=MODEL, version=number, stage=read_pb2.STAGE_PRODUCTION, archive_existing=True, by=BY
            )
        )


def measure_resolve(stack: Stack, figures: Figures) -> None:
    """`resolve_*` beside an empty method of the same server: both asked directly, by one client."""
    registry = Registry(stack)
    registry.create(3)
    registry.promote(2)
    request = resolve_pb2.ResolveRequest(uri=f"models:/{MODEL}/Production")
    with unary.empty_method() as empty:
        resolve = unary.Method(registry.target, request.SerializeToString(), registry.pid)
        nothing, resolved = unary.measure([empty, resolve], ROUNDS)
    figures.add("empty_method_p50_ms", nothing.p50_ms)
    figures.add("empty_method_per_s", nothing.per_s)
    figures.add("resolve_p50_ms", resolved.p50_ms)
    figures.add("resolve_per_s", resolved.per_s)
    figures.compare("resolve_per_s", "empty_method_per_s")
    figures.add("resolve_percent_of_empty_method", 100 * resolved.per_s / nothing.per_s)
    figures.add("empty_method_cpu_us", nothing.cpu_us)
    figures.add("resolve_cpu_us", resolved.cpu_us)


def measure_view(stack: Stack, figures: Figures) -> None:
    """`view_*`: a serving process that answers from memory, and is told of promotions."""
    registry = Registry(stack)
    registry.create(3)
    registry.promote(2)
    with View(f"grpc://{stack.target}", names=[MODEL]) as view:
        production = view.follow(f"models:/{MODEL}/Production")
        production.get()
        began = time.perf_counter()
        for _ in range(RESOLVES):
            view.resolve(f"models:/{MODEL}/Production")
        figures.add("view_resolve_us", (time.perf_counter() - began) / RESOLVES * 1_000_000)
        seconds = []
        for turn in range(PROMOTIONS):
            began = time.perf_counter()
            registry.promote(1 + turn % 2)
            version = production.get(timeout=10)
            seconds.append(time.perf_counter() - began)
            if version is None or version.version != 1 + turn % 2:
                raise RuntimeError(f"after a promotion of {1 + turn % 2} the view has {version}")
    figures.add("view_promotion_p50_ms", statistics.median(seconds) * 1_000)
    figures.add("view_promotion_p99_ms", statistics.quantiles(seconds, n=100)[-1] * 1_000)


def measure_promotions(stack: Stack, figures: Figures) -> None:
    """`promotion_*`: from a promotion's request until the last of 1,000 watchers has it."""
    registry = Registry(stack)
    registry.create(2)
    with _watched(registry.target, WATCHERS) as told:
        seconds: list[float] = []
        cpu_s: list[float] = []
        for turn in range(PROMOTIONS):
            began = time.monotonic()
            registry.promote(1 + turn % 2)
            at, used_s = next(told)
            seconds.append(at - began)
            cpu_s.append(used_s)
    figures.add("promotion_to_1000_watchers_p50_ms", statistics.median(seconds) * 1_000)
    figures.add("promotion_to_1000_watchers_p99_ms", statistics.quantiles(seconds, n=100)[-1] * 1_000)
    # A part of that time: the machine is shared.
    figures.add("promotion_watchers_cpu_ms", (cpu_s[-1] - cpu_s[0]) / (PROMOTIONS - 1) * 1_000)


@contextmanager
def _watched(target: str, count: int) -> Iterator[Iterator[tuple[float, float]]]:
    """A fleet that has the snapshot: for each change when the last one had it, and the CPU time used."""
    command = [sys.executable, "-m", "bench.watchers", "--grpc", target, "--name", MODEL]
    command += ["--watchers", str(count)]
    fleet = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert fleet.stdout is not None
    try:
        if fleet.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the watchers did not start: exit status {fleet.wait()}")
        lines = map(json.loads, fleet.stdout)
        yield ((line["at"], line["cpu_s"]) for line in lines)
    finally:
        fleet.terminate()
        fleet.wait(10)


def measure_registrations(stack: Stack, figures: Figures) -> None:
    """`registrations_*`: 100 clients register a version of one model at the same moment."""
    registry = Registry(stack)
    registry.create(0)
    began = time.perf_counter()
    numbers = asyncio.run(_register(stack.target))
    figures.add("registrations_at_once_ms", (time.perf_counter() - began) * 1_000)
    if sorted(numbers) != list(range(1, REGISTRATIONS + 1)):
        raise RuntimeError(f"{REGISTRATIONS} registrations were numbered {sorted(numbers)}")


async def _register(target: str) -> list[int]:
    async with grpc.aio.insecure_channel(target) as channel:
        versions = version_pb2_grpc.ModelVersionServiceStub(channel)
        request = version_pb2.CreateModelVersionRequest(name=MODEL, source="s3://models/x", by=BY)
        calls = [versions.CreateModelVersion(request) for _ in range(REGISTRATIONS)]
        return [(await call).version for call in calls]


def measure_history(stack: Stack, figures: Figures) -> None:
    """`history_100k_*`: pages of a model with 100,000 events, and the first command on it."""
    registry = Registry(stack)
    model_id = registry.create(2)
    first_us = time.time_ns() // 1_000
    began = time.perf_counter()
    asyncio.run(_move_often(registry.environment["REKAM_NATS_URL"], model_id))
    last = _until_projected(registry, EVENTS + 3)
    figures.add("history_100k_projected_per_s", EVENTS / (time.perf_counter() - began))
    point = alias_pb2.SetAliasRequest(name=MODEL, alias="champion", version=1, by=BY)
    figures.add("history_100k_first_command_ms", _median_ms(lambda: registry.aliases.SetAlias(point), 1))
    half_us = (first_us + last.time_us) // 2
    for name, request in {
        "first_page": history_pb2.GetHistoryRequest(),
        "deep_page": history_pb2.GetHistoryRequest(page_token=str(last.position // 2)),
        "version": history_pb2.GetHistoryRequest(version=1),
        "as_of": history_pb2.GetHistoryRequest(as_of=read_pb2.AsOf(time_us=half_us)),
    }.items():
        figures.add(f"history_100k_{name}_ms", _median_ms(partial(_page, registry, request), REPEATS))


def _page(registry: Registry, request: history_pb2.GetHistoryRequest) -> None:
    request.name, request.page_size = MODEL, PAGE
    found = len(registry.history.GetHistory(request).changes)
    if found != PAGE:
        raise RuntimeError(f"a page has {found} changes")


def _until_projected(registry: Registry, count: int) -> history_pb2.Change:
    """The last of so many changes of the model, once it can be read."""
    request = history_pb2.GetHistoryRequest(name=MODEL, page_size=1)
    request.consistency = CONSISTENCY_EVENTUAL
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        last = registry.history.GetHistory(request).changes[0]
        if last.position >= count:
            return last
        time.sleep(0.05)
    raise RuntimeError(f"the history is projected up to {last.position} only")


async def _move_often(url: str, model_id: str) -> None:
    """As many transitions of two versions, as the service writes them, straight into the log."""
    log = await JetStreamLog.connect(url, "rekam bench")
    stages = (read_pb2.STAGE_NONE, read_pb2.STAGE_STAGING, read_pb2.STAGE_PRODUCTION, read_pb2.STAGE_ARCHIVED)
    try:
        for first in range(0, EVENTS, BATCH):
            drafts = []
            for number in range(first, first + BATCH):
                turn = number // 2
                event = version_pb2.VersionTransitioned(
                    model_id=model_id,
                    version=1 + number % 2,
                    previous_stage=stages[turn % 4],
                    stage=stages[(turn + 1) % 4],
                    name=MODEL,
                )
                # Later than the model's creation, and each than the one before.
                moved = wrap(event, Cause("bench", "again"), aggregate=f"model/{model_id}")
                drafts.append(draft(events.model_subject(model_id), moved))
            await log.append_batch(drafts)
    finally:
        await log.close()


def _median_ms(call: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1_000
