"""Webhooks: managed by MlflowClient, tested, and delivered to a server that checks what it is sent."""

import base64
import hashlib
import hmac
import json
import queue
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

SECRET = "sécret of the receiver"
EVENTS = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
    "prompt_tag.set",
    "prompt_tag.deleted",
    "prompt_version_tag.set",
    "prompt_version_tag.deleted",
    "prompt_alias.created",
    "prompt_alias.deleted",
]
received = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Takes what comes to /hook, after it refused it as often as it is told; /refuse refuses all."""

    busy = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if self.path == "/refuse":
            status = 400
        elif Receiver.busy:
            Receiver.busy -= 1
            status = 503
        self.send_response(status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")
        received.put((self.path, status, self.headers, body))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
client = MlflowClient()
told = {"delivered": []}


def of(webhook):
    """What is the same in every run, of a webhook."""
    return {
        "name": webhook.name,
        "url": webhook.url.replace(url, "<receiver>"),
        "events": sorted(map(str, webhook.events)),
        "description": webhook.description,
        "status": str(webhook.status),
        "secret": webhook.secret,
    }


def events(*names):
    return [WebhookEvent.from_str(name) for name in names]


def signed(headers, body, secret):
    """Whether the signature is that of the receiver's secret."""
    content = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"


def delivery(secret=SECRET):
    """What comes next."""
    path, status, headers, body = received.get(timeout=120)
    sent = json.loads(body)
    return {
        "to": path,
        "status": status,
        "entity": sent["entity"],
        "action": sent["action"],
        "data": sent["data"],
        "keys": sorted(sent),
        "type": headers["Content-Type"],
        "dated": abs(datetime.fromisoformat(sent["timestamp"]).timestamp() - time.time()) < 600
        and abs(int(headers["X-MLflow-Timestamp"]) - time.time()) < 600,
        "id": len(headers["X-MLflow-Delivery-Id"]),
        "signed": signed(headers, body, secret) if headers["X-MLflow-Signature"] else None,
    }


# Managed.
hook = client.create_webhook("hook", f"{url}/hook", events(*EVENTS), "Of everything.", SECRET)
told["created"] = of(hook)
told["read"] = of(client.get_webhook(hook.webhook_id))
other = client.create_webhook(
    "other.hook_1", "https://127.0.0.1/x", events("prompt.created"), status="DISABLED"
)
told["other"] = of(other)
told["listed"] = [of(each) for each in client.list_webhooks()]
told["pages"], token = [], None
while True:
    page = client.list_webhooks(max_results=1, page_token=token)
    told["pages"].append([each.name for each in page])
    token = page.token
    if not token:
        break
changed = client.update_webhook(
    other.webhook_id,
    name="renamed",
    description="Changed.",
    url="https://127.0.0.1/y",
    events=events("model_version.created", "registered_model.created"),
    status=WebhookStatus.ACTIVE,
)
told["changed"] = [of(changed), changed.last_updated_timestamp >= changed.creation_timestamp]
told["only its status"] = of(client.update_webhook(other.webhook_id, status="DISABLED"))
client.delete_webhook(other.webhook_id)
told["left"] = [each.name for each in client.list_webhooks()]
try:
    client.get_webhook(other.webhook_id)
except MlflowException as error:
    told["deleted"] = error.error_code

# Tested, with each event.
for event in EVENTS:
    result = client.test_webhook(hook.webhook_id, WebhookEvent.from_str(event))
    told[f"test of {event}"] = [
        result.success,
        result.response_status,
        result.response_body,
        result.error_message,
        delivery(),
    ]
refusing = client.create_webhook("refusing", f"{url}/refuse", events("prompt.created"))
result = client.test_webhook(refusing.webhook_id)
told["test that is refused"] = [result.success, result.response_status, result.response_body, delivery()]
gone = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
gone.server_close()
client.update_webhook(refusing.webhook_id, url=f"http://127.0.0.1:{gone.server_port}/hook")
result = client.test_webhook(refusing.webhook_id)
told["test without an answer"] = [result.success, result.response_status, bool(result.error_message)]
client.delete_webhook(refusing.webhook_id)


def delivers(call, /, *arguments, number=1, **options):
    """What a call has delivered."""
    call(*arguments, **options)
    told["delivered"] += [delivery() for _ in range(number)]


# Delivered, each before the next change.
delivers(client.create_registered_model, "model", {"team": "prices"}, "A model.")
delivers(client.create_registered_model, "bare")
delivers(client.create_model_version, "model", "s3://models/1", "a" * 32, {"k": "v"}, None, "The first.")
delivers(client.create_model_version, "model", "s3://models/2")
delivers(client.set_model_version_tag, "model", "1", "checked", "ä")
delivers(client.delete_model_version_tag, "model", "1", "checked")
delivers(client.set_registered_model_alias, "model", "champion", "1")
delivers(client.set_registered_model_alias, "model", "champion", "2")
delivers(client.delete_registered_model_alias, "model", "champion")
# These tell nobody.
client.set_registered_model_tag("model", "team", "houses")
client.delete_registered_model_tag("model", "team")
client.update_registered_model("model", "Described.")
client.update_model_version("model", "1", "Described.")
client.transition_model_version_stage("model", "1", "Production")
client.rename_registered_model("bare", "renamed")
client.delete_model_version("model", "2")
client.delete_registered_model("renamed")
# A prompt, by its parts.
delivers(client.create_prompt, "prompt", "A prompt.", {"tone": "warm"})
delivers(client.create_prompt_version, "prompt", "Hello, {{name}}", "The first.", {"checked": "no"})
delivers(client.set_prompt_tag, "prompt", "owner", "ada")
delivers(client.delete_prompt_tag, "prompt", "owner")
delivers(client.set_prompt_version_tag, "prompt", "1", "checked", "yes")
delivers(client.delete_prompt_version_tag, "prompt", "1", "checked")
delivers(client.set_prompt_alias, "prompt", "production", 1)
delivers(client.delete_prompt_alias, "prompt", "production")

# Only to those who want it, and again when the receiver was busy.
client.update_webhook(hook.webhook_id, status="DISABLED")
client.create_registered_model("told to nobody")
client.update_webhook(hook.webhook_id, status="ACTIVE", events=events("model_version.created"))
client.create_registered_model("told to nobody, too")
delivers(client.create_model_version, "told to nobody", "s3://models/1")
Receiver.busy = 2
delivers(client.create_model_version, "told to nobody", "s3://models/2", number=3)
client.update_webhook(hook.webhook_id, secret="another")
client.create_model_version("told to nobody", "s3://models/3")
told["another secret"] = delivery("another")["signed"]
client.delete_webhook(hook.webhook_id)
unsigned = client.create_webhook("unsigned", f"{url}/hook", events("model_version.created"))
delivers(client.create_model_version, "told to nobody", "s3://models/4")
client.delete_webhook(unsigned.webhook_id)
told["more"] = received.qsize()
told["models"] = [model.name for model in mlflow.search_registered_models()]

Path(sys.argv[1]).write_text(json.dumps(told))
