"""Which runs take points: asked once for some seconds, forgotten when recalled, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import grpc.aio
import pytest

from rekam_gateway.ingest import runs as module
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.tracking import TrackingClient
from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.recall import Recaller
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort

SERVICE = run_pb2.DESCRIPTOR.services_by_name["RunService"].full_name
RUN = "1" * 32


@dataclass
class Tracking:
    """Says what it is told to say, counts, and may be slow to say it."""

    deleted: bool = False
    asked: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def handler(self) -> grpc.GenericRpcHandler:
        method: grpc.RpcMethodHandler[run_pb2.GetRunStateRequest, run_pb2.RunState] = (
            grpc.unary_unary_rpc_method_handler(
                self._state, run_pb2.GetRunStateRequest.FromString, run_pb2.RunState.SerializeToString
            )
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"GetRunState": method})

    async def _state(
        self,
        request: run_pb2.GetRunStateRequest,
        context: grpc.aio.ServicerContext[run_pb2.GetRunStateRequest, run_pb2.RunState],
    ) -> run_pb2.RunState:
        self.asked += 1
        lifecycle = read_pb2.LIFECYCLE_DELETED if self.deleted else read_pb2.LIFECYCLE_ACTIVE
        await self.answers.wait()
        return run_pb2.RunState(run_id=request.run_id, experiment_id="7", lifecycle=lifecycle)


@dataclass
class Gateway:
    runs: Runs
    tracking: Tracking
    recaller: Recaller

    async def recall(self, aggregate: str) -> None:
        async with asyncio.timeout(20):
            await self.recaller.recall(aggregate)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    tracking, log = Tracking(), MemoryLog()
    tracking.answers.set()
    service = Service(SERVICE, lambda server: server.add_generic_rpc_handlers((tracking.handler(),)))
    async with (
        build_server([service], HostPort("127.0.0.1", 0)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        Recaller(log) as recaller,
    ):
        runs = Runs(TrackingClient(channel), log)
        keeping = asyncio.create_task(runs.keeper.run())
        deadline = asyncio.get_running_loop().time() + 20
        while not runs.keeper.known:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        yield Gateway(runs, tracking, recaller)
        keeping.cancel()


async def test_a_run_is_asked_about_once(gateway: Gateway) -> None:
    for _ in range(5):
        await gateway.runs.require_lately_active(RUN)
    assert gateway.tracking.asked == 1
    await gateway.runs.require_active(RUN)
    assert gateway.tracking.asked == 2


@pytest.mark.parametrize("aggregate", [f"run/{RUN}", "experiment/7"])
async def test_what_is_recalled_is_asked_about_again(gateway: Gateway, aggregate: str) -> None:
    await gateway.runs.require_lately_active(RUN)
    gateway.tracking.deleted = True
    await gateway.recall("experiment/8")
    await gateway.runs.require_lately_active(RUN)
    await gateway.recall(aggregate)
    with pytest.raises(FailedPrecondition, match="must be in the 'active' state"):
        await gateway.runs.require_lately_active(RUN)
    gateway.tracking.deleted = False
    await gateway.runs.require_lately_active(RUN)


async def test_an_answer_from_before_a_recall_is_not_remembered(gateway: Gateway) -> None:
    gateway.tracking.answers.clear()
    asking = asyncio.create_task(gateway.runs.require_lately_active(RUN))
    async with asyncio.timeout(20):
        while not gateway.tracking.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await gateway.recall(f"run/{RUN}")
    gateway.tracking.answers.set()
    await asking
    gateway.tracking.deleted = True
    with pytest.raises(FailedPrecondition):
        await gateway.runs.require_lately_active(RUN)


async def test_what_was_just_created_need_not_be_asked_about(gateway: Gateway) -> None:
    gateway.runs.note_active(RUN, "7", gateway.runs.moment())
    await gateway.runs.require_lately_active(RUN)
    assert gateway.tracking.asked == 0


async def test_those_used_least_lately_are_forgotten(gateway: Gateway) -> None:
    for number in range(module.REMEMBERED + 1):
        gateway.runs.note_active(f"{number:032x}", "7", gateway.runs.moment())
    await gateway.runs.require_lately_active(f"{module.REMEMBERED:032x}")
    assert gateway.tracking.asked == 0
    await gateway.runs.require_lately_active(f"{0:032x}")
    assert gateway.tracking.asked == 1
