"""Processes killed while versions are promoted: every watcher is told every change, once, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from rekam.testing import LocalStack
from rekam_proto.registry.v1 import (
    alias_pb2,
    alias_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    resolve_pb2,
    resolve_pb2_grpc,
    version_pb2,
    version_pb2_grpc,
    watch_pb2,
    watch_pb2_grpc,
)
from rekam_proto.registry.v1.read_pb2 import STAGE_PRODUCTION, AsOf, By
from tests.support.faults import Faults, persistently
from tests.support.stack import until

VICTIMS = ("registry-serve", "registry-project", "gateway", "nats", "postgres")
VERSIONS = 3
NAME = "Fraud ☃"


class Watcher:
    """Watches for ever, resumed whenever it is cut off; keeps what it was told."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = watch_pb2_grpc.WatchServiceStub(channel)
        self._call: Any = None
        self._stopped = False
        self.position = 0
        self.versions: list[int] = []
        self.changes: list[history_pb2.Change] = []
        self.cut_off = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._watch()
            except grpc.RpcError:
                self.cut_off += 1
                time.sleep(0.05)

    def _watch(self) -> None:
        request = watch_pb2.WatchRequest(names=[NAME], resume_after=self.position, heartbeat_ms=200)
        if not self.position:
            self.versions.clear()
        self._call = self._stub.Watch(request)
        for response in self._call:
            kind = response.WhichOneof("kind")
            if kind == "version":
                self.versions.append(response.version.version)
            elif kind == "change":
                self.changes.append(response.change)
            self.position = response.position or self.position

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
        self._thread.join(timeout=20)


class Promoter:
    """Moves an alias and the stage from version to version, for ever."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._aliases = alias_pb2_grpc.AliasServiceStub(channel)
        self._versions = version_pb2_grpc.ModelVersionServiceStub(channel)
        self._stopped = False
        self.promotions = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            version = self.promotions % VERSIONS + 1
            by = By(actor="ada", reason=f"promotion {self.promotions}")
            pointing = alias_pb2.SetAliasRequest(name=NAME, alias="champion", version=version, by=by)
            persistently(lambda request=pointing: self._aliases.SetAlias(request, timeout=10))  # type: ignore[misc]
            moving = version_pb2.TransitionModelVersionRequest(
                name=NAME, version=version, stage=STAGE_PRODUCTION, archive_existing=True, by=by
            )
            persistently(lambda request=moving: self._versions.TransitionModelVersion(request, timeout=10))  # type: ignore[misc]
            self.promotions += 1
            time.sleep(0.01)

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(timeout=120)
        assert not self._thread.is_alive()


@contextmanager
def opened(stack: LocalStack) -> Iterator[grpc.Channel]:
    # Reconnects soon after a gateway has come back.
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 500)]
    with grpc.insecure_channel(stack.grpc, options=options) as channel:
        yield channel


def history(channel: grpc.Channel) -> list[history_pb2.Change]:
    """Everything that happened to the model, the oldest first."""
    stub = history_pb2_grpc.HistoryServiceStub(channel)
    changes: list[history_pb2.Change] = []
    token = ""
    while True:
        request = history_pb2.GetHistoryRequest(name=NAME, page_size=1_000, page_token=token)
        page = persistently(lambda asked=request: stub.GetHistory(asked, timeout=20))  # type: ignore[misc]
        changes += page.changes
        token = page.next_page_token
        if not token:
            return changes[::-1]


def test_each_killed_in_turn_while_versions_are_promoted(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    by = By(actor="ada", reason="a test")
    with opened(mortal_stack) as channel:
        models = model_pb2_grpc.RegisteredModelServiceStub(channel)
        models.CreateRegisteredModel(model_pb2.CreateRegisteredModelRequest(name=NAME, by=by), timeout=20)
        versions = version_pb2_grpc.ModelVersionServiceStub(channel)
        for _ in range(VERSIONS):
            versions.CreateModelVersion(
                version_pb2.CreateModelVersionRequest(name=NAME, source="s3://b/m", by=by), timeout=20
            )
        watchers = [Watcher(channel) for _ in range(4)]
        until("all watch", lambda: all(watcher.position for watcher in watchers))
        promoter = Promoter(channel)
        for name in VICTIMS:
            before = faults.pids()
            promoted = promoter.promotions
            faults.kill(name)
            faults.all_ready({name: before[name]})
            # Bound now: the loop goes on.
            until(f"{name} is back", lambda past=promoted: promoter.promotions > past + 3)  # type: ignore[misc]
        promoter.stop()
        happened = history(channel)
        last = happened[-1].position
        until("all were told", lambda: all(watcher.position >= last for watcher in watchers))
        for watcher in watchers:
            watcher.stop()
            assert sorted(watcher.versions) == [1, 2, 3]
            assert watcher.changes == happened[-len(watcher.changes) :]
            assert len(watcher.changes) >= promoter.promotions
            assert watcher.cut_off > 0
        _check_every_moment(channel, happened)


def _check_every_moment(channel: grpc.Channel, happened: list[history_pb2.Change]) -> None:
    """As of each change the alias points where that change, or the last one before it, put it."""
    stub = resolve_pb2_grpc.ResolveServiceStub(channel)
    moved = [change for change in happened if change.HasField("alias_set")]
    for change in moved[:: max(1, len(moved) // 50)]:
        for as_of in (AsOf(position=change.position), AsOf(time_us=change.time_us)):
            request = resolve_pb2.ResolveRequest(uri=f"models:/{NAME}@champion", as_of=as_of)
            assert stub.Resolve(request, timeout=20).version.version == change.alias_set.version
