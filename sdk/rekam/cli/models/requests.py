"""`rekam models request | requests | approve | reject`: somebody asks, somebody else decides."""

from __future__ import annotations

import click

from rekam.calls.deciding import By
from rekam.cli.models.group import Named, as_of_option, deciding, models, named_model
from rekam.cli.output import command_options, moment, print_json, print_table
from rekam.client import Client
from rekam.registered import AsOf, ModelTransition, TransitionState

_STATES = (
    TransitionState.PENDING,
    TransitionState.APPROVED,
    TransitionState.REJECTED,
    TransitionState.VOID,
)


@models.command("request")
@click.argument("version", metavar="MODEL", type=named_model)
@click.option("--stage", help="Ask to move it into this stage.")
@click.option("--alias", help="Ask to point this alias to it.")
@click.option("--archive-existing", is_flag=True, help="And to archive other versions in the stage.")
@deciding
def request(
    client: Client,
    as_json: bool,
    version: Named,
    stage: str | None,
    alias: str | None,
    archive_existing: bool,
    by: By,
) -> None:
    """Ask that a version is moved into a stage, or an alias to it."""
    if (stage is None) == (alias is None):
        raise click.UsageError("give exactly one of --stage and --alias")
    chosen = version.version(client)
    asked = client.request_model_transition(
        chosen.name,
        chosen.version,
        stage=stage,
        alias=alias,
        archive_existing_versions=archive_existing,
        **by,
    )
    _say(as_json, asked)


@models.command("requests")
@click.argument("name")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only those.")
@click.option("--max-results", type=click.IntRange(1, 1_000), default=100, show_default=True)
@as_of_option
@command_options
def requests(
    client: Client, as_json: bool, name: str, state: str | None, max_results: int, as_of: AsOf | None
) -> None:
    """List what was asked for, the newest first."""
    found = client.list_model_transitions(name, None, state, max_results, as_of=as_of)
    if as_json:
        print_json(found)
        return
    print_table(
        ("request", "version", "to", "state", "asked by", "reason", "asked (UTC)", "decided by"),
        [
            (
                each.request_id,
                each.version,
                each.stage or f"alias {each.alias}",
                each.state,
                each.requester,
                each.reason,
                moment(each.creation_timestamp),
                each.decider,
            )
            for each in found
        ],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


@models.command("approve")
@click.argument("name")
@click.argument("request_id", type=int)
@deciding
def approve(client: Client, as_json: bool, name: str, request_id: int, by: By) -> None:
    """Carry out what somebody else has asked for."""
    _say(as_json, client.approve_model_transition(name, request_id, **by))


@models.command("reject")
@click.argument("name")
@click.argument("request_id", type=int)
@deciding
def reject(client: Client, as_json: bool, name: str, request_id: int, by: By) -> None:
    """Refuse what was asked for; whoever asked may take it back so."""
    _say(as_json, client.reject_model_transition(name, request_id, **by))


def _say(as_json: bool, asked: ModelTransition) -> None:
    if as_json:
        print_json(asked)
        return
    to = asked.stage or f"alias {asked.alias}"
    click.echo(
        f"request {asked.request_id} of {asked.name} (version {asked.version} to {to}) is {asked.state}"
    )
