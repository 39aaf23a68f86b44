"""The group of commands, and what they share: how a model is named, who decides and when."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from rekam.calls.deciding import By
from rekam.cli.output import ListsByDefault, command_options
from rekam.client import Client
from rekam.errors import Invalid
from rekam.registered import AsOf, ModelVersion
from rekam.registry import uris

_SCHEME = "models:/"
_LOGGED = re.compile(r"m-[0-9a-f]{32}")


@click.group(cls=ListsByDefault)
def models() -> None:
    """Models: list (the default), show, promote, alias, rollback, history, watch and more.

    Registered ones with their versions, and those that runs made (logged).

    \b
    MODEL is one of
      Fraud                a registered model
      Fraud/3              its version 3
      Fraud/Production     the highest version in a stage; also Fraud/latest
      Fraud@champion       the version that an alias points to
      m-0123456789...      a logged model: one that a run made
    and may begin with "models:/".
    """


@dataclass(frozen=True, slots=True)
class Named:
    """What MODEL names. place: of one version; None: the whole model."""

    text: str
    name: str
    place: uris.ModelUri | None = None

    @property
    def is_logged(self) -> bool:
        """Whether it is a logged model's id."""
        return _LOGGED.fullmatch(self.name) is not None and self.place is None

    def version(self, client: Client, as_of: AsOf | None = None) -> ModelVersion:
        """The version, as it is said; Invalid when it names none."""
        if self.place is None:
            raise Invalid(
                f"{self.text!r} names no version: write {self.name}/3, {self.name}/Production or "
                f"{self.name}@champion",
                field="MODEL",
            )
        return client.resolve_model(f"{_SCHEME}{self.text}", as_of=as_of)

    def whole(self) -> str:
        """The model's name; Invalid when it names one version."""
        if self.place is not None:
            raise Invalid(f"{self.text!r} is one version: give the model's name", field="MODEL")
        return self.name


def named_model(text: str) -> Named:
    """Type of the argument MODEL."""
    path = text.removeprefix(_SCHEME).lstrip("/")
    if "/" not in path and "@" not in path:
        return Named(path, path)
    try:
        place = uris.parse(f"{_SCHEME}{path}")
    except Invalid:
        rule = "is none of NAME, NAME/VERSION, NAME/STAGE, NAME/latest and NAME@ALIAS"
        raise click.BadParameter(f"{text!r} {rule}") from None
    return Named(path, place.name, place)


def moment(text: str) -> AsOf:
    """Type of --as-of."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        rule = "is neither a position nor a time like 2026-11-24T14:03"
        raise click.BadParameter(f"{text!r} {rule}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_of_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--as-of; the function gets `as_of`."""
    text = "As it was then: a time (2026-11-24T14:03, UTC unless it says otherwise) or a position of the log."
    return click.option("--as-of", type=moment, help=text)(function)


def deciding(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every change, kept with it for ever; the function gets `by`. And command_options."""
    return _deciding(function, reason_required=False)


def explaining(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `deciding`, of what is not done without a reason."""
    return _deciding(function, reason_required=True)


def _deciding(function: Callable[..., Any], *, reason_required: bool) -> Callable[..., Any]:
    @click.option("--reason", required=reason_required, help="Why.")
    @click.option("--actor", help="Who, if not you.")
    @click.option("--role", "roles", multiple=True, help="What the actor may do. May be repeated.")
    @functools.wraps(function)
    def command(
        *args: Any, reason: str | None, actor: str | None, roles: tuple[str, ...], **kwargs: Any
    ) -> Any:
        return function(*args, by=By(reason=reason, actor=actor, roles=roles), **kwargs)

    return command_options(command)
