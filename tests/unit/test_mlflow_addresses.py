"""URIs of MLflow's plugin: what the server says, as the client reaches it, and back."""

from __future__ import annotations

import pytest

from rekam.errors import Invalid
from rekam_mlflow.addresses import path_of, server_of, to_client, to_server

STORE = "rekam://127.0.0.1:50051"


@pytest.mark.parametrize(
    ("of_server", "of_client"),
    [
        ("mlflow-artifacts:/0/ab/artifacts", f"{STORE}/0/ab/artifacts"),
        ("mlflow-artifacts:/a%20b#c?d", f"{STORE}/a%20b#c?d"),
        # Elsewhere it is reached as it stands.
        ("mlflow-artifacts://other:5000/0", "mlflow-artifacts://other:5000/0"),
        ("s3://bucket/0", "s3://bucket/0"),
        ("", ""),
    ],
)
def test_locations_there_and_back(of_server: str, of_client: str) -> None:
    assert to_client(of_server, STORE) == of_client
    assert to_server(of_client, STORE) == of_server


def test_parts_of_a_uri() -> None:
    assert server_of(f"{STORE}/0/ab") == "grpc://127.0.0.1:50051"
    assert path_of(f"{STORE}/0/a b/artifacts/") == "0/a b/artifacts"
    assert path_of(STORE) == ""


@pytest.mark.parametrize("uri", ["rekam:/x", "http://127.0.0.1:5000", "rekam://"])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(Invalid, match="rekam://host:port"):
        server_of(uri)
