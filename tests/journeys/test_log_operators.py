"""`rekam log` against the running service: the quarantine, and rebuilds."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import Draft
from rekam_tracking import events
from tests.contracts.test_projection import until
from tests.support import stack
from tests.support.nats import running_nats
from tests.support.postgres import database_url, postgres_server
from tests.support.tracking_service import TrackingService, running_tracking

__all__ = ["database_url", "postgres_server"]

ODD_RUN = "0123456789abcdef0123456789abcdef"


class Operator:
    """Calls the command line; can put into the log what no gateway would."""

    def __init__(self, tracking: TrackingService, log: JetStreamLog) -> None:
        self.tracking = tracking
        self._log = log

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        uri = f"grpc://{self.tracking.target}"
        return await asyncio.to_thread(stack.rekam, "log", *arguments, "--uri", uri)

    async def json(self, *arguments: str) -> Any:
        done = await self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    async def quarantined(self, *arguments: str) -> list[Any]:
        found: list[Any] = await self.json("quarantine", "list", *arguments)
        return found

    async def append_tag(self, value: str) -> str:
        """An event with a tag that Postgres may not take; its name in the quarantine."""
        event = run_pb2.TagsSet(run_id=ODD_RUN, tags=[read_pb2.Tag(key="odd", value=value)])
        envelope = wrap(
            event, Cause("ada", origin=Origin(writer="w", sequence=1)), aggregate=f"run/{ODD_RUN}"
        )
        at = await self._log.append(draft(events.run_subject(ODD_RUN), envelope))
        return f"{events.STREAM}:{at}"

    async def append_rubbish(self) -> str:
        at = await self._log.append(Draft(events.run_subject(ODD_RUN), b"\xff\xff", "rubbish"))
        return f"{events.STREAM}:{at}"

    async def settled(self, number: int) -> list[Any]:
        found: list[Any] = []

        async def there() -> bool:
            found[:] = await self.quarantined()
            return len(found) >= number

        await until(there)
        return found


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[Operator]:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as tracking:
            log = await JetStreamLog.connect(nats.url, "operator tests")
            yield Operator(tracking, log)
            await log.close()


async def test_what_was_set_aside_is_listed_shown_retried_and_dropped(operator: Operator) -> None:
    # NUL is no text for Postgres.
    first, second = await operator.append_tag("a\0b"), await operator.append_rubbish()
    found = await operator.settled(2)
    assert [f"{one['stream']}:{one['position']}" for one in found] == [first, second]
    assert "0x00" in found[0]["reason"]

    shown = await operator.json("quarantine", "show", first)
    event = json.loads(shown["json"])
    assert event["type"] == "rekam_proto.tracking.v1.TagsSet"
    assert event["event"] == {"run_id": ODD_RUN, "tags": [{"key": "odd", "value": "a\0b"}]}
    assert (await operator.json("quarantine", "show", second))["json"] == ""
    people = await operator.run("quarantine", "show", second)
    assert "ff ff" in people.stdout

    retried = await operator.run("quarantine", "retry", "--all")
    assert retried.returncode == 1
    assert "0 of 2 applied" in retried.stdout
    assert len(await operator.quarantined()) == 2

    missing = await operator.run("quarantine", "drop", f"{events.STREAM}:99", first, "--reason", "a test")
    assert missing.returncode == 1
    assert f"{events.STREAM}:99 not dropped" in missing.stdout
    assert "1 of 2 dropped" in missing.stdout
    assert [one["position"] for one in await operator.quarantined()] == [found[1]["position"]]
    dropped = (await operator.quarantined("--all"))[0]["dropped"]
    assert dropped["reason"] == "a test"
    assert (await operator.run("quarantine", "drop", "--all", "--reason", "rubbish")).returncode == 0
    assert await operator.quarantined() == []


async def test_a_rebuild_is_watched_to_its_end(operator: Operator) -> None:
    await operator.append_rubbish()
    await operator.settled(1)
    done = await operator.run("rebuild", "tracking")
    assert done.returncode == 0, done.stderr
    assert "tracking is rebuilt: readers have generation 2" in done.stdout
    lines = (await operator.run("rebuild", "tracking", "--json")).stdout.splitlines()
    last = json.loads(lines[-1])
    assert (last["state"], last["generation"], last["active_generation"]) == ("REBUILD_STATE_DONE", 3, 3)
    # Those that were applied: the Default experiment.
    assert last["records"] == sum(one["records"] for one in last["streams"]) == 1
    # What is in quarantine is of the generation that is read now.
    assert len(await operator.quarantined()) == 1


async def test_without_one_going_on_it_says_so(operator: Operator) -> None:
    nothing = await operator.run("rebuild", "status")
    assert (nothing.returncode, "there was no rebuild" in nothing.stderr) == (1, True)
    nothing = await operator.run("rebuild", "cancel")
    assert (nothing.returncode, "no rebuild is going on" in nothing.stderr) == (1, True)
    await operator.run("rebuild", "tracking", "--detach")
    watched = await operator.run("rebuild", "watch")
    assert watched.returncode == 0
    status = await operator.run("rebuild", "status")
    assert "done" in status.stdout


async def test_another_service_is_named(operator: Operator) -> None:
    wrong = await operator.run("rebuild", "kitchen")
    assert wrong.returncode == 1
    assert "kitchen" in wrong.stderr
