"""Webhooks for events that MLflow does not know: alone, and beside its own."""

import json
import os
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent
from mlflow.exceptions import MlflowException

client = MlflowClient()
both, alone = os.environ["BOTH"], os.environ["ALONE"]
told = {
    "listed": [[found.name, list(map(str, found.events))] for found in client.list_webhooks()],
    "alone": [],
}
updated = client.update_webhook(both, events=[WebhookEvent.from_str("prompt.created")])
told["updated"] = list(map(str, updated.events))
for call, options in (
    (client.get_webhook, {}),
    (client.update_webhook, {"name": "mine"}),
    (client.test_webhook, {}),
    (client.delete_webhook, {}),
):
    try:
        call(alone, **options)
    except MlflowException as error:
        told["alone"].append(error.error_code)

Path(sys.argv[1]).write_text(json.dumps(told))
