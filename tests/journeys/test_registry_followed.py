"""A live view of the registry while its processes are killed, and in a forked child."""

from __future__ import annotations

import json
from pathlib import Path

from rekam import Client
from rekam.registry import Registry
from rekam.testing import LocalStack
from tests.journeys.test_registry_kills import NAME, VERSIONS, Promoter, history, opened
from tests.support.faults import Faults
from tests.support.programs import Program
from tests.support.stack import until

VICTIMS = ("registry-serve", "nats", "gateway", "registry-serve")


def prepared(stack: LocalStack) -> Client:
    """Of an empty stack with a model of three versions."""
    stack.reset()
    client = Client(stack.tracking_uri)
    client.create_registered_model(NAME)
    for _ in range(VERSIONS):
        client.create_model_version(NAME, "s3://b/m")
    client.set_registered_model_alias(NAME, "champion", 1)
    return client


def test_it_is_told_every_change_once_and_in_order(mortal_stack: LocalStack) -> None:
    client = prepared(mortal_stack)
    faults = Faults(mortal_stack)
    with (
        Registry(mortal_stack.tracking_uri, names=[NAME], heartbeat=0.5) as registry,
        opened(mortal_stack) as channel,
    ):
        changes = registry.changes(most_waiting=1_000_000)
        promoter = Promoter(channel)
        for name in VICTIMS:
            before = faults.pids()
            promoted = promoter.promotions
            faults.kill(name)
            # While whoever answers is away, too.
            assert registry.resolve(f"models:/{NAME}@champion").name == NAME
            faults.all_ready({name: before[name]})
            until(f"{name} is back", lambda past=promoted: promoter.promotions > past + 3)  # type: ignore[misc]
        promoter.stop()
        last = history(channel)[-1].position
        until("all was told", lambda: registry.status.position >= last)
        changes.close()
        told = list(changes)
        happened = client.get_registered_model_history(NAME, max_results=1_000)[::-1]
        assert len(told) > promoter.promotions > 0
        assert told[-len(happened) :] == happened[-len(told) :]
        positions = [change.position for change in told]
        assert positions == sorted(set(positions))
        assert registry.get_registered_model(NAME) == client.get_registered_model(NAME)
        found = client.search_model_versions(order_by=["version_number ASC"])
        assert registry.get_model_versions(NAME) == found


def test_a_forked_child_goes_on_by_itself(mortal_stack: LocalStack, tmp_path: Path) -> None:
    client = prepared(mortal_stack)
    program = Program(
        mortal_stack.tracking_uri,
        tmp_path / "spool",
        f"""
        from rekam.registry import Registry
        registry = Registry(names=[{NAME!r}], heartbeat=0.5)
        registry.wait(60)
        changes = registry.changes()
        child = os.fork()
        for version in registry.follow("models:/{NAME}@champion"):
            print(json.dumps([bool(child), version.version]), flush=True)
            if version.version == 2:
                break
        print(json.dumps([bool(child), changes.get(60).event]), flush=True)
        registry.close()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert sorted(json.loads(program.line()) for _ in range(2)) == [[False, 1], [True, 1]]
    client.set_registered_model_alias(NAME, "champion", 2)
    out, _ = program.finish()
    told = sorted(map(json.loads, out.splitlines()), key=str)
    assert told == [[False, "alias_set"], [False, 2], [True, "alias_set"], [True, 2]]
