"""examples/serving on the real stack: promoted, rolled back, the registry killed; nobody is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from rekam import Client
from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.stack import rekam, until

SERVING = Path(__file__).parents[2] / "examples" / "serving"
NAME = "House prices"
CHAMPION = f"models:/{NAME}@champion"
# Straight to this machine, whatever the environment says of proxies.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def asked(url: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if content is None else json.dumps(content).encode()
    with DIRECTLY.open(urllib.request.Request(url, body), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def serving(stack: LocalStack, kept: Path) -> Iterator[str]:
    """The example as a process; its address."""
    command = [sys.executable, str(SERVING / "serve.py"), CHAMPION, "--port", "0", "--keep", str(kept)]
    environment = {"REKAM_TRACKING_URI": stack.tracking_uri, "REKAM_SPOOL_DIR": str(kept.parent / "spool")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Customer:
    """Asks for predictions for ever, and keeps the versions that answered, in order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = False
        self.versions: list[int] = []
        self.answers = 0
        self.failures: list[Exception] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            try:
                version = asked(f"{self._url}/predict", {"area": 100})["version"]
            except (OSError, HTTPException, ValueError) as error:
                self.failures.append(error)
                return
            self.answers += 1
            if self.versions[-1:] != [version]:
                self.versions.append(version)

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(timeout=60)


def test_the_model_is_swapped_while_it_serves(mortal_stack: LocalStack, tmp_path: Path) -> None:
    mortal_stack.reset()
    client = Client(mortal_stack.tracking_uri)
    faults = Faults(mortal_stack)
    environment = {"REKAM_TRACKING_URI": mortal_stack.tracking_uri, "REKAM_SPOOL_DIR": str(tmp_path / "s")}
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, str(SERVING / "train.py")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"House prices/{number}, files ")
    client.set_registered_model_alias(NAME, "champion", 1)
    kept = tmp_path / "view.json"
    with serving(mortal_stack, kept) as url:
        until("a model is loaded", lambda: asked(f"{url}/health")["version"] == 1)
        assert asked(f"{url}/predict", {"area": 100})["price"] == pytest.approx(300_000, rel=0.05)
        customer = Customer(url)
        promoted = rekam("models", "alias", f"{NAME}/2", "champion", "--uri", mortal_stack.tracking_uri)
        assert promoted.returncode == 0, promoted.stderr
        until("version 2 answers", lambda: customer.versions == [1, 2])
        before = faults.pids()
        faults.kill("registry-serve")
        answered = customer.answers
        until("it answers", lambda: customer.answers > answered + 10 or customer.failures)
        faults.all_ready({"registry-serve": before["registry-serve"]})
        back = rekam(
            "models",
            "rollback",
            f"{NAME}@champion",
            "--reason",
            "it drifts",
            "--uri",
            mortal_stack.tracking_uri,
        )
        assert back.returncode == 0, back.stderr
        until("version 1 answers again", lambda: customer.versions == [1, 2, 1])
        with faults.frozen("registry-serve"):
            until("silence is seen", lambda: not asked(f"{url}/health")["registry"]["connected"])
            assert asked(f"{url}/predict", {"area": 100})["version"] == 1
            # One that starts meanwhile knows what the other has heard.
            with serving(mortal_stack, kept) as another:
                until("it has a model", lambda: asked(f"{another}/health")["version"] == 1)
        customer.stop()
        assert customer.failures == []
        until("it is heard of again", lambda: asked(f"{url}/health")["registry"]["connected"])
        assert asked(f"{url}/health")["version"] == 1
