"""MLflow's rules of the wire: requests to typed fields, answers to JSON.

A request's fields are a msgspec Struct. What is written as the types say is decoded in one step;
everything else takes the slow reading, which knows what MLflow also accepts (numbers in strings, enums
as numbers, null for absent, an old name) and says what is wrong in MLflow's words.
"""

from __future__ import annotations

import enum
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from starlette.datastructures import QueryParams

from rekam_gateway.http.errors import missing_value, wrong_type
from rekam_runtime.errors import Invalid

# A field that must be there and not be empty. Other texts may be empty, when they are there.
Text = Annotated[str, Meta(min_length=1)]
SomeTexts = Annotated[list[str], Meta(min_length=1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
# A double in an answer: JSON has no NaN.
Number = float | str

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_Request = TypeVar("_Request", bound=Struct)
# A value and its path to what the field holds; raises Invalid.
_Read = Callable[[Any, str], Any]
encode = msgspec.json.Encoder().encode


def number(value: float) -> Number:
    """A double as MLflow writes it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def numbers(values: Sequence[float]) -> Iterable[Number]:
    """The same of many, which nearly always are what JSON has."""
    return values if math.isfinite(sum(values)) else map(number, values)


def read_body(request: type[_Request], body: bytes, path: Mapping[str, str]) -> _Request:
    """path: fields that the URL's path names; they stand over those of the body."""
    if not path:
        try:
            decoded: _Request = _decoder(request).decode(body)
            return decoded
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return _slowly(request, {**_loads(body), **path})


def read_query(request: type[_Request], query: QueryParams, path: Mapping[str, str]) -> _Request:
    fields: dict[str, Any] = {}
    for name, (hint, _) in _fields(request).items():
        values = query.getlist(name)
        if not values and name == "run_id":
            values = query.getlist("run_uuid")
        if values:
            fields[name] = values if _is_list(hint) else _from_query(hint, values[0])
    return _slowly(request, {**fields, **path})


def _from_query(hint: Any, value: str) -> Any:
    if _plain(hint) is not bool:
        return value
    if value.lower() not in ("true", "false"):
        raise Invalid(f"Invalid boolean value: {value}, must be 'true' or 'false'.")
    return value.lower() == "true"


@cache
def _decoder(request: type[_Request]) -> msgspec.json.Decoder[_Request]:
    return msgspec.json.Decoder(request)


def _loads(body: bytes) -> dict[str, Any]:
    """What cannot be parsed counts as empty; old clients encode twice."""
    try:
        value = json.loads(body)
        if isinstance(value, str):
            value = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _slowly(request: type[_Request], given: Mapping[str, Any]) -> _Request:
    return _read_struct(request, given, "")


def _read_struct(struct: type[_Request], given: Mapping[str, Any], path: str) -> _Request:
    read: dict[str, Any] = {}
    for name, (hint, required) in _fields(struct).items():
        value = given.get(name)
        if value is None and name == "run_id":
            value = given.get("run_uuid")
        if value is None:
            if required:
                raise missing_value(path + name)
            continue
        read[name] = _reader(hint)(value, path + name)
    return struct(**read)


@cache
def _fields(struct: type[Struct]) -> dict[str, tuple[Any, bool]]:
    """By name: type, and whether it is required."""
    return {
        field.encode_name: (field.type, field.default is NODEFAULT and field.default_factory is NODEFAULT)
        for field in msgspec.structs.fields(struct)
    }


def _plain(hint: Any) -> Any:
    """`str` of `Text` and of `str | None`."""
    if typing.get_origin(hint) is Annotated:
        return _plain(typing.get_args(hint)[0])
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [member for member in typing.get_args(hint) if member is not types.NoneType]
        return _plain(members[0])
    return hint


def _has_least(hint: Any) -> bool:
    """Whether a list must not be empty."""
    return any(isinstance(extra, Meta) and extra.min_length for extra in typing.get_args(hint)[1:])


def _is_list(hint: Any) -> bool:
    return typing.get_origin(_plain(hint)) is list


@cache
def _reader(hint: Any) -> _Read:
    plain = _plain(hint)
    if typing.get_origin(plain) is list:
        return _list_reader(_reader(typing.get_args(plain)[0]), some=_has_least(hint))
    if isinstance(plain, type) and issubclass(plain, Struct):
        return _struct_reader(plain)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return _enum_reader(plain)
    if plain is int:
        return _int_reader(32 if hint is Int32 else 64)
    if plain is str:
        return _read_some_text if hint == Text else _read_text
    if plain is float:
        return _read_float
    if plain is bool:
        return _read_bool
    raise TypeError(f"a field of the wire cannot be of type {hint}")


def _list_reader(item: _Read, *, some: bool) -> _Read:
    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise wrong_type(path, value)
        if some and not value:
            raise missing_value(path)
        return [item(each, f"{path}[{index}]") for index, each in enumerate(value)]

    return read


def _struct_reader(struct: type[Struct]) -> _Read:
    def read(value: Any, path: str) -> Struct:
        if not isinstance(value, dict):
            raise wrong_type(path, value)
        return _read_struct(struct, value, f"{path}.")

    return read


def _enum_reader(kind: type[enum.Enum]) -> _Read:
    """By name, or by number: the place in the enum, counted from 1."""
    members = list(kind)

    def read(value: Any, path: str) -> enum.Enum:
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        if type(value) is int and 0 < value <= len(members):
            return members[value - 1]
        raise wrong_type(path, value)

    return read


def _int_reader(bits: int) -> _Read:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def read(value: Any, path: str) -> int:
        written = isinstance(value, str) and _INTEGER.fullmatch(value)
        whole = isinstance(value, float) and value.is_integer()
        if not (written or whole or type(value) is int):
            raise wrong_type(path, value)
        found = int(value)
        if not least <= found <= most:
            raise wrong_type(path, value)
        return found

    return read


def _read_float(value: Any, path: str) -> float:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        if not _DECIMAL.fullmatch(value):
            raise wrong_type(path, value)
    elif type(value) not in (int, float):
        raise wrong_type(path, value)
    try:
        read = float(value)
    except OverflowError:
        raise wrong_type(path, value) from None
    # JSON has no NaN and no infinity, and a number that is too large is none.
    if not math.isfinite(read):
        raise wrong_type(path, value)
    return read


def _read_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, value)
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise wrong_type(path, value) from None
    return value


def _read_some_text(value: Any, path: str) -> str:
    if value == "":
        raise missing_value(path)
    return _read_text(value, path)


def _read_bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(path, value)
    return value
