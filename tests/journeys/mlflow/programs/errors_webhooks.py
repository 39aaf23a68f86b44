"""What MLflow refuses of webhooks, call by call: each call's error code and message."""

import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent
from mlflow.exceptions import MlflowException

client = MlflowClient()
created = WebhookEvent.from_str("registered_model.created")
webhook = client.create_webhook("hook", "https://127.0.0.1/hook", [created])
told = {}


def of(name, call, /, *arguments, **options):
    """Keep what a call is refused with."""
    try:
        call(*arguments, **options)
    except MlflowException as error:
        told[name] = [error.error_code, str(error).replace(webhook.webhook_id, "<webhook>").splitlines()[0]]
    else:
        told[name] = "no error"


of("webhook: empty name", client.create_webhook, "", "https://127.0.0.1/hook", [created])
of("webhook: bad name", client.create_webhook, "-a b-", "https://127.0.0.1/hook", [created])
of("webhook: long name", client.create_webhook, "n" * 64, "https://127.0.0.1/hook", [created])
of("webhook: another scheme", client.create_webhook, "a", "ftp://example.com/hook", [created])
of("webhook: no host", client.create_webhook, "a", "https:///hook", [created])
of("webhook: empty url", client.create_webhook, "a", "", [created])
of("webhook: no url", client.create_webhook, "a", "nothing", [created])
of("webhook: no events", client.create_webhook, "a", "https://127.0.0.1/hook", [])
of("webhook: unknown event", client.create_webhook, "a", "https://127.0.0.1/hook", ["model.created"])
of("webhook: update with a bad url", client.update_webhook, webhook.webhook_id, url="ftp://example.com")
of("webhook: update with a bad name", client.update_webhook, webhook.webhook_id, name="-")
client.delete_webhook(webhook.webhook_id)
for name, id in (
    ("unknown", "0" * 8 + "-0000-4000-8000-" + "0" * 12),
    ("deleted", webhook.webhook_id),
    ("bad", "x"),
):
    of(f"{name} webhook: get", client.get_webhook, id)
    of(f"{name} webhook: update", client.update_webhook, id, name="b")
    of(f"{name} webhook: delete", client.delete_webhook, id)
    of(f"{name} webhook: test", client.test_webhook, id)
of("webhooks: none", client.list_webhooks, max_results=0)
of("webhooks: too many", client.list_webhooks, max_results=1_001)
of("webhooks: bad token", client.list_webhooks, page_token="nobody gave it")

told["afterwards"] = [each.name for each in client.list_webhooks()]
Path(sys.argv[1]).write_text(json.dumps(told))
