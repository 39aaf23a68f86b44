"""Settings: the environment, read once into a frozen dataclass.

A settings class names the variable, default and bounds of each of its fields with
`setting`; `load` reads them all and reports every fault at once, by variable:

    @dataclass(frozen=True)
    class Settings:
        nats_url: Secret = setting("REKAM_NATS_URL")
        points_shards: int = setting("REKAM_POINTS_SHARDS", default=1, at_least=1)

A variable that is set to nothing counts as not set. A `tuple[str, ...]` is read from a text with
commas.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rekam_runtime.errors import Invalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Settings = TypeVar("_Settings", bound=DataclassInstance)

_BOOLS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_RULE = "setting"


class SettingsError(Invalid):
    """Every fault of the environment, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("settings: " + "; ".join(faults))
        self.faults = faults


class Secret:
    """A text that is shown nowhere; `reveal` hands it to the part that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to listen or connect; port 0 lets the system choose one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """`host:port`, an IPv6 host in brackets; ValueError says what is wrong."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port:
            raise ValueError("must be host:port")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("must have its IPv6 address in brackets: [::1]:port")
        if not (port.isascii() and port.isdigit()) or int(port) > 65_535:
            raise ValueError("must have a port of 0 to 65535")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Rule:
    env: str
    at_least: float | None
    at_most: float | None
    choices: Collection[str]


def setting(
    env: str,
    *,
    default: Any = dataclasses.MISSING,
    at_least: float | None = None,
    at_most: float | None = None,
    choices: Collection[str] = (),
) -> Any:
    """A field that is read from the variable `env`; without a default it is required."""
    return dataclasses.field(default=default, metadata={_RULE: _Rule(env, at_least, at_most, choices)})


def load(cls: type[_Settings], environ: Mapping[str, str]) -> _Settings:
    """Read every field of the settings class; raises SettingsError with all that is wrong."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in dataclasses.fields(cls):
        rule: _Rule = field.metadata[_RULE]
        kind = _kind(hints[field.name])
        text = environ.get(rule.env, "").strip()
        if not text:
            if field.default is dataclasses.MISSING:
                faults.append(f"{rule.env} is required")
            continue
        try:
            values[field.name] = _read(kind, text, rule)
        except ValueError as error:
            shown = "" if kind is Secret else f", not {text!r}"
            faults.append(f"{rule.env} {error}{shown}")
    if faults:
        raise SettingsError(faults)
    return cls(**values)


def _kind(hint: Any) -> Any:
    """The type to read: `int` of `int` and of `int | None`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (member for member in typing.get_args(hint) if member is not types.NoneType)
    return hint


def _read(kind: Any, text: str, rule: _Rule) -> Any:
    if kind is bool:
        if text.lower() not in _BOOLS:
            raise ValueError("must be true or false")
        return _BOOLS[text.lower()]
    if kind is int or kind is float:
        return _number(kind, text, rule)
    if rule.choices and text not in rule.choices:
        raise ValueError(f"must be one of {', '.join(rule.choices)}")
    if kind is HostPort:
        return HostPort.parse(text)
    if kind is Secret:
        return Secret(text)
    if kind is str:
        return text
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    raise TypeError(f"{rule.env}: settings cannot be of type {kind}")


def _number(kind: type[int] | type[float], text: str, rule: _Rule) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError("must be a whole number" if kind is int else "must be a number") from None
    if value != value:
        raise ValueError("must be a number")
    if rule.at_least is not None and value < rule.at_least:
        raise ValueError(f"must be at least {rule.at_least}")
    if rule.at_most is not None and value > rule.at_most:
        raise ValueError(f"must be at most {rule.at_most}")
    return value
