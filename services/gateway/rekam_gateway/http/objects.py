"""Objects that the endpoints of several nouns share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from rekam_gateway.http.wire import Text
from rekam_proto.tracking.v1 import read_pb2


class KeyValue(Struct):
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


def tags_of(values: Iterable[KeyValue]) -> list[read_pb2.Tag]:
    return [read_pb2.Tag(key=value.key, value=value.value) for value in values]


def params_of(values: Iterable[KeyValue]) -> list[read_pb2.Param]:
    return [read_pb2.Param(key=value.key, value=value.value) for value in values]


def stage(lifecycle: read_pb2.Lifecycle) -> str:
    """MLflow's lifecycle_stage."""
    return "deleted" if lifecycle == read_pb2.LIFECYCLE_DELETED else "active"
