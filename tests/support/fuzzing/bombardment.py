"""A stack under mutated messages from every side, good runs written meanwhile; what is wrong afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import grpc.aio
import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from rekam.testing import LocalStack
from rekam_proto.local.v1 import local_pb2, local_pb2_grpc
from rekam_proto.tracking.v1 import experiment_pb2, experiment_pb2_grpc, read_pb2, run_pb2, run_pb2_grpc
from tests.support.fuzzing.commands import Caller, methods_of
from tests.support.fuzzing.http import bombard_http
from tests.support.fuzzing.requests import Known
from tests.support.fuzzing.streams import FuzzedStream, Sent, lines_of, points_of

MIB = 1024 * 1024
MOST_GROWTH = 256 * MIB
STREAMS = 8
# Of those that commands are called for, some are deleted; no change of a bit or two makes one of these.
_ASKED_EXPERIMENTS = (7, 8)
_FUZZED_EXPERIMENT = 41
_GOOD_EXPERIMENT = 42
_FRAMES_BEFORE = 50
_SHARE_OF_STREAMS = 0.5
_OPTIONS = [("grpc.max_receive_message_length", 64 * MIB), ("grpc.enable_http_proxy", 0)]


@dataclass
class Report:
    """What was sent, how it was answered, and what is wrong."""

    faults: list[str] = field(default_factory=list)
    streams: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, grpc.StatusCode]] = field(default_factory=Counter)

    def expect(self, true: bool, fault: str) -> None:
        if not true:
            self.faults.append(fault)


async def bombard(stack: LocalStack, random: Random, messages: int) -> Report:
    """Send so many messages, half over ingest streams and half as calls; check everything."""
    report = Report()
    async with grpc.aio.insecure_channel(stack.grpc, options=_OPTIONS) as channel:
        runs = run_pb2_grpc.RunServiceStub(channel)
        experiments = await _experiments(channel)
        good_ids = [await _run(channel, random, str(_GOOD_EXPERIMENT)) for _ in range(2)]
        fuzzed_ids = [await _run(channel, random, str(_FUZZED_EXPERIMENT)) for _ in range(3 * STREAMS)]
        asked_ids = [await _run(channel, random, experiments[1]) for _ in range(4)]
        known = Known(asked_ids, experiments)
        sent = Sent()

        def stream(run_ids: list[str], share: float, *bodies: str) -> FuzzedStream:
            of_its_own = Random(random.getrandbits(64))
            return FuzzedStream(
                channel, of_its_own, run_ids, known, sent, share, *([bodies] if bodies else [])
            )

        before = stream([*asked_ids, *good_ids], 0.0, "frame", "key_set", "open_run")
        await before.send(_FRAMES_BEFORE)
        good_before = [await runs.GetRun(run_pb2.GetRunRequest(run_id=run_id)) for run_id in good_ids]
        processes = await _processes(channel)
        quarantined = await _quarantined(processes)

        good = stream(good_ids, 0.0, "frame", "key_set", "open_run")
        fuzzed = [stream(fuzzed_ids[n::STREAMS], 0.9) for n in range(STREAMS)]
        caller = Caller(channel, await methods_of(channel), known, Random(random.getrandbits(64)))
        in_streams = int(messages * _SHARE_OF_STREAMS)
        async with _all_the_time(good), asyncio.TaskGroup() as tasks:
            for one in fuzzed:
                tasks.create_task(one.send(in_streams // STREAMS))
            tasks.create_task(caller.call(messages - in_streams))
            http = [
                tasks.create_task(bombard_http(host, port, Random(random.getrandbits(64)), messages // 100))
                for host, port in _http_ports(stack, processes)
            ]

        report.faults += [fault for task in http for fault in task.result()]
        for one in (before, good, *fuzzed):
            report.streams += one.outcomes
            report.faults += one.wrong
        for one in (before, good):
            taken = sum(number for (*_, how), number in one.outcomes.items() if how == "taken")
            report.expect(taken == one.outcomes.total(), f"a good stream was refused: {one.outcomes}")
        report.codes = caller.codes
        report.faults += [repr(answered) for answered in caller.wrong]
        for run_id in [*good_ids, *fuzzed_ids, *asked_ids]:
            found = Counter(await points_of(channel, run_id))
            expected = Counter(sent.of_run(run_id))
            lost, more = [*(expected - found).elements()], [*(found - expected).elements()]
            fault = f"run {run_id}: {len(lost)} points missing {lost[:3]}, {len(more)} too many {more[:3]}"
            report.expect(not lost and not more, fault)
        found_lines = [line for run_id in fuzzed_ids for line in await lines_of(channel, run_id)]
        report.expect(Counter(found_lines) == Counter(sent.lines), "there are other lines than were taken")
        for run in good_before:
            after = await runs.GetRun(run_pb2.GetRunRequest(run_id=run.run_id))
            report.expect(_without_metrics(after) == _without_metrics(run), f"a good run changed: {after}")
        for run_id in known.run_ids:
            read = await runs.GetRun(run_pb2.GetRunRequest(run_id=run_id))
            report.expect(read.run_id == run_id, f"run {run_id} is not there")
        await _check_processes(channel, processes, report)
        after_all = await _quarantined(processes)
        fault = f"set aside by stream: {quarantined} before, {after_all} after"
        report.expect(after_all == quarantined, fault)
    return report


async def _experiments(channel: grpc.aio.Channel) -> list[str]:
    """Up to the good one; answers those that may be asked for."""
    service = experiment_pb2_grpc.ExperimentServiceStub(channel)
    created = [
        await service.CreateExperiment(experiment_pb2.CreateExperimentRequest(name=f"experiment {n}"))
        for n in range(1, _GOOD_EXPERIMENT + 1)
    ]
    assert created[-1].experiment_id == str(_GOOD_EXPERIMENT)
    return [str(number) for number in _ASKED_EXPERIMENTS]


async def _run(channel: grpc.aio.Channel, random: Random, experiment_id: str) -> str:
    request = run_pb2.CreateRunRequest(
        run_id=f"{random.getrandbits(128):032x}",
        experiment_id=experiment_id,
        params=[read_pb2.Param(key="p", value="1")],
        tags=[read_pb2.Tag(key="t", value="a")],
    )
    return (await run_pb2_grpc.RunServiceStub(channel).CreateRun(request)).run_id


@asynccontextmanager
async def _all_the_time(stream: FuzzedStream) -> AsyncIterator[None]:
    """A stream goes on until the block ends."""
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await stream.send(50)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        over.set()
        await task


async def _processes(channel: grpc.aio.Channel) -> dict[str, local_pb2.Process]:
    local = local_pb2_grpc.LocalStackServiceStub(channel)
    return {
        process.name: process for process in (await local.Describe(local_pb2.DescribeRequest())).processes
    }


def _http_ports(stack: LocalStack, processes: dict[str, local_pb2.Process]) -> list[tuple[str, int]]:
    """The gateway's, and the operations ports of both roles of tracking."""
    listening = [
        stack.http.removeprefix("http://"),
        *(_environ(processes[name])["REKAM_OPS_LISTEN"] for name in ("tracking-serve", "tracking-project")),
    ]
    return [(host, int(port)) for host, port in (one.rsplit(":", 1) for one in listening)]


def _environ(process: local_pb2.Process) -> dict[str, str]:
    return psutil.Process(process.pid).environ()


async def _check_processes(
    channel: grpc.aio.Channel, before: dict[str, local_pb2.Process], report: Report
) -> None:
    for name, process in (await _processes(channel)).items():
        report.expect(process.pid == before[name].pid, f"{name} died")
        report.expect(process.restarts == before[name].restarts, f"{name} was started again")
        grown = process.resident_bytes - before[name].resident_bytes
        report.expect(grown < MOST_GROWTH, f"{name} grew by {grown / MIB:.0f} MiB")


async def _quarantined(processes: dict[str, local_pb2.Process]) -> dict[str, float]:
    """Records set aside by the projection up to now, by stream.

    How often a projector started over says nothing: a rebuild, which is among what is called, makes it.
    """
    project = _environ(processes["tracking-project"])["REKAM_OPS_LISTEN"]
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"http://{project}/metrics")).text
    return {
        sample.labels["stream"]: sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
        if sample.name == "rekam_projection_quarantined_total"
    }


def _without_metrics(run: run_pb2.Run) -> run_pb2.Run:
    copied = run_pb2.Run()
    copied.CopyFrom(run)
    copied.ClearField("metrics")
    return copied
