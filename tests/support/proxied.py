"""MLflow's proxied artifact API, called as its client does, and with paths that it never would."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

ROOT = "/api/2.0/mlflow-artifacts"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of a refusal."""
        return self.status, json.loads(self.body)["error_code"]

    @property
    def message(self) -> str:
        text: str = json.loads(self.body)["message"]
        return text


class Proxied:
    """Paths of artifacts are texts that are encoded here, those of `raw` go out as they are."""

    def __init__(self, http_uri: str) -> None:
        parts = urlsplit(http_uri)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port = parts.hostname, parts.port

    def put(self, path: str, data: bytes | Iterable[bytes], **headers: str) -> Answer:
        """In chunks of unknown length when the data is not bytes."""
        return self.raw("PUT", f"{ROOT}/artifacts/{quote(path)}", data, headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.raw("GET", f"{ROOT}/artifacts/{quote(path)}", headers=headers)

    def head(self, path: str, **headers: str) -> Answer:
        return self.raw("HEAD", f"{ROOT}/artifacts/{quote(path)}", headers=headers)

    def delete(self, path: str) -> Answer:
        return self.raw("DELETE", f"{ROOT}/artifacts/{quote(path)}")

    def listed(self, path: str = "") -> dict[str, int | None]:
        """By name: its size, None for a folder."""
        answer = self.raw("GET", f"{ROOT}/artifacts?path={quote(path, safe='')}")
        assert answer.status == 200, answer.body
        files = json.loads(answer.body).get("files", [])
        assert all(file["is_dir"] == ("file_size" not in file) for file in files)
        return {file["path"]: file.get("file_size") for file in files}

    def raw(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
            connection.request(method, target, body, named)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def begin_put(self, path: str, size: int) -> socket.socket:
        """An upload of which the headers are sent, and nothing else."""
        opened = socket.create_connection((self.host, self.port), timeout=120)
        target = f"{ROOT}/artifacts/{quote(path)}"
        opened.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        return opened

    def begin_get(self, path: str) -> http.client.HTTPResponse:
        """A download of which the headers are read, and nothing else."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        connection.request("GET", f"{ROOT}/artifacts/{quote(path)}")
        return connection.getresponse()


def pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
