"""Webhooks over gRPC, delivered to real receivers."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.log.v1 import log_pb2
from rekam_proto.registry.v1 import alias_pb2, model_pb2, read_pb2, transition_pb2, version_pb2, webhook_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_proto.tracking.v1.read_pb2 import CONSISTENCY_EVENTUAL, Tag
from rekam_registry.webhooks.posting import MAX_BODY, Poster, Unanswered
from rekam_runtime.errors import Invalid
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.postgres import connect_pool
from tests.contracts.test_projection import until
from tests.support.nats import NatsServer
from tests.support.receiver import OK, Received, Receiver, Reply, receiving
from tests.support.registry_service import RegistryClient, RegistryService, running_registry

Code = grpc.StatusCode
SECRET = "do-not-tell-anybody"
KEY = Fernet.generate_key().decode()
QUICK = {
    "REKAM_WEBHOOK_KEYS": KEY,
    "REKAM_WEBHOOK_PRIVATE": "1",
    "REKAM_WEBHOOK_FIRST_PAUSE_S": "0.02",
    "REKAM_WEBHOOK_LONGEST_PAUSE_S": "0.2",
    "REKAM_WEBHOOK_ATTEMPTS": "4",
}


def event(name: str) -> webhook_pb2.WebhookEvent:
    """Of "model_version.created"."""
    entity, action = name.upper().split(".")
    return webhook_pb2.WebhookEvent(entity=f"WEBHOOK_ENTITY_{entity}", action=f"WEBHOOK_ACTION_{action}")


VERSIONS = event("model_version.created")


@pytest.fixture
async def registry(nats: NatsServer, log: JetStreamLog, database_url: str) -> AsyncIterator[RegistryService]:
    async with running_registry(nats.url, database_url, QUICK) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


async def hook(
    client: RegistryClient, url: str, *events: webhook_pb2.WebhookEvent, **more: Any
) -> webhook_pb2.Webhook:
    asked: dict[str, Any] = {"name": "hook", "secret": SECRET, "by": By(actor="ada"), **more}
    return await client.webhooks.CreateWebhook(
        webhook_pb2.CreateWebhookRequest(url=url, events=events or [VERSIONS], **asked)
    )


async def create(client: RegistryClient, *names: str, **more: Any) -> None:
    for name in names:
        await client.models.CreateRegisteredModel(
            model_pb2.CreateRegisteredModelRequest(name=name, by=By(actor="ada", reason="why"), **more)
        )


async def register(client: RegistryClient, name: str = "m", count: int = 1, **more: Any) -> None:
    for _ in range(count):
        await client.versions.CreateModelVersion(
            version_pb2.CreateModelVersionRequest(name=name, **{"source": "s3://b/m", **more})
        )


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), error.value.details() or ""


async def deliveries(client: RegistryClient, **asked: Any) -> list[webhook_pb2.Delivery]:
    """The oldest first."""
    request = webhook_pb2.ListDeliveriesRequest(**asked)
    return list((await client.webhooks.ListDeliveries(request)).deliveries)[::-1]


async def all_delivered(client: RegistryClient) -> None:
    async def none_waits() -> bool:
        return not await deliveries(client, state=webhook_pb2.DELIVERY_STATE_WAITING)

    await until(none_waits)


async def taken(receiver: Receiver, count: int) -> list[Received]:
    async def there() -> bool:
        return len(receiver.taken) >= count

    await until(there)
    return receiver.taken


def versions_of(received: list[Received], name: str = "m") -> list[int]:
    return [int(each.data["version"]) for each in received if each.data["name"] == name]


async def test_there_are_so_many_webhooks_at_most(
    nats: NatsServer, log: JetStreamLog, database_url: str
) -> None:
    url = "http://127.0.0.1:9/hook"
    async with running_registry(nats.url, database_url, {**QUICK, "REKAM_MOST_WEBHOOKS": "2"}) as registry:
        first, _ = [await hook(registry.client, url) for _ in range(2)]

        async def both_count() -> bool:
            found = await registry.client.webhooks.ListWebhooks(
                webhook_pb2.ListWebhooksRequest(consistency=CONSISTENCY_EVENTUAL)
            )
            return len(found.webhooks) == 2

        await until(both_count)
        code, text = await refused(hook(registry.client, url))
        assert (code, text) == (Code.FAILED_PRECONDITION, "there are 2 webhooks: delete one first")
        gone = webhook_pb2.DeleteWebhookRequest(webhook_id=first.webhook_id)
        await registry.client.webhooks.DeleteWebhook(gone)

        async def there_is_room() -> bool:
            try:
                await hook(registry.client, url)
            except grpc.aio.AioRpcError as error:
                if error.code() != Code.FAILED_PRECONDITION:
                    raise
                return False
            return True

        await until(there_is_room)


async def test_a_webhook_from_its_creation_to_its_deletion(registry: RegistryService) -> None:
    client = registry.client
    url = "http://127.0.0.1:9/hook"
    made = await hook(client, url, VERSIONS, event("model_version_stage.transitioned"), description="d")
    assert (made.name, made.url, made.description, made.has_secret) == ("hook", url, "d", True)
    assert made.status == webhook_pb2.WEBHOOK_STATUS_ACTIVE
    assert [each.entity for each in made.events] == [2, 101]
    got = webhook_pb2.GetWebhookRequest(webhook_id=made.webhook_id)
    assert await client.webhooks.GetWebhook(got) == made
    same = webhook_pb2.UpdateWebhookRequest(webhook_id=made.webhook_id, name="hook")
    assert await client.webhooks.UpdateWebhook(same) == made
    changed = await client.webhooks.UpdateWebhook(
        webhook_pb2.UpdateWebhookRequest(
            webhook_id=made.webhook_id,
            url=f"{url}/2",
            description="",
            secret="",
            events=[VERSIONS],
            status=webhook_pb2.WEBHOOK_STATUS_DISABLED,
        )
    )
    assert (changed.name, changed.url, changed.description) == ("hook", f"{url}/2", "")
    assert (changed.has_secret, list(changed.events)) == (False, [VERSIONS])
    assert changed.status == webhook_pb2.WEBHOOK_STATUS_DISABLED
    assert changed.updated_us > changed.created_us == made.created_us
    assert await client.webhooks.GetWebhook(got) == changed
    await client.webhooks.DeleteWebhook(webhook_pb2.DeleteWebhookRequest(webhook_id=made.webhook_id))
    for call in (
        client.webhooks.GetWebhook(got),
        client.webhooks.UpdateWebhook(same),
        client.webhooks.DeleteWebhook(webhook_pb2.DeleteWebhookRequest(webhook_id=made.webhook_id)),
        client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(webhook_id=made.webhook_id)),
        client.webhooks.Redeliver(webhook_pb2.RedeliverRequest(webhook_id=made.webhook_id)),
        client.webhooks.GetWebhook(webhook_pb2.GetWebhookRequest(webhook_id="x")),
    ):
        code, message = await refused(call)
        assert (code, message.startswith("Webhook with ID")) == (Code.NOT_FOUND, True)
    assert not (await client.webhooks.ListWebhooks(webhook_pb2.ListWebhooksRequest())).webhooks


async def test_webhooks_are_listed_the_newest_first(registry: RegistryService) -> None:
    client = registry.client
    made = [await hook(client, "http://127.0.0.1:9/", name=f"h{number}") for number in range(5)]
    listed: list[webhook_pb2.Webhook] = []
    token = ""
    while True:
        request = webhook_pb2.ListWebhooksRequest(page_size=2, page_token=token)
        page = await client.webhooks.ListWebhooks(request)
        listed += page.webhooks
        if not (token := page.next_page_token):
            break
        assert len(page.webhooks) == 2
    assert listed == made[::-1]
    wrongs: list[dict[str, Any]] = [{"page_size": 1_001}, {"page_size": -1}, {"page_token": "x"}]
    for wrong in wrongs:
        code, _ = await refused(client.webhooks.ListWebhooks(webhook_pb2.ListWebhooksRequest(**wrong)))
        assert code is Code.INVALID_ARGUMENT


async def test_there_are_no_more_than_a_thousand(registry: RegistryService, database_url: str) -> None:
    client = registry.client
    made = await hook(client, "http://127.0.0.1:9/")
    await client.webhooks.GetWebhook(webhook_pb2.GetWebhookRequest(webhook_id=made.webhook_id))
    async with await connect_pool(database_url, max_size=1, application_name="test") as pool:
        await pool.execute(
            "INSERT INTO g1.webhook_states SELECT gen_random_uuid(), webhook, sealed_secret, from_position,"
            " until_position, from_us, until_us FROM g1.webhook_states, generate_series(2, 1000)"
        )
    code, message = await refused(hook(client, "http://127.0.0.1:9/"))
    assert (code, message) == (Code.FAILED_PRECONDITION, "there are 1,000 webhooks: delete one first")


async def test_the_same_request_again_is_the_same_webhook(registry: RegistryService) -> None:
    client = registry.client
    by = By(actor="ada", origin=Origin(writer="w-1", sequence=1))
    first = await hook(client, "http://127.0.0.1:9/", by=by)
    assert await hook(client, "http://127.0.0.1:9/", by=by) == first
    listed = await client.webhooks.ListWebhooks(webhook_pb2.ListWebhooksRequest())
    assert list(listed.webhooks) == [first]


async def test_what_breaks_a_rule_is_refused(registry: RegistryService) -> None:
    wrongs: list[dict[str, Any]] = [
        {"name": "-"},
        {"url": "ftp://a.example"},
        {"url": "http://no-such-host.invalid/"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"url": "http://[::ffff:169.254.169.254]/"},
        {"url": "http://0.0.0.0/"},
        {"events": []},
        {"events": [event("model_version.set")]},
        {"secret": "s" * 1_001},
        {"description": "d" * 5_001},
        {"status": 7},
    ]
    for wrong in wrongs:
        asked = {"name": "hook", "url": "http://127.0.0.1:9/", "events": [VERSIONS], **wrong}
        call = registry.client.webhooks.CreateWebhook(webhook_pb2.CreateWebhookRequest(**asked))
        code, _ = await refused(call)
        assert code is Code.INVALID_ARGUMENT, wrong


async def test_everything_that_can_happen_is_told_signed(
    registry: RegistryService, receiver: Receiver
) -> None:
    client = registry.client
    names = [
        "registered_model.created",
        "model_version.created",
        "model_version_tag.set",
        "model_version_tag.deleted",
        "model_version_alias.created",
        "model_version_alias.deleted",
        "transition_request.created",
        "transition_request.approved",
        "model_version_stage.transitioned",
        "transition_request.rejected",
        "prompt.created",
        "prompt_tag.set",
        "prompt_tag.deleted",
        "prompt_version.created",
        "prompt_version_tag.set",
        "prompt_version_tag.deleted",
        "prompt_alias.created",
        "prompt_alias.deleted",
    ]
    await hook(client, receiver.url, *map(event, names))
    prompt = Tag(key="mlflow.prompt.is_prompt", value="true")
    for name, tags in (("m", []), ("p", [prompt])):
        await create(client, name, tags=tags)
        await register(client, name)
        tag = Tag(key="k", value="v")
        await client.models.SetRegisteredModelTags(
            model_pb2.SetRegisteredModelTagsRequest(name=name, tags=[tag])
        )
        await client.models.DeleteRegisteredModelTags(
            model_pb2.DeleteRegisteredModelTagsRequest(name=name, keys=["k"])
        )
        await client.versions.SetModelVersionTags(
            version_pb2.SetModelVersionTagsRequest(name=name, version=1, tags=[tag])
        )
        await client.versions.DeleteModelVersionTags(
            version_pb2.DeleteModelVersionTagsRequest(name=name, version=1, keys=["k"])
        )
        await client.aliases.SetAlias(alias_pb2.SetAliasRequest(name=name, alias="a", version=1))
        await client.aliases.DeleteAlias(alias_pb2.DeleteAliasRequest(name=name, alias="a"))
    for decide in ("Approve", "Reject"):
        asked = await client.transitions.RequestTransition(
            transition_pb2.RequestTransitionRequest(
                name="m", version=1, stage=read_pb2.STAGE_PRODUCTION, by=By(actor="bob", reason="good")
            )
        )
        decided = {"name": "m", "request_id": asked.request_id, "by": By(actor="eve", reason="so it is")}
        if decide == "Approve":
            await client.transitions.ApproveTransition(transition_pb2.ApproveTransitionRequest(**decided))  # type: ignore[arg-type]
        else:
            await client.transitions.RejectTransition(transition_pb2.RejectTransitionRequest(**decided))  # type: ignore[arg-type]
    await until_told(receiver, names)
    await all_delivered(client)
    assert sorted({each.event for each in receiver.taken}) == sorted(names)
    assert len({each.delivery_id for each in receiver.taken}) == len(receiver.taken)
    for each in receiver.taken:
        assert each.signed_with(SECRET)
        assert not each.signed_with("another")
        assert each.headers["content-type"] == "application/json"
    (approved,) = (each for each in receiver.taken if each.event == "transition_request.approved")
    assert approved.data == {
        "name": "m",
        "request_id": 1,
        "version": "1",
        "stage": "Production",
        "actor": "eve",
        "reason": "so it is",
    }


async def until_told(receiver: Receiver, names: list[str]) -> None:
    async def told() -> bool:
        return {each.event for each in receiver.taken} >= set(names)

    await until(told)


async def test_each_model_is_told_in_its_order_while_a_receiver_fails_at_random(
    registry: RegistryService, receiver: Receiver
) -> None:
    client, chance = registry.client, random.Random(7)
    names = [f"m{number}" for number in range(6)]
    # Four attempts: the fourth succeeds.
    failures: dict[str, int] = {}
    lock = threading.Lock()

    def reply(received: Received) -> Reply:
        with lock:
            failed = failures.get(received.delivery_id, 0)
            if failed < 3 and chance.random() < 0.5:
                failures[received.delivery_id] = failed + 1
                return Reply(chance.choice((500, 502, 503, 504, 429, 408)))
        return OK

    receiver.reply = reply
    await hook(client, receiver.url)
    await create(client, *names)
    await asyncio.gather(*(register(client, name, 12) for name in names))
    received = await taken(receiver, 12 * len(names))
    assert failures
    for name in names:
        assert versions_of(received, name) == list(range(1, 13))


async def test_a_receiver_that_is_down_is_told_when_it_is_back(registry: RegistryService) -> None:
    client = registry.client
    with receiving() as gone:
        port = int(gone.url.rsplit(":", 1)[1].split("/")[0])
        await create(client, "m")
        made = await hook(client, gone.url)
    await client.webhooks.UpdateWebhook(
        webhook_pb2.UpdateWebhookRequest(webhook_id=made.webhook_id, description="down")
    )
    await register(client, count=3)

    async def failed() -> bool:
        return any(each.attempts for each in await deliveries(client))

    await until(failed)
    with receiving(port) as back:
        await client.webhooks.Redeliver(
            webhook_pb2.RedeliverRequest(
                webhook_id=made.webhook_id,
                delivery_ids=[each.delivery_id for each in await deliveries(client)],
            )
        )
        await until_versions(client, back, [1, 2, 3])


async def until_versions(client: RegistryClient, receiver: Receiver, expected: list[int]) -> None:
    """That the receiver was told of these, in this order; some may come again, before what follows them."""

    async def told() -> bool:
        return set(versions_of(receiver.taken)) >= set(expected)

    await until(told)
    assert list(dict.fromkeys(versions_of(receiver.taken))) == expected


async def test_what_is_refused_again_and_again_is_dead_until_it_is_redelivered(
    registry: RegistryService, receiver: Receiver
) -> None:
    client = registry.client
    receiver.reply = lambda received: Reply(500) if received.data["version"] == "1" else OK
    made = await hook(client, receiver.url)
    await create(client, "m")
    await register(client, count=3)
    assert versions_of(await taken(receiver, 2)) == [2, 3]
    await all_delivered(client)
    (dead,) = await deliveries(client, webhook_id=made.webhook_id, state=webhook_pb2.DELIVERY_STATE_DEAD)
    assert (dead.name, dead.attempts, dead.last_status) == ("m", 4, 500)
    assert (dead.event, dead.last_error) == (VERSIONS, "answered 500")
    tried = [each for each in receiver.received if each.data["version"] == "1"]
    assert len(tried) == 4
    assert {each.delivery_id for each in tried} == {dead.delivery_id}
    assert len({each.body for each in tried}) == 1
    receiver.reply = lambda received: OK
    again = webhook_pb2.RedeliverRequest(webhook_id=made.webhook_id)
    assert (await client.webhooks.Redeliver(again)).redelivered == 1
    assert versions_of(await taken(receiver, 3)) == [2, 3, 1]
    await all_delivered(client)
    assert (await client.webhooks.Redeliver(again)).redelivered == 0
    assert await deliveries(client) == []
    assert receiver.taken[-1].delivery_id == dead.delivery_id
    async with httpx.AsyncClient(trust_env=False) as ops:
        figures = (await ops.get(f"{registry.project_ops}/metrics")).text
    for figure in (
        'rekam_registry_webhook_attempts_total{outcome="delivered"}',
        'rekam_registry_webhook_attempts_total{outcome="failed"}',
        'rekam_registry_webhook_attempts_total{outcome="dead"}',
        'rekam_registry_webhook_deliveries{state="waiting"}',
        'rekam_registry_webhook_deliveries{state="dead"}',
    ):
        assert figure in figures


async def test_what_the_receiver_does_not_want_is_dead_at_once(
    registry: RegistryService, receiver: Receiver
) -> None:
    client = registry.client
    statuses = {"1": 301, "2": 400, "3": 401, "4": 404, "5": 410}
    receiver.reply = lambda received: Reply(statuses.get(received.data["version"], 200))
    await hook(client, receiver.url)
    await create(client, "m")
    await register(client, count=6)
    assert versions_of(await taken(receiver, 1)) == [6]
    await all_delivered(client)
    dead = await deliveries(client)
    assert [each.last_status for each in dead] == list(statuses.values())
    assert {each.attempts for each in dead} == {1}


async def test_redirects_lead_nowhere(registry: RegistryService, receiver: Receiver) -> None:
    client = registry.client
    with receiving() as other:
        receiver.reply = lambda received: Reply(307, {"Location": other.url})
        made = await hook(client, receiver.url)
        tested = await client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(webhook_id=made.webhook_id))
        assert (tested.success, tested.response_status) == (False, 307)
        await create(client, "m")
        await register(client)

        async def dead() -> bool:
            found = await deliveries(client)
            return [each.state for each in found] == [webhook_pb2.DELIVERY_STATE_DEAD]

        await until(dead)
        assert other.received == []


async def test_a_receiver_that_asks_for_time_gets_it(
    nats: NatsServer, log: JetStreamLog, database_url: str
) -> None:
    settings = {**QUICK, "REKAM_WEBHOOK_LONGEST_PAUSE_S": "3600"}
    async with running_registry(nats.url, database_url, settings) as registry:
        client = registry.client
        with receiving() as receiver:
            receiver.reply = lambda received: Reply(503, {"Retry-After": "3000"})
            await hook(client, receiver.url)
            await create(client, "m", "n")
            await register(client, "m")

            async def put_off() -> bool:
                return any(each.attempts == 1 for each in await deliveries(client))

            await until(put_off)
            (first,) = await deliveries(client)
            assert first.due_us - first.last_attempt_us > 2_900 * 1_000_000
            # Other models wait as well: it is the receiver who asked.
            await register(client, "n")

            async def queued() -> bool:
                return len(await deliveries(client)) == 2

            await until(queued)
            assert [each.attempts for each in await deliveries(client)] == [1, 0]
            assert len(receiver.received) == 1


async def test_a_slow_receiver_holds_up_nobody(registry: RegistryService, receiver: Receiver) -> None:
    client, release = registry.client, threading.Event()
    with receiving() as slow:

        def wait(received: Received) -> Reply:
            release.wait(60)
            return OK

        slow.reply = wait
        try:
            for _ in range(3):
                await hook(client, slow.url)
            await hook(client, receiver.url)
            await create(client, *"abcdef")
            for name in "abcdef":
                await register(client, name, 3)
            assert len(await taken(receiver, 18)) == 18
            assert not slow.taken
        finally:
            release.set()
        assert len(await taken(slow, 54)) == 54


async def test_a_test_tells_what_came_back(registry: RegistryService, receiver: Receiver) -> None:
    client = registry.client
    made = await hook(client, receiver.url, event("model_version_alias.created"), VERSIONS)

    async def test(**asked: Any) -> webhook_pb2.TestWebhookResponse:
        request = webhook_pb2.TestWebhookRequest(webhook_id=made.webhook_id, **asked)
        return await client.webhooks.TestWebhook(request)

    tested = await test()
    assert (tested.success, tested.response_status, tested.response_body) == (True, 200, "ok")
    assert receiver.received[-1].data == {"name": "example_model", "alias": "example_alias", "version": "1"}
    assert receiver.received[-1].signed_with(SECRET)
    await test(event=event("transition_request.rejected"))
    assert receiver.received[-1].event == "transition_request.rejected"
    receiver.reply = lambda received: Reply(503, {}, "☃".encode() * MAX_BODY)
    tested = await test()
    assert (tested.success, tested.response_status, tested.error) == (False, 503, "")
    assert len(tested.response_body.encode()) <= MAX_BODY + 2
    code, _ = await refused(test(event=event("model_version.set")))
    assert code is Code.INVALID_ARGUMENT
    await client.webhooks.UpdateWebhook(
        webhook_pb2.UpdateWebhookRequest(webhook_id=made.webhook_id, url="http://127.0.0.1:9/")
    )
    tested = await test()
    assert (tested.success, tested.response_status) == (False, 0)
    assert tested.error.startswith("no connection")
    assert await deliveries(client) == []


async def test_a_rebuild_sends_nothing_again(registry: RegistryService, receiver: Receiver) -> None:
    client = registry.client
    with receiving() as failing:
        failing.reply = lambda received: Reply(404)
        await hook(client, receiver.url)
        await hook(client, failing.url)
        await create(client, "m")
        await register(client, count=5)
        await taken(receiver, 5)
        await all_delivered(client)
        before = await deliveries(client)
        assert len(before) == 5
        started = await client.log.StartRebuild(log_pb2.StartRebuildRequest(service="registry", actor="ada"))
        watched = log_pb2.WatchRebuildRequest(service="registry", id=started.id)
        done = [standing async for standing in client.log.WatchRebuild(watched)][-1]
        assert (done.state, done.differing) == (log_pb2.REBUILD_STATE_DONE, 0)
        await register(client, count=2)
        assert versions_of(await taken(receiver, 7)) == [1, 2, 3, 4, 5, 6, 7]
        await all_delivered(client)
        after = await deliveries(client)
        assert (after[:5], len(after)) == (before, 7)


async def test_a_stack_that_is_emptied_has_nothing_to_deliver(
    registry: RegistryService, log: JetStreamLog, receiver: Receiver
) -> None:
    client = registry.client
    receiver.reply = lambda received: Reply(404)
    await hook(client, receiver.url)
    await create(client, "m")
    await register(client, count=2)

    async def dead() -> bool:
        return len(await deliveries(client, state=webhook_pb2.DELIVERY_STATE_DEAD)) == 2

    await until(dead)
    await log.purge("REKAM_REGISTRY")
    await registry.reset()
    assert await deliveries(client) == []
    receiver.reply = lambda received: OK
    await hook(client, receiver.url)
    await create(client, "m")
    await register(client)
    assert versions_of(await taken(receiver, 1)) == [1]


async def test_who_may_not_go_there_is_stopped_at_the_connection_too(
    nats: NatsServer, log: JetStreamLog, database_url: str, receiver: Receiver
) -> None:
    async with running_registry(nats.url, database_url, QUICK) as registry:
        made = await hook(registry.client, receiver.url)
    strict = {**QUICK, "REKAM_WEBHOOK_PRIVATE": "0"}
    async with running_registry(nats.url, database_url, strict) as registry:
        client = registry.client
        await create(client, "m")
        await register(client)

        async def dead() -> bool:
            found = await deliveries(client)
            return [each.state for each in found] == [webhook_pb2.DELIVERY_STATE_DEAD]

        await until(dead)
        (each,) = await deliveries(client)
        assert "not a public address" in each.last_error
        tested = await client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(webhook_id=made.webhook_id))
        assert (tested.success, "not a public address" in tested.error) == (False, True)
        for url in ("http://127.0.0.1/", "https://127.0.0.1/", "https://localhost/", "https://2130706433/"):
            code, _ = await refused(hook(client, url))
            assert code is Code.INVALID_ARGUMENT
    assert receiver.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_however_it_is_written_it_is_checked_where_it_is_connected(
    receiver: Receiver, host: str
) -> None:
    port = receiver.url.rsplit(":", 1)[1].split("/")[0]
    async with Poster(private=False, timeout_s=5) as poster:
        with pytest.raises(Unanswered):
            await poster.post(f"http://{host}:{port}/", b"{}", {})
        with pytest.raises(Invalid) as refusal:
            await poster.check(f"http://{host}:{port}/")
        assert "not a public address" in refusal.value.message
    assert receiver.received == []
    async with Poster(private=True, timeout_s=5) as poster:
        answer = await poster.post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert (answer.status, len(receiver.received)) == (200, 1)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 \x00\xff 200\r\n\r\n", b"\x00" * 100, b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000]
)
async def test_whatever_a_receiver_says_is_shown_as_text(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Poster(private=True, timeout_s=20) as poster:
        with pytest.raises(Unanswered) as refusal:
            await poster.post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert refusal.value.message.isascii()
    assert refusal.value.message.isprintable()


def self_signed(folder: Path) -> Path:
    """Key and certificate of localhost that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file = folder / "localhost.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem)
    )
    return file


async def test_a_receiver_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    received = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, Poster(private=True, timeout_s=20) as poster:
        with pytest.raises(Unanswered, match="certificate verify failed"):
            await poster.post(f"https://localhost:{port}/", b"{}", {})
    assert received == []


async def test_a_receiver_that_never_answers_is_not_waited_for(receiver: Receiver) -> None:
    release = threading.Event()

    def wait(received: Received) -> Reply:
        release.wait(60)
        return OK

    receiver.reply = wait
    try:
        async with Poster(private=True, timeout_s=0.2) as poster:
            with pytest.raises(Unanswered) as refusal:
                await poster.post(receiver.url, b"{}", {})
        assert "no answer within 0.2 s" in refusal.value.message
    finally:
        release.set()


async def test_the_secret_is_nowhere_in_clear(
    registry: RegistryService, log: JetStreamLog, database_url: str, receiver: Receiver
) -> None:
    client = registry.client
    made = await hook(client, receiver.url)
    await client.webhooks.UpdateWebhook(
        webhook_pb2.UpdateWebhookRequest(webhook_id=made.webhook_id, secret=SECRET + "2")
    )
    await create(client, "m")
    await register(client)
    (received,) = await taken(receiver, 1)
    assert received.signed_with(SECRET + "2")
    assert SECRET.encode() not in received.body
    for answer in (
        made,
        await client.webhooks.GetWebhook(webhook_pb2.GetWebhookRequest(webhook_id=made.webhook_id)),
        await client.webhooks.ListWebhooks(webhook_pb2.ListWebhooksRequest()),
        await client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(webhook_id=made.webhook_id)),
    ):
        assert SECRET.encode() not in answer.SerializeToString()
    records = [record async for record in log.scan("REKAM_REGISTRY")]
    assert len(records) > 3
    assert not [record for record in records if SECRET.encode() in record.data]
    async with await connect_pool(database_url, max_size=1, application_name="test") as pool:
        tables = await pool.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('g1', 'public')"
        )
        for schema, table in tables:
            rows = await pool.fetch(f'SELECT t::text AS row FROM {schema}."{table}" t')
            for row in rows:
                assert SECRET not in row["row"]
                assert SECRET.encode().hex() not in row["row"]


async def test_another_key_in_front_opens_what_the_old_one_sealed(
    nats: NatsServer, log: JetStreamLog, database_url: str, receiver: Receiver
) -> None:
    async with running_registry(nats.url, database_url, QUICK) as registry:
        await create(registry.client, "m")
        await hook(registry.client, receiver.url)
    new = Fernet.generate_key().decode()
    async with running_registry(
        nats.url, database_url, {**QUICK, "REKAM_WEBHOOK_KEYS": f"{new}, {KEY}"}
    ) as registry:
        await register(registry.client)
        (received,) = await taken(receiver, 1)
        assert received.signed_with(SECRET)
    # Without the key nothing is sent, and nothing is lost.
    async with running_registry(nats.url, database_url, {**QUICK, "REKAM_WEBHOOK_KEYS": new}) as registry:
        client = registry.client
        await register(client)

        async def failed() -> bool:
            return any("REKAM_WEBHOOK_KEYS" in each.last_error for each in await deliveries(client))

        await until(failed)
    assert len(receiver.received) == 1


async def test_without_a_key_there_are_webhooks_without_secrets(
    nats: NatsServer, log: JetStreamLog, database_url: str, receiver: Receiver
) -> None:
    settings = {name: value for name, value in QUICK.items() if name != "REKAM_WEBHOOK_KEYS"}
    async with running_registry(nats.url, database_url, settings) as registry:
        client = registry.client
        code, message = await refused(hook(client, receiver.url))
        assert (code, "REKAM_WEBHOOK_KEYS" in message) == (Code.FAILED_PRECONDITION, True)
        await hook(client, receiver.url, secret="")
        await create(client, "m")
        await register(client)
        (received,) = await taken(receiver, 1)
        assert "x-mlflow-signature" not in received.headers


async def test_deliveries_are_listed_by_pages(registry: RegistryService, receiver: Receiver) -> None:
    client = registry.client
    receiver.reply = lambda received: Reply(404)
    made = await hook(client, receiver.url)
    await create(client, "m")
    await register(client, count=5)

    async def dead() -> bool:
        return len(await deliveries(client, state=webhook_pb2.DELIVERY_STATE_DEAD)) == 5

    await until(dead)
    positions, token = [], ""
    while True:
        request = webhook_pb2.ListDeliveriesRequest(webhook_id=made.webhook_id, page_size=2, page_token=token)
        page = await client.webhooks.ListDeliveries(request)
        positions += [each.position for each in page.deliveries]
        if not (token := page.next_page_token):
            break
    assert positions == sorted(positions, reverse=True)
    assert len(positions) == 5
    assert await deliveries(client, webhook_id="0" * 32) == []
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: client.webhooks.ListDeliveries(webhook_pb2.ListDeliveriesRequest(state=9)),  # type: ignore[arg-type]
        lambda: client.webhooks.Redeliver(
            webhook_pb2.RedeliverRequest(webhook_id=made.webhook_id, delivery_ids=["x"])
        ),
        lambda: client.webhooks.Redeliver(
            webhook_pb2.RedeliverRequest(webhook_id=made.webhook_id, delivery_ids=["x"] * 1_001)
        ),
    ]
    for call in calls:
        code, _ = await refused(call())
        assert code is Code.INVALID_ARGUMENT
