"""Rules of webhooks: names, URLs, events; which addresses they may lead to."""

from __future__ import annotations

import pytest

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.webhooks import addresses, rules
from rekam_runtime.errors import Invalid, NotFound

CREATED, SET = webhook_pb2.WEBHOOK_ACTION_CREATED, webhook_pb2.WEBHOOK_ACTION_SET
VERSION, TAG = webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION, webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_TAG


@pytest.mark.parametrize("name", ["a", "A1", "a.b_c-d", "a" * 63])
def test_a_name(name: str) -> None:
    rules.name(name)


@pytest.mark.parametrize("name", ["", " ", "-a", "a-", "a b", "é", "a" * 64, "a\n"])
def test_no_name(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.name(name)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/x?y=z", "https://[2606:4700::1]/"]
)
def test_a_url(url: str) -> None:
    rules.url(url, plain=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "http://a.example/",
        "ftp://a.example/",
        "//a.example/",
        "https:///path",
        "https://user:password@a.example/",
        "https://user@a.example/",
        "https://a.example\\@127.0.0.1/",
        "https://a.example/ b",
        "https://a.example/\r\nHost: b",
        "https://a.example:port/",
        "https://a.example:99999/",
        "https://[::1/",
        "https://a.example/" + "x" * 2_048,
    ],
)
def test_no_url(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.url(url, plain=False)
    assert refused.value.field == "url"
    assert "password" not in refused.value.message.replace("user or password", "")


def test_plain_http_where_it_is_allowed() -> None:
    rules.url("http://localhost:8080/", plain=True)
    with pytest.raises(Invalid):
        rules.url("file:///etc/passwd", plain=True)


def test_events_are_kept_once() -> None:
    one, other = (
        webhook_pb2.WebhookEvent(entity=VERSION, action=CREATED),
        webhook_pb2.WebhookEvent(entity=TAG, action=SET),
    )
    assert rules.events([one, other, one]) == [one, other]
    with pytest.raises(Invalid):
        rules.events([])
    with pytest.raises(Invalid) as refused:
        rules.events([one, webhook_pb2.WebhookEvent(entity=VERSION, action=SET)])
    assert refused.value.field == "events[1]"
    assert refused.value.message == (
        "Invalid action 'set' for entity 'model_version'. Valid actions are: ['created']"
    )
    with pytest.raises(Invalid):
        rules.event(webhook_pb2.WebhookEvent())
    with pytest.raises(Invalid):
        rules.event(webhook_pb2.WebhookEvent(entity=99, action=98))  # type: ignore[arg-type]


@pytest.mark.parametrize("webhook_id", ["", "x", "0" * 31, "0" * 33, "G" * 32])
def test_an_id_that_none_can_have_is_of_none(webhook_id: str) -> None:
    with pytest.raises(NotFound):
        rules.webhook_id(webhook_id)


PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]
PRIVATE = ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1"]
PRIVATE += [f"::ffff:{address}" for address in PRIVATE if "." in address]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "240.0.0.1",
    "224.0.0.1",
    "ff02::1",
    "::",
    "fec0::1",
    "192.0.2.1",
    "198.18.0.1",
    "2001:db8::1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:224.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::a9fe:a9fe",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert addresses.fault(address, private=False) is None
    assert addresses.fault(address, private=True) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_where_they_are_allowed(address: str) -> None:
    assert addresses.fault(address, private=False)
    assert addresses.fault(address, private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_nobody_allows(address: str) -> None:
    assert addresses.fault(address, private=False)
    assert addresses.fault(address, private=True)
