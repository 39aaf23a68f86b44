"""`rekam models`: registered, promoted, rolled back and watched from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from rekam import Client
from rekam.cli import main
from tests.support.stack import REKAM

Cli = Callable[..., str]


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def cli(rekam_tracking_uri: str) -> Cli:
    """Runs `rekam models` in this process; answers with what it prints. code: how it is to end."""

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["models", *arguments, "--uri", rekam_tracking_uri])
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    return run


def answered(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli(*arguments, "--json"))


def cells(table: str) -> list[list[str]]:
    """Rows under the headings, split at the gaps between columns."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()[1:]]


def test_a_model_from_its_files_to_production_and_back(cli: Cli, client: Client) -> None:
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "1 2 3", "model/weights.txt")
    source = f"runs:/{run_id}/model"
    first = answered(cli, "register", source, "Fraud", "--tag", "auc=0.9", "--reason", "a first one")
    assert (first["version"], first["run_id"], first["tags"]) == (1, run_id, {"auc": "0.9"})
    cli("register", source, "Fraud", "--description", "a better one")
    assert cells(cli("versions", "Fraud"))[0][:2] == ["2", "None"]
    said = cli("promote", "Fraud/1", "--reason", "it is good", "--actor", "ada")
    assert said == "version 1 of Fraud is in Production\n"
    cli("promote", "Fraud/latest", "production", "--expected-version", "1", "--reason", "it is better")
    error = cli("promote", "Fraud/1", "--expected-version", "1", code=1)
    assert error == "Error: expected_version: in stage Production of 'Fraud' is version 2, not version 1\n"
    assert [row[:2] for row in cells(cli())] == [["Fraud", "Production 2, Archived 1"]]
    assert answered(cli, "show", "models:/Fraud/Production")["version"] == 2
    then = str(answered(cli, "history", "Fraud/Production")[1]["position"])
    assert answered(cli, "show", "Fraud/production", "--as-of", then)["version"] == 1
    assert cli("rollback", "Fraud/Production", code=2).endswith("Missing option '--reason'.\n")
    dry = cli("rollback", "Fraud/Production", "--reason", "it drifts", "--dry-run")
    assert dry == "Fraud/Production: 2 -> 1 (nothing is done)\n"
    error = cli("rollback", "Fraud/Production", "--reason", "it drifts", "--expected-version", "7", code=1)
    assert "Fraud/Production is version 2 now" in error
    back = answered(cli, "rollback", "Fraud/Production", "--reason", "it drifts", "--actor", "bob")
    assert back == {"model": "Fraud", "from": 2, "to": 1}
    assert [(each.version, each.current_stage) for each in client.get_latest_versions("Fraud")] == [
        (1, "Production"),
        (2, "Archived"),
    ]
    rows = cells(cli("history", "Fraud/Production"))
    assert [row[2:] for row in rows] == [
        ["bob", "version 1: Archived -> Production, archived 2", "it drifts"],
        [rows[1][2], "version 2: None -> Production, archived 1", "it is better"],
        ["ada", "version 1: None -> Production", "it is good"],
    ]
    assert cli("rollback", "Fraud/Staging", "--reason", "x", code=1).endswith("nothing to go back to\n")
    assert cli("rollback", "Fraud/3", "--reason", "x", code=2)
    assert cli("rollback", "Nothing/Staging", "--reason", "x", code=1)


def test_aliases_move_and_go_back(cli: Cli, client: Client) -> None:
    client.create_registered_model("Fraud")
    for _ in range(3):
        client.create_model_version("Fraud", "s3://b/m")
    assert cli("alias", "Fraud/1", "champion") == "Fraud@champion is version 1\n"
    assert cli("rollback", "Fraud@champion", "--reason", "x", code=1).endswith("nothing to go back to\n")
    assert cli("alias", "Fraud/latest", "champion") == "Fraud@champion is version 3 (before: version 1)\n"
    assert "points to version 3" in cli("alias", "Fraud/2", "champion", "--expected-version", "1", code=1)
    client.rename_registered_model("Fraud", "Fraud 2")
    assert cli("rollback", "Fraud 2@champion", "--reason", "it drifts") == "Fraud 2@champion: 3 -> 1\n"
    assert cli("rollback", "Fraud 2@champion", "--reason", "it does not") == "Fraud 2@champion: 1 -> 3\n"
    assert cli("alias", "Fraud 2", "champion", "--delete") == "Fraud 2 has no alias champion any more\n"
    assert cli("rollback", "Fraud 2@champion", "--reason", "by mistake") == "Fraud 2@champion: nothing -> 3\n"
    assert cli("alias", "Fraud 2", "champion", code=1).startswith("Error: MODEL: 'Fraud 2' names no version")
    changes = [row[3] for row in cells(cli("history", "Fraud 2@champion"))]
    assert changes[:2] == ["champion: 3", "champion: deleted (was 3)"]


def test_what_is_protected_is_asked_for(cli: Cli, client: Client) -> None:
    cli("create", "Fraud", "--description", "Finds it.", "--tag", "team=search")
    client.create_model_version("Fraud", "s3://b/m")
    cli("protect", "Fraud", "--stage", "Production", "--only", "lead")
    assert "Production: changed by lead only" in cli("show", "Fraud")
    assert cli("promote", "Fraud/1", "--actor", "ada", code=1).startswith("Error: ")
    assert cli("request", "Fraud/1", "--stage", "Production", "--actor", "ada", "--reason", "good") == (
        "request 1 of Fraud (version 1 to Production) is PENDING\n"
    )
    assert cells(cli("requests", "Fraud", "--state", "pending"))[0][:5] == [
        "1",
        "1",
        "Production",
        "PENDING",
        "ada",
    ]
    assert answered(cli, "approve", "Fraud", "1", "--actor", "bob", "--role", "lead")["state"] == "APPROVED"
    assert "is decided" in cli("reject", "Fraud", "1", "--actor", "bob", "--role", "lead", code=1)
    assert cli("request", "Fraud/1", code=2)


def test_models_and_versions_are_described_and_deleted(cli: Cli, client: Client) -> None:
    client.create_registered_model('Fraud\'s "one"')
    client.create_registered_model("Fraud")
    client.create_model_version("Fraud", "s3://b/m")
    assert answered(cli, "describe", "Fraud", "Finds it.")["description"] == "Finds it."
    assert answered(cli, "describe", "Fraud/1", "The one.")["description"] == "The one."
    assert answered(cli, "tag", "Fraud/1", "a=1", "b=2")["tags"] == {"a": "1", "b": "2"}
    assert answered(cli, "tag", "Fraud/1", "--delete", "a")["tags"] == {"b": "2"}
    assert answered(cli, "tag", "Fraud", "a=b=c")["tags"] == {"a": "b=c"}
    assert "is not KEY=VALUE" in cli("tag", "Fraud", "a", code=2)
    assert cli("versions", "Spam", code=1).startswith("Error: ")
    assert cli("show", "Fraud/x", code=2)
    assert cli("show", "Fraud", "--as-of", "yesterday", code=2)
    assert cli("show", "Fraud", "--as-of", "1970-01-02T03:04", code=1).startswith("Error: ")
    # Nobody answers, so nothing is deleted.
    assert "Aborted" in cli("delete", "Fraud/1", code=1)
    assert cli("delete", "Fraud/1", "--yes") == "version 1 of Fraud deleted\n"
    assert cli("rename", "Fraud", "Spam") == "Fraud is Spam now\n"
    assert cli("delete", "Spam", "--yes", "--reason", "nobody needs it") == "model Spam deleted\n"
    assert cells(cli("history", "Spam"))[0][-1] == "nobody needs it"
    assert [row[0] for row in cells(cli("list"))] == ['Fraud\'s "one"']


def test_changes_are_told_as_they_happen(client: Client, rekam_tracking_uri: str) -> None:
    client.create_registered_model("Fraud")
    client.create_registered_model("Spam")
    command = [REKAM, "models", "watch", "Fraud", "--json", "--changes", "2", "--uri", rekam_tracking_uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline() == "watching 1 models\n"
        client.update_registered_model("Spam", "not told")
        client.create_model_version("Fraud", "s3://b/m", reason="a first one")
        client.transition_model_version_stage("Fraud", 1, "Production", actor="ada")
        out, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert [(each["event"], each["name"]) for each in told] == [
        ("version_created", "Fraud"),
        ("version_transitioned", "Fraud"),
    ]
    assert (told[0]["reason"], told[1]["actor"]) == ("a first one", "ada")
