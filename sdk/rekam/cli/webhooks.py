"""`rekam webhooks`."""

from __future__ import annotations

import click

from rekam.calls.deciding import By
from rekam.cli.models.group import deciding
from rekam.cli.output import (
    REFUSED,
    ListsByDefault,
    command_options,
    moment,
    print_fields,
    print_json,
    print_table,
)
from rekam.client import Client
from rekam.webhooks import DeliveryState, Webhook, WebhookStatus

_PAGE = click.IntRange(1, 1_000)


@click.group(cls=ListsByDefault)
def webhooks() -> None:
    """Webhooks: list (the default), show, create, update, delete, test, dead, waiting, redeliver.

    They tell a receiver by HTTP of what happens in the registry. EVENT is ENTITY.ACTION, for example
    model_version.created or model_version_stage.transitioned.
    """


@webhooks.command("list")
@click.option("--max-results", type=_PAGE, default=100, show_default=True)
@command_options
def list_webhooks(client: Client, as_json: bool, max_results: int) -> None:
    """List webhooks, the newest first."""
    found = client.list_webhooks(max_results)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "status", "url", "events"),
        [(each.webhook_id, each.name, each.status, each.url, ", ".join(each.events)) for each in found],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


@webhooks.command("show")
@click.argument("webhook_id")
@command_options
def show(client: Client, as_json: bool, webhook_id: str) -> None:
    """Show a webhook, without its secret."""
    _say(as_json, client.get_webhook(webhook_id))


@webhooks.command("create")
@click.argument("name")
@click.argument("url")
@click.argument("events", nargs=-1, required=True, metavar="EVENT...")
@click.option("--description", help="What it is for.")
@click.option(
    "--secret",
    envvar="REKAM_WEBHOOK_SECRET",
    show_envvar=True,
    help="Signs what is sent; better given by the environment.",
)
@click.option("--disabled", is_flag=True, help="Tell it nothing yet.")
@deciding
def create(
    client: Client,
    as_json: bool,
    name: str,
    url: str,
    events: tuple[str, ...],
    description: str | None,
    secret: str | None,
    disabled: bool,
    by: By,
) -> None:
    """Tell a receiver of events from now on."""
    status = WebhookStatus.DISABLED if disabled else WebhookStatus.ACTIVE
    _say(as_json, client.create_webhook(name, url, events, description, secret, status, **by))


@webhooks.command("update")
@click.argument("webhook_id")
@click.option("--name", help="Its new name.")
@click.option("--url", help="Where it leads now.")
@click.option("--event", "events", multiple=True, help="All that it is told of now. May be repeated.")
@click.option("--description", help="What it is for.")
@click.option("--secret", help='Signs what is sent from now on; "" signs nothing any more.')
@click.option("--enable/--disable", "enabled", default=None, help="Whether it is told anything.")
@deciding
def update(
    client: Client,
    as_json: bool,
    webhook_id: str,
    name: str | None,
    url: str | None,
    events: tuple[str, ...],
    description: str | None,
    secret: str | None,
    enabled: bool | None,
    by: By,
) -> None:
    """Change a webhook; what is not named stays."""
    status = None if enabled is None else WebhookStatus.ACTIVE if enabled else WebhookStatus.DISABLED
    _say(as_json, client.update_webhook(webhook_id, name, description, url, events, secret, status, **by))


@webhooks.command("delete")
@click.argument("webhook_id")
@deciding
def delete(client: Client, as_json: bool, webhook_id: str, by: By) -> None:
    """Delete a webhook; what waits for it is dropped."""
    client.delete_webhook(webhook_id, **by)
    if as_json:
        print_json({"webhook_id": webhook_id, "deleted": True})
    else:
        click.echo(f"webhook {webhook_id} deleted")


@webhooks.command("test")
@click.argument("webhook_id")
@click.option("--event", help="An example of this one; of its first if left out.")
@command_options
def test(client: Client, as_json: bool, webhook_id: str, event: str | None) -> None:
    """Send an example at once, and tell what came back.

    Ends with code 1 when the receiver did not answer with a status of 200 to 299.
    """
    result = client.test_webhook(webhook_id, event)
    if as_json:
        print_json(result)
    else:
        answered = "no answer" if result.response_status is None else f"status {result.response_status}"
        said = result.error_message or result.response_body or ""
        click.echo(f"{'delivered' if result.success else 'not delivered'}: {answered}  {said}".rstrip())
    if not result.success:
        raise SystemExit(REFUSED)


@webhooks.command("dead")
@click.argument("webhook_id", required=False)
@click.option("--max-results", type=_PAGE, default=100, show_default=True)
@command_options
def dead(client: Client, as_json: bool, webhook_id: str | None, max_results: int) -> None:
    """List deliveries that were given up, of one webhook or of all, the newest first."""
    _deliveries(client, as_json, webhook_id, DeliveryState.DEAD, max_results)


@webhooks.command("waiting")
@click.argument("webhook_id", required=False)
@click.option("--max-results", type=_PAGE, default=100, show_default=True)
@command_options
def waiting(client: Client, as_json: bool, webhook_id: str | None, max_results: int) -> None:
    """List deliveries that are still to be made, of one webhook or of all, the newest first."""
    _deliveries(client, as_json, webhook_id, DeliveryState.WAITING, max_results)


@webhooks.command("redeliver")
@click.argument("webhook_id")
@click.argument("delivery_ids", nargs=-1)
@deciding
def redeliver(client: Client, as_json: bool, webhook_id: str, delivery_ids: tuple[str, ...], by: By) -> None:
    """Try deliveries again at once; without ids all that were given up."""
    count = client.redeliver(webhook_id, delivery_ids, **by)
    print_json({"redelivered": count}) if as_json else click.echo(f"{count} redelivered")


def _deliveries(client: Client, as_json: bool, webhook_id: str | None, state: str, max_results: int) -> None:
    found = client.list_webhook_deliveries(webhook_id, state, max_results)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "event", "model", "attempts", "last (UTC)", "next (UTC)", "status", "error"),
        [
            (
                each.delivery_id,
                each.event,
                each.name,
                each.attempts,
                moment(each.last_attempt_timestamp),
                moment(each.next_attempt_timestamp) if state == DeliveryState.WAITING else "",
                each.last_status,
                each.last_error,
            )
            for each in found
        ],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


def _say(as_json: bool, webhook: Webhook) -> None:
    if as_json:
        print_json(webhook)
        return
    print_fields(
        {
            "id": webhook.webhook_id,
            "name": webhook.name,
            "url": webhook.url,
            "events": ", ".join(webhook.events),
            "description": webhook.description,
            "status": webhook.status,
            "signed": "yes" if webhook.has_secret else "no",
            "created (UTC)": moment(webhook.creation_timestamp),
            "updated (UTC)": moment(webhook.last_updated_timestamp),
        }
    )
