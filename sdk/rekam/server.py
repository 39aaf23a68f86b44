"""Calls to a server: stubs on one channel per process, gRPC status mapped to the SDK's errors."""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from rekam import errors, settings
from rekam.delivery.channel import open_channel

if TYPE_CHECKING:
    import grpc

_BY_STATUS: dict[str, type[errors.RekamError]] = {
    "INVALID_ARGUMENT": errors.Invalid,
    "OUT_OF_RANGE": errors.Invalid,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.AlreadyExists,
    "FAILED_PRECONDITION": errors.FailedPrecondition,
    "UNIMPLEMENTED": errors.Unsupported,
    "UNAVAILABLE": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.Unavailable,
    "RESOURCE_EXHAUSTED": errors.Unavailable,
}
_RETRY_SECONDS = (0.05, 0.2, 0.5, 1.0)


class Server:
    """The services of one gateway. Any number of threads may call."""

    def __init__(self, target: str) -> None:
        from rekam_proto.local.v1 import local_pb2_grpc
        from rekam_proto.log.v1 import log_pb2_grpc
        from rekam_proto.tracking.v1 import experiment_pb2_grpc, metric_pb2_grpc, run_pb2_grpc

        self.target = target
        self.channel = open_channel(target)
        self.experiments = experiment_pb2_grpc.ExperimentServiceStub(self.channel)
        self.runs = run_pb2_grpc.RunServiceStub(self.channel)
        self.metrics = metric_pb2_grpc.MetricServiceStub(self.channel)
        self.log = log_pb2_grpc.LogServiceStub(self.channel)
        self.local = local_pb2_grpc.LocalStackServiceStub(self.channel)

    def call(self, method: Callable[..., Any], request: Any, timeout: float | None = None) -> Any:
        """The answer to a unary request.

        Tries again for up to `connect_timeout` while the server is not there, which nothing was
        decided by. timeout: seconds for the answer, `flush_timeout` by default.
        """
        import grpc

        options = settings.current()
        timeout = options.flush_timeout if timeout is None else timeout
        give_up = time.monotonic() + min(options.connect_timeout, timeout)
        waits = iter(_RETRY_SECONDS)
        while True:
            try:
                return method(request, timeout=timeout)
            except grpc.RpcError as error:
                wait = next(waits, _RETRY_SECONDS[-1])
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() + wait > give_up:
                    raise error_from(error, self.target) from None
                time.sleep(wait)

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """The answers to a request, as they come."""
        import grpc

        call = method(request)
        try:
            yield from call
        except grpc.RpcError as error:
            raise error_from(error, self.target) from None
        finally:
            call.cancel()

    def raw_stream(self, path: str, request: Any, answer: Any) -> Iterator[Any]:
        """Like `stream`, reading the answers as the wire-compatible message `answer`."""
        method = self.channel.unary_stream(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        return self.stream(method, request)

    def raw_call(self, path: str, request: Any, answer: Any) -> Any:
        """Like `call`, reading the answer as the wire-compatible message `answer`."""
        method = self.channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        return self.call(method, request)


_servers: dict[tuple[int, str], Server] = {}
_lock = threading.Lock()


def server_for(target: str) -> Server:
    """This process' channel to host:port. A forked child gets its own."""
    key = (os.getpid(), target)
    with _lock:
        found = _servers.get(key)
        if found is None:
            found = _servers[key] = Server(target)
        return found


def error_from(error: grpc.RpcError, target: str) -> errors.RekamError:
    """The SDK's error for a failed call, with the field that the server named."""
    call: Any = error
    name = call.code().name
    kind = _BY_STATUS.get(name, errors.RekamError)
    message = call.details() or name
    if kind is errors.Unavailable:
        return errors.Unavailable(f"{target}: {name}: {message}")
    if kind is errors.RekamError:
        message = f"{name}: {message}"
    return kind(message, field=_field_of(call))


def _field_of(call: Any) -> str:
    from google.rpc import error_details_pb2, status_pb2

    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                violations = error_details_pb2.BadRequest()
                if detail.Unpack(violations) and violations.field_violations:
                    return str(violations.field_violations[0].field)
    return ""


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@cache
def user_name() -> str:
    """Who runs this process, as far as it can be told."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
