"""gRPC through a process of its own: every kind of call, and bounds either way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from rekam.delivery.relay import WINDOW, RelayChannel, RelayError
from tests.support.stack import until

MESSAGE = b"x" * 65_536
MANY = 400


class Handler(grpc.GenericRpcHandler):
    """/count: how many bytes came, when it may read; /repeat: so many messages; /refuse: an error."""

    def __init__(self) -> None:
        self.may_read = threading.Event()
        self.sent = 0

    def service(self, details: Any) -> Any:
        if details.method == "/count":
            return grpc.stream_unary_rpc_method_handler(self._count)
        if details.method == "/repeat":
            return grpc.unary_stream_rpc_method_handler(self._repeat)
        return grpc.stream_unary_rpc_method_handler(self._refuse)

    def _count(self, requests: Iterator[bytes], _: Any) -> bytes:
        assert self.may_read.wait(60)
        return str(sum(map(len, requests))).encode()

    def _repeat(self, request: bytes, _: Any) -> Iterator[bytes]:
        for _ in range(int(request)):
            self.sent += 1
            yield MESSAGE

    def _refuse(self, requests: Iterator[bytes], context: Any) -> bytes:
        next(requests)
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return b""


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def channel(handler: Handler) -> Iterator[RelayChannel]:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield RelayChannel(f"127.0.0.1:{port}")
    server.stop(None).wait()


def test_requests_wait_for_a_server_that_does_not_read(handler: Handler, channel: RelayChannel) -> None:
    produced: list[int] = []

    def requests() -> Iterator[bytes]:
        for number in range(MANY):
            produced.append(number)
            yield MESSAGE

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(channel.stream_unary("/count"), requests())
        until("some were sent", lambda: len(produced) > WINDOW)
        assert len(produced) < MANY
        handler.may_read.set()
        assert answer.result(60) == str(MANY * len(MESSAGE)).encode()


def test_answers_wait_for_who_does_not_read(handler: Handler, channel: RelayChannel) -> None:
    call = channel.unary_stream("/repeat")(str(MANY).encode())
    until("some came", lambda: handler.sent > WINDOW)
    assert call.answers.qsize() <= WINDOW
    assert sum(map(len, call)) == MANY * len(MESSAGE)


def test_a_call_that_is_refused_early_ends(channel: RelayChannel) -> None:
    with pytest.raises(RelayError) as caught:
        channel.stream_unary("/refuse")(MESSAGE for _ in range(MANY))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_call_that_is_cancelled_ends(handler: Handler, channel: RelayChannel) -> None:
    call = channel.unary_stream("/repeat")(str(MANY).encode())
    until("some came", lambda: handler.sent > WINDOW)
    call.cancel()
    with pytest.raises(RelayError):
        list(call)
