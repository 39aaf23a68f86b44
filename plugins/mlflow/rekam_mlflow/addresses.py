"""URIs: rekam://host:port is the server; below it lie its artifacts.

The server calls its artifacts `mlflow-artifacts:/PATH`, which MLflow's client resolves against an http
tracking URI only. So they become `rekam://host:port/PATH` on their way to the client, and back.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from rekam.errors import Invalid

SCHEME = "rekam"
_OF_SERVER = "mlflow-artifacts:/"


def server_of(uri: str) -> str:
    """grpc://host:port of a URI of ours."""
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or not parts.netloc:
        raise Invalid(f"a URI of Rekam has the form rekam://host:port, got {uri!r}", field="tracking_uri")
    return f"grpc://{parts.netloc}"


def path_of(uri: str) -> str:
    """PATH of rekam://host:port/PATH, as it stands."""
    return uri.removeprefix(f"{SCHEME}://").partition("/")[2].strip("/")


def server_uri(path: str) -> str:
    """What the server calls the artifacts at a path."""
    return f"{_OF_SERVER}{path}"


def to_client(uri: str, store_uri: str) -> str:
    """The server's artifact URI as this client reaches it."""
    if not uri.startswith(_OF_SERVER) or uri.startswith(f"{_OF_SERVER}/"):
        return uri
    return f"{store_uri.rstrip('/')}/{uri[len(_OF_SERVER) :]}"


def to_server(uri: str, store_uri: str) -> str:
    """The same, the other way round."""
    ours = f"{store_uri.rstrip('/')}/"
    return server_uri(uri[len(ours) :]) if uri.startswith(ours) else uri
