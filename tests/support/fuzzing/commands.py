"""Every unary method that a gateway serves, called with messages that are nearly right."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import rekam_proto
from rekam_runtime.rpc.status import error_from_rpc
from tests.support.fuzzing.mutating import Mutator
from tests.support.fuzzing.requests import Known, Requests

Code = grpc.StatusCode
# What a request may be answered with, whatever it holds.
ANSWERS = frozenset(
    {
        Code.OK,
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.FAILED_PRECONDITION,
        Code.PERMISSION_DENIED,
    }
)
# Empties the stack, as it should.
_LEFT_OUT = frozenset({"rekam_proto.local.v1.LocalStackService.Reset"})
_CALL_S = 60.0
# Some streams go on until their caller ends them.
_STREAM_S = 2.0
# Calls whose request is as a client makes it, so that there is something to be asked for.
_VALID_SHARE = 0.15


@dataclass(frozen=True)
class Answered:
    """One call: what was sent, and the status it ended with."""

    method: str
    request: bytes
    code: Code
    message: str
    field: str

    @property
    def good(self) -> bool:
        """Taken, or refused with a reason; an invalid request by field, unless nothing of it can be read."""
        if self.code not in ANSWERS:
            return False
        if self.code is Code.INVALID_ARGUMENT:
            return bool(self.message) and (bool(self.field) or "cannot be read" in self.message)
        return self.code is Code.OK or bool(self.message)


async def methods_of(channel: grpc.aio.Channel) -> list[MethodDescriptor]:
    """Methods of Rekam's own that take one request, as the server itself lists its services."""
    for module in pkgutil.walk_packages(rekam_proto.__path__, "rekam_proto."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)

    async def asked() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    listed = await stub(channel).ServerReflectionInfo(asked()).read()
    names = sorted(service.name for service in listed.list_services_response.service)
    pool = descriptor_pool.Default()
    return [
        method
        for name in names
        if name.startswith("rekam_proto.")
        for method in pool.FindServiceByName(name).methods
        if not method.client_streaming and method.full_name not in _LEFT_OUT
    ]


class Caller:
    """Calls methods in turn with mutated requests; keeps what was answered wrongly."""

    def __init__(
        self, channel: grpc.aio.Channel, methods: list[MethodDescriptor], known: Known, random: Random
    ) -> None:
        self._channel = channel
        self._methods = methods
        self._known = known
        self._random = random
        self._requests = Requests(random, known)
        self._mutator = Mutator(random)
        self.codes: Counter[tuple[str, Code]] = Counter()
        self.wrong: list[Answered] = []

    async def call(self, times: int, beside: int = 8) -> None:
        """Make calls, some of them beside each other."""
        left = iter(range(times))

        async def some() -> None:
            for number in left:
                method = self._methods[number % len(self._methods)]
                answered = await self._call(method, self._request(method))
                self.codes[answered.method, answered.code] += 1
                if not answered.good:
                    self.wrong.append(answered)

        await asyncio.gather(*(some() for _ in range(beside)))

    def _request(self, method: MethodDescriptor) -> bytes:
        message = self._requests.make(method.input_type)
        if self._random.random() < _VALID_SHARE:
            return message.SerializeToString()
        return self._mutator.mutated(message)

    async def _call(self, method: MethodDescriptor, request: bytes) -> Answered:
        path = f"/{method.containing_service.full_name}/{method.name}"
        response = GetMessageClass(method.output_type)
        try:
            if method.server_streaming:
                stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(path)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_STREAM_S):
                        async for block in stream(request):
                            response.FromString(block)
            else:
                unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
                self._known.learn(response.FromString(await unary(request, timeout=_CALL_S)))
        except grpc.aio.AioRpcError as error:
            ours = error_from_rpc(error)
            return Answered(method.full_name, request, error.code(), ours.message, ours.field)
        return Answered(method.full_name, request, Code.OK, "", "")
