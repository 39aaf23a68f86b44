"""What receivers get: bytes, a signature over them, when it is tried again; secrets sealed."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.webhooks.courier import Patience
from rekam_registry.webhooks.posting import retry_after_s
from rekam_registry.webhooks.sealing import Sealer
from rekam_registry.webhooks.signing import body_of, headers_of
from rekam_runtime.errors import FailedPrecondition, Invalid

PAIR = (webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_ALIAS, webhook_pb2.WEBHOOK_ACTION_CREATED)


def test_the_body() -> None:
    body = body_of(PAIR, 1_700_000_000_000_001, {"name": "Fräulein ☃"})
    assert body.isascii()
    assert json.loads(body) == {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2023-11-14T22:13:20.000001+00:00",
        "data": {"name": "Fräulein ☃"},
    }
    # The same at every attempt.
    assert body == body_of(PAIR, 1_700_000_000_000_001, {"name": "Fräulein ☃"})


def test_the_signature_is_the_one_that_mlflows_receivers_expect() -> None:
    headers = headers_of("id-1", b'{"a": 1}', "s3cret", 1_700_000_000)
    assert headers == {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": "id-1",
        "X-MLflow-Timestamp": "1700000000",
        # printf '%s' 'id-1.1700000000.{"a": 1}' | openssl dgst -sha256 -hmac s3cret -binary | base64
        "X-MLflow-Signature": "v1,YW5PRvKTy+IERaaAfKQzg15qWC7EzIzNmMWjrKRbRvY=",
    }


def test_without_a_secret_nothing_is_signed() -> None:
    assert "X-MLflow-Signature" not in headers_of("id-1", b"{}", "", 1)


def test_a_secret_is_sealed_and_opened() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Sealer([old]).seal("s3cret ☃")
    assert b"s3cret" not in sealed
    assert sealed != Sealer([old]).seal("s3cret ☃")
    assert Sealer([new, old]).open(sealed) == "s3cret ☃"
    with pytest.raises(FailedPrecondition) as refused:
        Sealer([new]).open(sealed)
    assert "REKAM_WEBHOOK_KEYS" in refused.value.message
    with pytest.raises(FailedPrecondition):
        Sealer([]).open(sealed)


def test_without_keys_there_are_no_secrets() -> None:
    sealer = Sealer([])
    assert sealer.open(sealer.seal("")) == ""
    with pytest.raises(FailedPrecondition):
        sealer.seal("s3cret")


def test_a_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(Invalid) as refused:
        Sealer(["not-a-key"])
    assert "REKAM_WEBHOOK_KEYS" in refused.value.message
    assert "not-a-key" not in refused.value.message


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(attempts=16, first_pause_s=1.0, longest_pause_s=60.0)
    assert [patience.pause_s(failed, 0, 0.0) for failed in (1, 2, 3, 7, 1_000)] == [1, 2, 4, 60, 60]
    assert patience.pause_s(1, 0, 1.0) == 1.25
    # What the receiver asks for, within what is sensible.
    assert patience.pause_s(1, 30, 0.5) == 30
    assert patience.pause_s(1, 10_000, 0.5) == 60
    assert patience.pause_s(6, 1, 0.0) == 32


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("7", 7),
        ("-7", 0),
        ("soon", 0),
        ("9" * 30, 0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("Tue, 99 Nov 2023 22:13:10 GMT", 0),
    ],
)
def test_what_a_receiver_asks_for(text: str, seconds: float) -> None:
    assert retry_after_s(text, 1_700_000_000.0) == seconds
