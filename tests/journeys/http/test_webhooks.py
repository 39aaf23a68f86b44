"""webhooks/* over HTTP, as MLflow's client asks for them; what is told reaches a real receiver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from rekam.testing import LocalStack
from rekam_proto.registry.v1 import webhook_pb2, webhook_pb2_grpc
from tests.support.mlflow_rest import Rest
from tests.support.receiver import Receiver, Reply, receiving
from tests.support.stack import until

CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}
ALIASED = {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}
URL = "http://127.0.0.1:9/hook"
GONE = (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def create(rest: Rest, **fields: Any) -> Any:
    asked = {"name": "hook", "url": URL, "events": [CREATED], **fields}
    return rest.tell("webhooks", **asked)["webhook"]


def get(rest: Rest, webhook: Any) -> Any:
    return rest.ask(f"webhooks/{webhook['webhook_id']}")["webhook"]


def update(rest: Rest, webhook: Any, **fields: Any) -> Any:
    return rest.tell(f"webhooks/{webhook['webhook_id']}", "PATCH", **fields)["webhook"]


def test_a_webhook_from_its_creation_to_its_deletion(rest: Rest) -> None:
    made = create(rest, description="d", secret="s3cret", events=[CREATED, ALIASED])
    assert made == {
        "webhook_id": made["webhook_id"],
        "name": "hook",
        "description": "d",
        "url": URL,
        "events": [CREATED, ALIASED],
        "status": "ACTIVE",
        "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
    }
    assert get(rest, made) == made
    # What is not said, and what is empty, stays.
    assert update(rest, made) == made
    assert update(rest, made, name="", url="", events=[]) == made
    changed = update(rest, made, name="other", description="", status="DISABLED", events=[ALIASED])
    assert changed["last_updated_timestamp"] >= made["last_updated_timestamp"]
    assert changed == {
        **{key: value for key, value in made.items() if key != "description"},
        "name": "other",
        "events": [ALIASED],
        "status": "DISABLED",
        "last_updated_timestamp": changed["last_updated_timestamp"],
    }
    path = f"webhooks/{made['webhook_id']}"
    assert rest.tell(path, "DELETE") == {}
    for method in ("GET", "PATCH", "DELETE"):
        status, code, message = rest.refused(path, method)
        assert (status, code) == GONE
        assert message == f"Webhook with ID {made['webhook_id']} not found."
    assert rest.refused(f"{path}/test")[:2] == GONE
    assert rest.refused("webhooks/not-an-id", "GET")[:2] == GONE
    assert rest.ask("webhooks") == {}


def test_webhooks_are_listed_the_newest_first(rest: Rest) -> None:
    made = [create(rest, name=f"h{number}") for number in range(3)]
    assert rest.ask("webhooks")["webhooks"] == made[::-1]
    first = rest.ask("webhooks", max_results=2)
    assert first["webhooks"] == [made[2], made[1]]
    rest_of_them = rest.ask("webhooks", max_results=2, page_token=first["next_page_token"])
    assert rest_of_them == {"webhooks": [made[0]]}
    # A page that is exactly full is the last one.
    assert "next_page_token" not in rest.ask("webhooks", max_results=3)
    for wrong in (1_001, -1):
        status, code, message = rest.refused("webhooks", "GET", max_results=wrong)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message == "max_results must be between 1 and 1000."
    assert rest.refused("webhooks", "GET", page_token="x")[2].startswith("Invalid page token")


def test_what_mlflow_refuses(rest: Rest) -> None:
    refusals: dict[str, dict[str, Any]] = {
        "Missing value for required parameter 'name'.": {"name": ""},
        "Missing value for required parameter 'url'.": {"url": ""},
        "Missing value for required parameter 'events'.": {"events": []},
        "Webhook name '-hook' is invalid.": {"name": "-hook"},
        "Invalid webhook URL scheme: 'ftp'.": {"url": "ftp://a.example/"},
        "Webhook URL must include a hostname": {"url": "https:///x"},
        "Cannot resolve webhook URL hostname": {"url": "https://no-such-host.invalid/"},
        "Invalid action 'set' for entity 'model_version'. Valid actions are: ['created']": {
            "events": [{"entity": "MODEL_VERSION", "action": "SET"}]
        },
        "Invalid value \"RUN\" for parameter 'events[0].entity' supplied": {
            "events": [{"entity": "RUN", "action": "SET"}]
        },
        "Invalid value \"ON\" for parameter 'status' supplied": {"status": "ON"},
    }
    for text, wrong in refusals.items():
        asked = {"name": "hook", "url": URL, "events": [CREATED], **wrong}
        status, code, message = rest.refused("webhooks", **asked)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith(text), message
    made = create(rest)
    pair = {"entity": "PROMPT", "action": "SET"}
    wrongs: list[dict[str, Any]] = [{"name": "-"}, {"url": "x"}, {"events": [pair]}]
    for wrong in wrongs:
        assert rest.refused(f"webhooks/{made['webhook_id']}", "PATCH", **wrong)[0] == 400
    assert get(rest, made) == made


def test_enums_may_come_as_numbers(rest: Rest) -> None:
    made = create(rest, events=[{"entity": 2, "action": 1}, {"entity": 10, "action": 5}], status=2)
    assert made["events"] == [CREATED, {"entity": "BUDGET_POLICY", "action": "EXCEEDED"}]
    assert made["status"] == "DISABLED"


def test_what_happens_is_told_and_signed(rest: Rest, receiver: Receiver) -> None:
    create(rest, url=receiver.url, secret="s3cret", events=[CREATED, ALIASED])
    # As soon as it is there, without waiting for anything.
    rest.tell("registered-models/create", name="m")
    rest.tell("model-versions/create", name="m", source="s3://b/m", run_id="r", description="d")
    rest.tell("registered-models/alias", name="m", alias="best", version="1")
    until("both are told", lambda: len(receiver.taken) == 2)
    created, aliased = receiver.taken
    assert (created.event, aliased.event) == ("model_version.created", "model_version_alias.created")
    assert aliased.data == {"name": "m", "alias": "best", "version": "1"}
    assert created.signed_with("s3cret") and aliased.signed_with("s3cret")


def test_whoever_is_told_can_read_it(rest: Rest, receiver: Receiver) -> None:
    seen: list[Any] = []

    def reply(received: Any) -> Reply:
        data = received.data
        asked = rest.get(
            "/api/2.0/mlflow/model-versions/get", params={"name": data["name"], "version": data["version"]}
        )
        seen.append(asked.status_code)
        return Reply()

    receiver.reply = reply
    create(rest, url=receiver.url)
    rest.tell("registered-models/create", name="m")
    for _ in range(5):
        rest.tell("model-versions/create", name="m", source="s3://b/m")
    until("all are told", lambda: len(receiver.taken) == 5)
    assert seen == [200] * 5


def test_a_test_answers_with_what_came_back(rest: Rest, receiver: Receiver) -> None:
    made = create(rest, url=receiver.url, events=[ALIASED, CREATED], secret="s3cret")
    path = f"webhooks/{made['webhook_id']}/test"
    assert rest.tell(path)["result"] == {"success": True, "response_status": 200, "response_body": "ok"}
    assert receiver.received[-1].event == "model_version_alias.created"
    assert receiver.received[-1].signed_with("s3cret")
    rest.tell(path, event={"entity": "PROMPT_VERSION", "action": "CREATED"})
    assert receiver.received[-1].data == {
        "name": "example_prompt",
        "version": "1",
        "template": "Hello {{name}}!",
        "tags": {"example_key": "example_value"},
        "description": "An example prompt version",
    }
    receiver.reply = lambda received: Reply(500, {}, b"")
    assert rest.tell(path)["result"] == {"success": False, "response_status": 500}
    update(rest, made, url=URL)
    result = rest.tell(path)["result"]
    assert result.keys() == {"success", "error_message"}
    assert result["error_message"].startswith("Failed to test webhook: ")
    assert rest.refused(path, event={"entity": "PROMPT", "action": "SET"})[0] == 400


def test_what_mlflow_cannot_say_is_not_shown_and_not_taken_away(rest: Rest, rekam_stack: LocalStack) -> None:
    own = webhook_pb2.WebhookEvent(
        entity=webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_STAGE,
        action=webhook_pb2.WEBHOOK_ACTION_TRANSITIONED,
    )
    both = webhook_pb2.WebhookEvent(
        entity=webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION, action=webhook_pb2.WEBHOOK_ACTION_CREATED
    )
    with grpc.insecure_channel(rekam_stack.grpc) as channel:
        stub = webhook_pb2_grpc.WebhookServiceStub(channel)

        def made(*events: webhook_pb2.WebhookEvent) -> Any:
            request = webhook_pb2.CreateWebhookRequest(name="h", url=URL, events=events)
            return {"webhook_id": stub.CreateWebhook(request, timeout=20).webhook_id}

        hidden, shown = made(own), made(own, both)
        assert [each["webhook_id"] for each in rest.ask("webhooks")["webhooks"]] == [shown["webhook_id"]]
        for method in ("GET", "PATCH", "DELETE"):
            assert rest.refused(f"webhooks/{hidden['webhook_id']}", method)[:2] == GONE
        assert rest.refused(f"webhooks/{hidden['webhook_id']}/test")[:2] == GONE
        assert get(rest, shown)["events"] == [CREATED]
        assert update(rest, shown, events=[ALIASED])["events"] == [ALIASED]
        kept = stub.GetWebhook(webhook_pb2.GetWebhookRequest(**shown), timeout=20)
        assert [each.entity for each in kept.events] == [4, 101]
        # The first that can be said here is the one that is tested.
        result = rest.tell(f"webhooks/{shown['webhook_id']}/test")["result"]
        assert result["success"] is False
