"""Registry store of rekam://host:port: the server has no model registry yet, and says so."""

from __future__ import annotations

import inspect
from typing import Any, NoReturn

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import NOT_IMPLEMENTED
from mlflow.store.model_registry.abstract_store import AbstractStore


class RegistryStore(AbstractStore):
    """Refuses every call. MLflow's client asks for one as soon as it has a tracking URI."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self._uri = store_uri

    def _await_model_version_creation(self, mv: Any, await_creation_for: int) -> None:
        """There is none to wait for."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise MlflowException(
            f"{self._uri} has no model registry yet: models are logged and loaded by their runs:/ and "
            "models:/m-... URIs, not registered",
            error_code=NOT_IMPLEMENTED,
        )


# Whatever the version of MLflow that is installed can ask for.
for _name, _member in vars(AbstractStore).items():
    if inspect.isfunction(_member) and not _name.startswith("_"):
        setattr(RegistryStore, _name, RegistryStore._refuse)
