"""Objects that the endpoints of several nouns share."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Literal, Protocol

from msgspec import Struct

from rekam_gateway.http.wire import Text
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime import names
from rekam_runtime.errors import NotFound

RUN_NAME_TAG = "mlflow.runName"
MAX_PARAM_VALUE = 6_000
MAX_RUN_TAG_VALUE = 8_000

Lifecycle = Literal["active", "deleted"]


class ViewType(enum.StrEnum):
    """Of which lifecycle a search is."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


_VIEWS = {
    ViewType.ACTIVE_ONLY: read_pb2.LIFECYCLE_VIEW_ACTIVE,
    ViewType.DELETED_ONLY: read_pb2.LIFECYCLE_VIEW_DELETED,
    ViewType.ALL: read_pb2.LIFECYCLE_VIEW_ALL,
}


class KeyValue(Struct, gc=False):
    """A tag or a param."""

    key: Text
    value: str = ""


class _Pair(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...


def pairs(values: Iterable[_Pair]) -> list[KeyValue]:
    return [KeyValue(value.key, value.value) for value in values]


def run_tags(values: Iterable[_Pair]) -> list[read_pb2.Tag]:
    """For a run, which takes what fits of a value that is too long; an empty name changes nothing."""
    return [
        read_pb2.Tag(key=value.key, value=value.value[:MAX_RUN_TAG_VALUE])
        for value in values
        if value.value or value.key != RUN_NAME_TAG
    ]


def tags_of(values: Iterable[_Pair]) -> list[read_pb2.Tag]:
    return [read_pb2.Tag(key=value.key, value=value.value) for value in values]


def params_of(values: Iterable[_Pair]) -> list[read_pb2.Param]:
    return [read_pb2.Param(key=value.key, value=value.value) for value in values]


def run_params(values: Iterable[_Pair]) -> list[read_pb2.Param]:
    """With what fits of a value that is too long."""
    return [read_pb2.Param(key=value.key, value=value.value[:MAX_PARAM_VALUE]) for value in values]


def known_form(run_id: str) -> str:
    """The id, unless no run can have it: then there is none of it."""
    if names.hex_id_fault(run_id):
        raise NotFound(f"Run with id={run_id[:256]} not found")
    return run_id


def stage(lifecycle: read_pb2.Lifecycle) -> Lifecycle:
    """MLflow's lifecycle_stage."""
    return "deleted" if lifecycle == read_pb2.LIFECYCLE_DELETED else "active"


def view_of(view: ViewType) -> read_pb2.LifecycleView:
    return _VIEWS[view]
