"""Rekam's errors as MLflow's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2

from rekam.errors import (
    AlreadyExists,
    DeliveryTimeout,
    FailedPrecondition,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    RekamError,
    SpoolError,
    Unavailable,
    Unsupported,
)

# The most specific class of an error decides.
_CODES: dict[type[RekamError], int] = {
    Invalid: databricks_pb2.INVALID_PARAMETER_VALUE,
    NotFound: databricks_pb2.RESOURCE_DOES_NOT_EXIST,
    AlreadyExists: databricks_pb2.RESOURCE_ALREADY_EXISTS,
    FailedPrecondition: databricks_pb2.INVALID_PARAMETER_VALUE,
    Forbidden: databricks_pb2.PERMISSION_DENIED,
    Unsupported: databricks_pb2.NOT_IMPLEMENTED,
    Refused: databricks_pb2.INVALID_PARAMETER_VALUE,
    DeliveryTimeout: databricks_pb2.DEADLINE_EXCEEDED,
    Unavailable: databricks_pb2.TEMPORARILY_UNAVAILABLE,
    SpoolError: databricks_pb2.RESOURCE_EXHAUSTED,
    RekamError: databricks_pb2.INTERNAL_ERROR,
}
_Class = TypeVar("_Class", bound=type)


def raises_as_mlflow(cls: _Class) -> _Class:
    """Class decorator: what its methods raise, inherited ones too, is of MLflow's tree."""
    for name, member in inspect.getmembers(cls, inspect.isfunction):
        if name[0] != "_" or name in _CALLED:
            setattr(cls, name, _translated(member))
    return cls


# Methods that MLflow calls though their names are private.
_CALLED = ("__init__", "_search_runs", "_download_file")


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except RekamError as error:
            code = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
            raise MlflowException(str(error), error_code=code) from error
        except NotImplementedError as error:
            message = f"Rekam does not serve {method.__name__}"
            raise MlflowException(message, error_code=databricks_pb2.NOT_IMPLEMENTED) from error

    return call
