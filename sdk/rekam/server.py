"""Calls to a server: stubs on one channel per process, gRPC status mapped to the SDK's errors."""

from __future__ import annotations

import getpass
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from rekam import errors, settings
from rekam.delivery.channel import open_channel

if TYPE_CHECKING:
    import grpc

log = logging.getLogger("rekam")

_BY_STATUS: dict[str, type[errors.RekamError]] = {
    "INVALID_ARGUMENT": errors.Invalid,
    "OUT_OF_RANGE": errors.Invalid,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.AlreadyExists,
    "FAILED_PRECONDITION": errors.FailedPrecondition,
    "PERMISSION_DENIED": errors.Forbidden,
    "ABORTED": errors.Stale,
    "UNIMPLEMENTED": errors.Unsupported,
    "UNAVAILABLE": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.Unavailable,
    "RESOURCE_EXHAUSTED": errors.Unavailable,
    "CANCELLED": errors.Unavailable,
    "DATA_LOSS": errors.ArtifactError,
}
# Waits between tries, the last one again and again. About so long is a restart, and not worth a word.
_RETRY_SECONDS = (0.05, 0.2, 0.5, 1.0)
_QUIET_SECONDS = 2.0


class RegistryServices:
    """The services of the registry."""

    def __init__(self, channel: grpc.Channel) -> None:
        from rekam_proto.registry.v1 import (
            alias_pb2_grpc,
            history_pb2_grpc,
            model_pb2_grpc,
            resolve_pb2_grpc,
            transition_pb2_grpc,
            version_pb2_grpc,
            watch_pb2_grpc,
            webhook_pb2_grpc,
        )

        self.models = model_pb2_grpc.RegisteredModelServiceStub(channel)
        self.versions = version_pb2_grpc.ModelVersionServiceStub(channel)
        self.aliases = alias_pb2_grpc.AliasServiceStub(channel)
        self.transitions = transition_pb2_grpc.TransitionServiceStub(channel)
        self.history = history_pb2_grpc.HistoryServiceStub(channel)
        self.resolve = resolve_pb2_grpc.ResolveServiceStub(channel)
        self.watch = watch_pb2_grpc.WatchServiceStub(channel)
        self.webhooks = webhook_pb2_grpc.WebhookServiceStub(channel)


class Server:
    """The services of one gateway. Any number of threads may call."""

    def __init__(self, target: str) -> None:
        from rekam_proto.artifacts.v1 import artifact_pb2_grpc, transfer_pb2_grpc
        from rekam_proto.local.v1 import local_pb2_grpc
        from rekam_proto.log.v1 import archive_pb2_grpc, log_pb2_grpc
        from rekam_proto.tracking.v1 import (
            dataset_pb2_grpc,
            experiment_pb2_grpc,
            logged_model_pb2_grpc,
            metric_pb2_grpc,
            run_pb2_grpc,
            text_pb2_grpc,
        )

        self.target = target
        self.channel = open_channel(target)
        self.experiments = experiment_pb2_grpc.ExperimentServiceStub(self.channel)
        self.runs = run_pb2_grpc.RunServiceStub(self.channel)
        self.metrics = metric_pb2_grpc.MetricServiceStub(self.channel)
        self.texts = text_pb2_grpc.TextServiceStub(self.channel)
        self.datasets = dataset_pb2_grpc.DatasetServiceStub(self.channel)
        self.logged_models = logged_model_pb2_grpc.LoggedModelServiceStub(self.channel)
        self.artifacts = artifact_pb2_grpc.ArtifactServiceStub(self.channel)
        self.transfers = transfer_pb2_grpc.TransferServiceStub(self.channel)
        self.collection = artifact_pb2_grpc.CollectionServiceStub(self.channel)
        self.log = log_pb2_grpc.LogServiceStub(self.channel)
        self.archive = archive_pb2_grpc.ArchiveServiceStub(self.channel)
        self.local = local_pb2_grpc.LocalStackServiceStub(self.channel)

    @cached_property
    def registry(self) -> RegistryServices:
        """Those of the registry: most programs need none."""
        return RegistryServices(self.channel)

    def call(
        self, method: Callable[..., Any], request: Any, retry_timeout: float, *, timeout: float | None = None
    ) -> Any:
        """The answer to a unary request.

        Sent again for up to `retry_timeout` seconds while the server is away or busy. It may have
        been carried out all the same: a request must mean the same when it comes twice.
        timeout: seconds for one answer, REKAM_FLUSH_TIMEOUT if None.
        """
        import grpc

        patience = Patience(self.target, retry_timeout)
        while True:
            try:
                return method(request, timeout=timeout or settings.current().flush_timeout)
            except grpc.RpcError as error:
                patience.wait_after(error)

    def stream(self, method: Callable[..., Any], request: Any, retry_timeout: float) -> Iterator[Any]:
        """The answers to a request, as they come; asked again while none has come."""
        import grpc

        patience = Patience(self.target, retry_timeout)
        while True:
            answered = False
            call = method(request)
            try:
                for answer in call:
                    answered = True
                    yield answer
                return
            except grpc.RpcError as error:
                if answered:
                    raise error_from(error, self.target) from None
                patience.wait_after(error)
            finally:
                call.cancel()

    def raw_stream(self, path: str, request: Any, answer: Any, retry_timeout: float) -> Iterator[Any]:
        """Like `stream`, reading the answers as the wire-compatible message `answer`."""
        method = self.channel.unary_stream(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        return self.stream(method, request, retry_timeout)

    def raw_call(self, path: str, request: Any, answer: Any, retry_timeout: float) -> Any:
        """Like `call`, reading the answer as the wire-compatible message `answer`."""
        method = self.channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        return self.call(method, request, retry_timeout)


class Patience:
    """How long one request is tried again."""

    def __init__(self, target: str, retry_timeout: float) -> None:
        self._target = target
        self._retry_timeout = retry_timeout
        self._begun = time.monotonic()
        self._waits = iter(_RETRY_SECONDS)
        self._told = False

    def renew(self) -> None:
        """It goes on: what comes next is tried as if it were the first."""
        self._begun = time.monotonic()
        self._waits = iter(_RETRY_SECONDS)

    def wait_after(self, error: grpc.RpcError) -> None:
        """Wait before the next try; raises the SDK's error when there is to be none."""
        self.wait(error_from(error, self._target))

    def wait(self, found: errors.RekamError) -> None:
        """The same, of an error of the SDK."""
        wait = next(self._waits, _RETRY_SECONDS[-1]) * random.uniform(0.5, 1.0)
        tried = time.monotonic() - self._begun
        if not isinstance(found, errors.Unavailable) or tried + wait > self._retry_timeout:
            raise found from None
        if tried > _QUIET_SECONDS and not self._told:
            self._told = True
            log.warning("%s; trying again for up to %g s", found, self._retry_timeout)
        time.sleep(wait)


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
    if name == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        kind = errors.Invalid
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
