"""`rekam webhooks` and the SDK's calls: made, tried, told, given up and redelivered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from rekam import Client
from rekam.cli import main
from rekam.errors import Invalid, NotFound
from tests.support.receiver import Reply, receiving
from tests.support.stack import until

Cli = Callable[..., str]


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def cli(rekam_tracking_uri: str) -> Cli:
    """Runs `rekam webhooks` in this process; answers with what it prints. code: how it is to end."""

    def run(*arguments: str, code: int = 0) -> str:
        command = ["webhooks", *arguments, "--uri", rekam_tracking_uri]
        done = CliRunner().invoke(main, command, env={"REKAM_WEBHOOK_SECRET": "s3cret"})
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done.stdout or done.stderr

    return run


def answered(cli: Cli, *arguments: str, code: int = 0) -> Any:
    return json.loads(cli(*arguments, "--json", code=code))


def test_a_webhook_from_its_creation_to_its_end(cli: Cli, client: Client) -> None:
    with receiving() as receiver:
        made = answered(
            cli, "create", "ci", receiver.url, "registered_model.created", "model_version.created"
        )
        id = made["webhook_id"]
        assert (made["status"], made["has_secret"]) == ("ACTIVE", True)
        assert cli("test", id).startswith("delivered: status 200")
        until("the example is there", lambda: len(receiver.received) == 1)
        assert receiver.received[0].signed_with("s3cret")
        client.create_registered_model("Fraud")
        until("it is told", lambda: len(receiver.received) == 2)
        assert receiver.received[1].event == "registered_model.created"
        # Gone for good, so that it is not tried again.
        receiver.reply = lambda received: Reply(410)
        assert answered(cli, "test", id, "--event", "model_version.created", code=1)["response_status"] == 410
        client.create_model_version("Fraud", "s3://b/m")
        (dead,) = until("it is given up", lambda: answered(cli, "dead", id))
        assert (dead["event"], dead["name"], dead["last_status"]) == ("model_version.created", "Fraud", 410)
        receiver.reply = lambda received: Reply()
        assert cli("redeliver", id, "--reason", "mended") == "1 redelivered\n"
        until("it is told after all", lambda: answered(cli, "dead") == answered(cli, "waiting") == [])
        changed = answered(cli, "update", id, "--disable", "--name", "builds", "--secret", "")
        assert (changed["status"], changed["name"], changed["has_secret"]) == ("DISABLED", "builds", False)
        assert changed["events"] == made["events"]
        assert cli().splitlines()[1].split()[:3] == [id, "builds", "DISABLED"]
        assert "signed         no" in cli("show", id)
        assert cli("delete", id) == f"webhook {id} deleted\n"
        assert answered(cli, "list") == []
        with pytest.raises(NotFound):
            client.get_webhook(id)


def test_what_no_webhook_can_be_is_refused(cli: Cli, client: Client) -> None:
    with pytest.raises(Invalid, match="has the form ENTITY"):
        client.create_webhook("ci", "https://example.org", ["created"])
    with pytest.raises(Invalid):
        client.create_webhook("ci", "https://example.org", ["registered_model.deleted"])
    with pytest.raises(Invalid, match="ACTIVE or DISABLED"):
        client.create_webhook("ci", "https://example.org", ["registered_model.created"], status="on")
    with pytest.raises(Invalid, match="WAITING or DEAD"):
        client.list_webhook_deliveries(state="gone")
    assert cli("create", "ci", "ftp://example.org", "registered_model.created", code=1).startswith("Error: ")
    assert cli("create", "ci", "https://example.org", code=2)
