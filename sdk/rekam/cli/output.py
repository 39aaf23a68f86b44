"""How commands print: plain columns for people, one JSON document for programs."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from rekam import errors, settings
from rekam.client import Client

P = ParamSpec("P")
R = TypeVar("R")

REFUSED = 1
UNAVAILABLE = 3
_WIDEST = 60


def command_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--uri and --json; the function gets `client` and `as_json`, and its errors become exit codes."""

    @click.option("--uri", help="Tracking URI, grpc://HOST:PORT.  [env: REKAM_TRACKING_URI]")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(function)
    def command(*args: Any, uri: str | None, **kwargs: Any) -> Any:
        try:
            options = settings.current()
            client = Client(uri or options.tracking_uri, retry_timeout=options.connect_timeout)
            return function(*args, client=client, **kwargs)
        except errors.Unavailable as error:
            fail(f"{error}; is the server running? (`rekam up` starts one here)", UNAVAILABLE)
        except errors.RekamError as error:
            fail(str(error), REFUSED)

    return command


class ListsByDefault(click.Group):
    """A group that lists when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def fail(message: str, code: int) -> NoReturn:
    """End with an exit code and a message for people."""
    click.echo(f"Error: {message}", err=True)
    raise SystemExit(code)


def print_json(value: Any) -> None:
    """One document. NaN and infinities are the strings "NaN", "Infinity", "-Infinity"."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def print_json_line(value: Any) -> None:
    """One of many documents, a line each."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, widest: int = _WIDEST) -> None:
    """Columns under headings; cells beyond `widest` characters are cut."""
    texts = [[_cell(cell, widest) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headings), *texts]) for i in range(len(headings))]
    for line in [[heading.upper() for heading in headings], *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_fields(fields: dict[str, object]) -> None:
    """One thing: a line per field."""
    width = max(map(len, fields))
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}  {_cell(value, widest=1000)}")


def moment(ms: int | None) -> str:
    """Milliseconds since the epoch, as UTC text."""
    return "" if not ms else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _cell(value: object, widest: int = _WIDEST) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= widest else text[: widest - 1] + "…"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value
