"""The view of the registry that serving programs keep, against streams that the tests write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rekam.errors import ChangesMissed, FailedPrecondition, Invalid, NotFound, Unavailable
from rekam.registry import Registry
from rekam_proto.registry.v1 import alias_pb2, history_pb2, model_pb2, read_pb2, version_pb2, watch_pb2
from tests.support.ports import free_port
from tests.support.stack import until
from tests.support.watch_server import WatchCall, WatchServer

FRAUD = "a" * 32
SPAM = "b" * 32
CHAMPION = "models:/Fraud@champion"


@pytest.fixture
def server() -> Iterator[WatchServer]:
    with WatchServer() as started:
        yield started


def model(model_id: str = FRAUD, name: str = "Fraud", **aliases: int) -> watch_pb2.WatchResponse:
    pointing = [model_pb2.Alias(alias=alias, version=version) for alias, version in aliases.items()]
    return watch_pb2.WatchResponse(
        model=model_pb2.RegisteredModel(model_id=model_id, name=name, aliases=pointing)
    )


def version(
    number: int, stage: read_pb2.Stage = read_pb2.STAGE_NONE, model_id: str = FRAUD, name: str = "Fraud"
) -> watch_pb2.WatchResponse:
    return watch_pb2.WatchResponse(
        version=version_pb2.ModelVersion(model_id=model_id, name=name, version=number, stage=stage)
    )


def end(position: int) -> watch_pb2.WatchResponse:
    return watch_pb2.WatchResponse(position=position, snapshot_end=watch_pb2.SnapshotEnd())


def beat(position: int) -> watch_pb2.WatchResponse:
    return watch_pb2.WatchResponse(position=position, heartbeat=watch_pb2.Heartbeat())


def told(change: history_pb2.Change) -> watch_pb2.WatchResponse:
    return watch_pb2.WatchResponse(position=change.position, change=change)


def pointed(
    position: int, number: int, alias: str = "champion", model_id: str = FRAUD, name: str = "Fraud"
) -> watch_pb2.WatchResponse:
    event = alias_pb2.AliasSet(model_id=model_id, alias=alias, version=number, name=name)
    return told(history_pb2.Change(position=position, model_id=model_id, name=name, alias_set=event))


def renamed(position: int, old: str, new: str, model_id: str = FRAUD) -> watch_pb2.WatchResponse:
    event = model_pb2.ModelRenamed(model_id=model_id, name=new, old_name=old)
    return told(history_pb2.Change(position=position, model_id=model_id, name=new, model_renamed=event))


def snapshot(position: int = 10, champion: int = 1) -> list[watch_pb2.WatchResponse]:
    return [
        model(champion=champion),
        version(1),
        version(2, read_pb2.STAGE_PRODUCTION),
        version(3, read_pb2.STAGE_PRODUCTION),
        end(position),
    ]


def reaches(registry: Registry, position: int) -> None:
    until(f"the view is at {position}", lambda: registry.status.position >= position)


def test_every_form_of_a_uri_is_answered_from_memory(server: WatchServer) -> None:
    registry = Registry(server.uri, names=["Gone", "Fraud"], prefix="été", heartbeat=1)
    call = server.next_call()
    assert (list(call.request.names), call.request.name_prefix) == (["Fraud", "Gone"], "été")
    assert (call.request.resume_after, call.request.heartbeat_ms) == (0, 1_000)
    with pytest.raises(Unavailable, match="not been heard of yet"):
        registry.resolve(CHAMPION)
    assert registry.status.heard is None
    call.tell(*snapshot()[:-1])
    until("some of it has come", lambda: registry.status.heard)
    with pytest.raises(Unavailable):
        registry.resolve(CHAMPION)
    call.tell(end(10))
    with registry:
        for uri, number in (
            ("models:/Fraud/1", 1),
            ("models:///Fraud/production", 3),
            ("models:/Fraud/Production", 3),
            ("models:/Fraud/none", 1),
            ("models:/Fraud/LATEST", 3),
            ("models:/Fraud@latest", 3),
            (CHAMPION, 1),
        ):
            assert registry.resolve(uri).version == number, uri
        for uri in ("models:/Fraud/4", "models:/Fraud/Staging", "models:/Fraud@nobody", "models:/Gone/1"):
            with pytest.raises(NotFound):
                registry.resolve(uri)
        for uri in ("models:/Spam/1", "models:/Fraud", "models:/Fraud/v1", "runs:/a/b", "models:/Fraud/0"):
            with pytest.raises(Invalid):
                registry.resolve(uri)
        assert [each.version for each in registry.get_model_versions("Fraud")] == [1, 2, 3]
        described = registry.get_registered_model("Fraud")
        assert [each.version for each in described.latest_versions] == [1, 3]
        assert registry.registered_models() == [described]
        status = registry.status
        assert (status.connected, status.position, status.behind, status.error) == (True, 10, False, "")
    # A program that is about to end may still ask.
    assert registry.resolve(CHAMPION).version == 1
    with pytest.raises(FailedPrecondition):
        registry.changes()


def test_who_is_cut_off_goes_on_where_it_was_and_is_told_nothing_twice(server: WatchServer) -> None:
    registry = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, registry.changes() as changes:
        call.tell(pointed(11, 2), beat(15))
        assert changes.get(30).details == {"alias": "champion", "version": 2}
        reaches(registry, 15)
        call.end(grpc.StatusCode.UNAVAILABLE)
        again = server.next_call()
        assert again.request.resume_after == 15
        assert registry.resolve(CHAMPION).version == 2
        status = registry.status
        assert not status.connected
        assert "UNAVAILABLE" in status.error
        with pytest.raises(Unavailable, match="not heard of for"):
            registry.resolve(CHAMPION, max_silence=0)
        again.tell(pointed(15, 1), pointed(16, 3), pointed(17, 1), beat(17))
        assert [changes.get(30).position for _ in range(2)] == [16, 17]
        reaches(registry, 17)
        assert registry.status.connected
        assert registry.resolve(CHAMPION, max_silence=3_600).aliases == ("champion",)
        assert registry.resolve("models:/Fraud/2").aliases == ()


def test_a_log_that_is_another_one_begins_the_view_anew(server: WatchServer) -> None:
    registry = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, registry.changes() as changes, registry.follow(CHAMPION) as versions:
        first = versions.get(30)
        assert first is not None
        assert first.version == 1
        call.end(grpc.StatusCode.FAILED_PRECONDITION)
        again = server.next_call()
        assert again.request.resume_after == 0
        again.tell(model(SPAM, "Spam"), version(1, model_id=SPAM, name="Spam"))
        again.tell(model(champion=2), version(2))
        # Nothing of it is seen before it is whole, also when that takes more than one try.
        until("it has come", lambda: registry.status.connected)
        again.end(grpc.StatusCode.UNAVAILABLE)
        assert [each.name for each in registry.registered_models()] == ["Fraud"]
        assert registry.resolve(CHAMPION).version == 1
        third = server.next_call()
        assert third.request.resume_after == 0
        third.tell(model(champion=2), version(2), end(3), pointed(4, 2, "other"))
        with pytest.raises(ChangesMissed, match="begun anew"):
            changes.get(30)
        assert changes.get(30).position == 4
        second = versions.get(30)
        assert second is not None
        assert second.version == 2
        with pytest.raises(NotFound):
            registry.resolve("models:/Fraud/1")


def test_a_follower_is_told_of_another_version_and_of_none(server: WatchServer) -> None:
    registry = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, registry.follow(CHAMPION) as versions, registry.follow("models:/Later@x") as later:
        call.tell(pointed(11, 2), pointed(12, 3), pointed(13, 3, "other"))
        reaches(registry, 13)
        # Who is slow is told the last one.
        last = versions.get(30)
        assert last is not None
        assert last.version == 3
        assert later.get(30) is None
        call.tell(renamed(14, "Fraud", "Later"), pointed(15, 2, "x", name="Later"))
        assert versions.get(30) is None
        found = later.get(30)
        assert found is not None
        assert (found.name, found.version) == ("Later", 2)
        with pytest.raises(TimeoutError):
            later.get(0)
    with pytest.raises(StopIteration):
        later.get()
    assert list(versions) == []


def test_names_come_into_the_filter_and_leave_it(server: WatchServer) -> None:
    registry = Registry(server.uri, names=["Fraud", "Spam"])
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, registry.changes() as changes:
        call.tell(renamed(11, "Fraud", "Elsewhere"), renamed(12, "Ham", "Spam", SPAM))
        assert changes.get(30).position == 11
        with pytest.raises(NotFound):
            registry.resolve(CHAMPION)
        # It knows nothing of that model, and asks.
        asked = server.next_call()
        assert list(asked.request.names) == ["Spam"]
        asked.tell(model(SPAM, "Spam", champion=2), version(2, model_id=SPAM, name="Spam"), end(20))
        assert changes.get(30).position == 12
        assert registry.resolve("models:/Spam@champion").version == 2
        # What that answer had is told, and not done again.
        call.tell(pointed(13, 1, model_id=SPAM, name="Spam"))
        assert changes.get(30).position == 13
        assert registry.resolve("models:/Spam@champion").version == 2
        assert [each.name for each in registry.registered_models()] == ["Spam"]


def test_who_is_behind_knows_it(server: WatchServer) -> None:
    with_changes = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with with_changes as registry:
        behind = watch_pb2.WatchResponse(position=10, behind=watch_pb2.Behind(latest_position=4_000))
        call.tell(behind, pointed(11, 2))
        reaches(registry, 11)
        assert registry.status.behind
        call.tell(beat(4_000))
        until("it has caught up", lambda: not registry.status.behind)


def test_a_consumer_that_takes_nothing_is_told_what_it_missed(server: WatchServer) -> None:
    registry = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, registry.changes(most_waiting=3) as slow, registry.changes() as quick:
        call.tell(*(pointed(11 + number, number % 3 + 1) for number in range(4)))
        assert [quick.get(30).position for _ in range(4)] == [11, 12, 13, 14]
        with pytest.raises(ChangesMissed, match="more than 3"):
            slow.get(30)
        assert slow.get(30).position == 14


def test_a_stream_that_falls_silent_is_begun_again(server: WatchServer) -> None:
    registry = Registry(server.uri, heartbeat=0.1)
    server.next_call().tell(*snapshot(10))
    with registry:
        assert server.next_call().request.resume_after == 10


def test_tasks_wait_as_threads_do(server: WatchServer) -> None:
    async def serve() -> list[int]:
        registry = Registry(server.uri)
        call = await asyncio.to_thread(server.next_call)
        call.tell(*snapshot(10))
        seen = []
        async with asyncio.timeout(60), registry:
            versions = registry.follow(CHAMPION)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(registry.changes())
            async for version in versions:
                assert version is not None
                seen.append(version.version)
                if version.version == 3:
                    versions.close()
                else:
                    call.tell(pointed(10 + version.version, version.version + 1))
        return seen

    assert asyncio.run(serve()) == [1, 2, 3]


def test_a_function_is_called_until_the_end_whatever_it_raises(
    server: WatchServer, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def swap(version: object) -> None:
        seen.append(version.version)  # type: ignore[attr-defined]
        raise RuntimeError("the model does not load")

    registry = Registry(server.uri)
    call = server.next_call()
    call.tell(*snapshot(10))
    with registry, caplog.at_level(logging.ERROR, "rekam"):
        thread = registry.follow(CHAMPION).call(swap)
        until("it is called", lambda: seen == [1])
        call.tell(pointed(11, 2))
        until("it is called again", lambda: seen == [1, 2])
    thread.join(30)
    assert not thread.is_alive()
    assert "the model does not load" in caplog.text


def test_a_program_starts_from_what_it_kept_while_the_registry_is_down(tmp_path: Path) -> None:
    kept = tmp_path / "view.json"
    with WatchServer() as server:
        registry = Registry(server.uri, names=["Fraud"], keep_in=kept)
        call = server.next_call()
        call.tell(*snapshot(10), pointed(11, 2))
        with registry:
            reaches(registry, 11)
            before = registry.registered_models(), registry.get_model_versions("Fraud")
        down = server.uri
    with Registry(down, names=["Fraud"], keep_in=kept) as registry:
        assert (registry.registered_models(), registry.get_model_versions("Fraud")) == before
        assert registry.resolve(CHAMPION).version == 2
        status = registry.status
        assert (status.connected, status.position) == (False, 11)
        assert status.heard is not None
    others: list[dict[str, Any]] = [{"names": ["Spam"]}, {"names": ["Fraud"], "prefix": "F"}, {}]
    for other in others:
        registry = Registry(down, keep_in=kept, **other)
        with pytest.raises(Unavailable):
            registry.wait(0)
        registry.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"of": 1, "models": [{}]}', b"\xff"])
def test_a_kept_view_that_is_none_is_replaced(server: WatchServer, tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "view.json"
    kept.write_bytes(content)
    registry = Registry(server.uri, keep_in=kept)
    call = server.next_call()
    assert call.request.resume_after == 0
    call.tell(*snapshot(10))
    with registry:
        pass
    again = Registry(server.uri, keep_in=kept)
    assert server.next_call().request.resume_after == 10
    again.close()


def test_who_never_heard_of_the_registry_is_told_why() -> None:
    registry = Registry(f"grpc://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="not been heard of within"):
        registry.wait(0.2)
    registry.close()


def test_a_request_that_is_wrong_is_told_at_once(server: WatchServer) -> None:
    registry = Registry(server.uri, names=["a/b"])

    def refuse(call: WatchCall) -> None:
        call.end(grpc.StatusCode.INVALID_ARGUMENT)

    refuse(server.next_call())
    refuse(server.next_call())
    with pytest.raises(Invalid):
        registry.wait(60)
    registry.close()
    with pytest.raises(Invalid):
        Registry(server.uri, names=map(str, range(1_001)))
    with pytest.raises(Invalid, match="several names"):
        Registry(server.uri, names="Fraud")
    with pytest.raises(Invalid):
        Registry(server.uri, heartbeat=0.01)
    with pytest.raises(Invalid):
        Registry("http://127.0.0.1:5000")
