"""The registry of the server in use: registering models, finding registered ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from rekam.calls.deciding import By
from rekam.client import Client
from rekam.entities import PagedList
from rekam.registered import ModelVersion, RegisteredModel


def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    **by: Unpack[By],
) -> ModelVersion:
    """Make a model the next version of a registered model, which is created when it is missing.

    model_uri: "runs:/RUN/PATH", "models:/m-ID", ...; see Client.register_model. await_registration_for:
    a version is ready at once, nothing is waited for. by: reason, actor, roles.
    """
    return Client().register_model(model_uri, name, tags=tags, description=description, **by)


def search_registered_models(
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[RegisteredModel]:
    """Registered models that match, all of them unless max_results says otherwise."""
    client = Client()
    return _pages(
        lambda size, token: client.search_registered_models(filter_string, size, order_by, token),
        max_results,
        largest=1_000,
    )


def search_model_versions(
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[ModelVersion]:
    """Versions of registered models that match, all of them unless max_results says otherwise."""
    client = Client()
    return _pages(
        lambda size, token: client.search_model_versions(filter_string, size, order_by, token),
        max_results,
        largest=10_000,
    )


def _pages(
    search: Callable[[int, str | None], PagedList], max_results: int | None, *, largest: int
) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while max_results is None or len(found) < max_results:
        page = search(largest if max_results is None else min(largest, max_results - len(found)), token)
        found += page
        token = page.token
        if not token:
            break
    return found
