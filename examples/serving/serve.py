"""Serves a registered model over HTTP, and swaps it, without restart, when somebody promotes a version.

    python examples/serving/train.py
    rekam models alias "House prices/latest" champion
    python examples/serving/serve.py "models:/House prices@champion" --port 8080
    curl -d '{"area": 100}' http://127.0.0.1:8080/predict

From then on `rekam models alias` and `rekam models rollback` decide what it answers with. While the registry
is down it goes on with what it has, and /health says since when.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rekam import Client, ModelVersion
from rekam.registry import Registry


@dataclass(frozen=True)
class Line:
    """A model in memory. Requests that have begun with it end with it."""

    version: int
    slope: float
    intercept: float

    @classmethod
    def load(cls, version: ModelVersion) -> "Line":
        """By where its files are, which needs no registry."""
        with tempfile.TemporaryDirectory() as folder:
            files = Path(Client().download_uri(version.location, folder))
            return cls(version.version, **json.loads((files / "line.json").read_bytes()))

    def predict(self, area: float) -> float:
        return self.slope * area + self.intercept


class Serving:
    """The model that is served: always a whole one."""

    def __init__(self, registry: Registry, model_uri: str) -> None:
        self.registry = registry
        self.model: Line | None = None
        # What it raises is logged; the model before stays.
        registry.follow(model_uri).call(self.swap)

    def swap(self, version: ModelVersion | None) -> None:
        if version is None:
            print("nothing is promoted; serving goes on with what there is", file=sys.stderr)
            return
        self.model = Line.load(version)
        print(f"serving version {version.version}", file=sys.stderr, flush=True)

    def health(self) -> dict[str, Any]:
        status = self.registry.status
        return {
            "version": self.model and self.model.version,
            "registry": {"connected": status.connected, "silent_s": round(status.silent_s, 1)},
        }


class Handler(BaseHTTPRequestHandler):
    serving: Serving

    def do_GET(self) -> None:
        self.answer(200, self.serving.health()) if self.path == "/health" else self.answer(404, {})

    def do_POST(self) -> None:
        model = self.serving.model
        if self.path != "/predict" or model is None:
            self.answer(404 if model else 503, {})
            return
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            price = model.predict(float(asked["area"]))
        except (ValueError, TypeError, KeyError) as error:
            self.answer(400, {"error": repr(error)})
            return
        self.answer(200, {"price": price, "version": model.version})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves a registered model, whichever is promoted.")
    parser.add_argument("model_uri", help="models:/NAME@ALIAS or models:/NAME/STAGE")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--keep", help="file that keeps what the registry said: to start while it is down")
    options = parser.parse_args()
    name = options.model_uri.removeprefix("models:/").partition("@")[0].partition("/")[0]
    with Registry(names=[name], keep_in=options.keep) as registry:
        Handler.serving = Serving(registry, options.model_uri)
        with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
            print(f"http://127.0.0.1:{server.server_port}", flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
