"""Webhooks on a whole stack: processes killed while they deliver, and a secret that is written nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from rekam.testing import LocalStack
from rekam_proto.registry.v1 import (
    model_pb2,
    model_pb2_grpc,
    version_pb2,
    version_pb2_grpc,
    webhook_pb2,
    webhook_pb2_grpc,
)
from rekam_proto.registry.v1.read_pb2 import By
from tests.support.faults import Faults, persistently
from tests.support.receiver import OK, Received, Receiver, Reply, receiving
from tests.support.stack import until

SECRET = "told-to-nobody-else"
VERSIONS = webhook_pb2.WebhookEvent(
    entity=webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION, action=webhook_pb2.WEBHOOK_ACTION_CREATED
)
NAMES = ("Fraud", "Churn", "☃")


@pytest.fixture
def channel(mortal_stack: LocalStack) -> Iterator[grpc.Channel]:
    Faults(mortal_stack).all_ready()
    mortal_stack.clean()
    with grpc.insecure_channel(mortal_stack.grpc) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def hook(channel: grpc.Channel, url: str) -> webhook_pb2.Webhook:
    request = webhook_pb2.CreateWebhookRequest(name="hook", url=url, events=[VERSIONS], secret=SECRET)
    return webhook_pb2_grpc.WebhookServiceStub(channel).CreateWebhook(request, timeout=20)


def create(channel: grpc.Channel) -> None:
    stub = model_pb2_grpc.RegisteredModelServiceStub(channel)
    for name in NAMES:
        stub.CreateRegisteredModel(
            model_pb2.CreateRegisteredModelRequest(name=name, by=By(actor="ada")), timeout=20
        )


def register(channel: grpc.Channel, name: str, number: int) -> None:
    """The version of this number; sent again, it is the same one."""
    by = By(actor="ada")
    by.origin.writer = f"{name.encode().hex()}-{number}"
    request = version_pb2.CreateModelVersionRequest(name=name, source="s3://b/m", by=by)
    stub = version_pb2_grpc.ModelVersionServiceStub(channel)
    assert persistently(lambda: stub.CreateModelVersion(request, timeout=20)).version == number


def told(receiver: Receiver, name: str) -> list[int]:
    """Versions in the order in which the receiver first took them."""
    versions = [int(each.data["version"]) for each in receiver.taken if each.data["name"] == name]
    return list(dict.fromkeys(versions))


@pytest.mark.parametrize("victim", ["registry-project", "postgres"])
def test_nothing_is_lost_and_the_order_kept_when_one_is_killed(
    mortal_stack: LocalStack, channel: grpc.Channel, receiver: Receiver, victim: str
) -> None:
    faults = Faults(mortal_stack)
    killed: dict[str, int] = {}
    hook(channel, receiver.url)
    create(channel)
    for number in range(1, 31):
        for name in NAMES:
            register(channel, name, number)
        if number in (10, 20):
            until("it delivers", lambda: len(receiver.taken) >= 3)
            faults.all_ready(killed)
            killed = {victim: faults.pids()[victim]}
            faults.kill(victim)
    expected = list(range(1, 31))
    until(
        "everything is told", lambda: all(len(told(receiver, name)) == 30 for name in NAMES), deadline_s=120
    )
    for name in NAMES:
        assert told(receiver, name) == expected
    # What came twice is known by its id.
    told_once = {(each.data["name"], each.data["version"]) for each in receiver.taken}
    assert len({each.delivery_id for each in receiver.taken}) == len(told_once) == 30 * len(NAMES)
    faults.all_ready(killed)


def test_killed_in_the_middle_of_a_request_it_sends_it_again(
    mortal_stack: LocalStack, channel: grpc.Channel, receiver: Receiver
) -> None:
    faults = Faults(mortal_stack)
    before = faults.pids()

    def kill_the_first(received: Received) -> Reply:
        if len(receiver.received) == 1:
            # Taken in, and the sender will never know.
            faults.kill("registry-project")
        return OK

    receiver.reply = kill_the_first
    hook(channel, receiver.url)
    create(channel)
    for number in (1, 2, 3):
        register(channel, "Fraud", number)
    until("all are told", lambda: told(receiver, "Fraud") == [1, 2, 3], deadline_s=90)
    versions = [each.data["version"] for each in receiver.taken]
    assert versions in (["1", "1", "2", "3"], ["1", "2", "3"])
    assert len({each.delivery_id for each in receiver.taken}) == 3
    faults.all_ready({"registry-project": before["registry-project"]})


def test_the_secret_is_in_no_file_of_the_stack(
    mortal_stack: LocalStack, channel: grpc.Channel, receiver: Receiver
) -> None:
    receiver.reply = lambda received: Reply(400)
    made = hook(channel, receiver.url)
    create(channel)
    register(channel, "Fraud", 1)
    stub = webhook_pb2_grpc.WebhookServiceStub(channel)
    dead = webhook_pb2.ListDeliveriesRequest(
        webhook_id=made.webhook_id, state=webhook_pb2.DELIVERY_STATE_DEAD
    )
    until("it is given up", lambda: stub.ListDeliveries(dead, timeout=20).deliveries)
    assert receiver.received[0].signed_with(SECRET)
    assert mortal_stack.data is not None
    assert [path for path in files_of(mortal_stack.data) if SECRET.encode() in path.read_bytes()] == []
    credentials = mortal_stack.data / "credentials.json"
    assert "webhook_key" in credentials.read_text()
    assert credentials.stat().st_mode & 0o777 == 0o600


def files_of(folder: Path) -> Iterator[Path]:
    """Logs, log, tables and blobs."""
    for path in folder.rglob("*"):
        # Parts are at work: files go, and sockets are none.
        with suppress(OSError):
            if path.is_file():
                path.read_bytes()
                yield path
