"""`rekam models list | show | versions | history`."""

from __future__ import annotations

import click

from rekam.cli.models.describing import (
    CHANGE_HEADINGS,
    VERSION_HEADINGS,
    change_row,
    model_fields,
    version_fields,
    version_row,
)
from rekam.cli.models.group import Named, as_of_option, models, named_model
from rekam.cli.models.logged import logged_fields
from rekam.cli.output import command_options, moment, print_fields, print_json, print_table
from rekam.client import Client
from rekam.entities import PagedList
from rekam.registered import AsOf


@models.command("list")
@click.option("--filter", "filter_string", default="", help="For example: name LIKE 'Fraud%'")
@click.option("--order-by", multiple=True, help="For example: 'name DESC'. May be repeated.")
@click.option("--max-results", type=click.IntRange(1, 1_000), default=100, show_default=True)
@as_of_option
@command_options
def list_models(
    client: Client,
    as_json: bool,
    filter_string: str,
    order_by: tuple[str, ...],
    max_results: int,
    as_of: AsOf | None,
) -> None:
    """List registered models that match a filter."""
    found = client.search_registered_models(filter_string, max_results, order_by, as_of=as_of)
    if as_json:
        print_json(found)
        return
    print_table(
        ("name", "in stages", "aliases", "updated (UTC)"),
        [
            (
                model.name,
                ", ".join(f"{each.current_stage} {each.version}" for each in model.latest_versions),
                ", ".join(f"{alias} {version}" for alias, version in sorted(model.aliases.items())),
                moment(model.last_updated_timestamp),
            )
            for model in found
        ],
    )
    _more(found, max_results)


@models.command("show")
@click.argument("model", type=named_model)
@as_of_option
@command_options
def show(client: Client, as_json: bool, model: Named, as_of: AsOf | None) -> None:
    """Show a registered model, a version or a logged model."""
    if model.is_logged:
        if as_of is not None:
            raise click.UsageError("a logged model is shown as it is now: --as-of is for registered models")
        logged = client.get_logged_model(model.name, allow_deleted=True)
        print_json(logged) if as_json else print_fields(logged_fields(logged))
    elif model.place is None:
        found = client.get_registered_model(model.name, as_of=as_of)
        print_json(found) if as_json else print_fields(model_fields(found))
    else:
        version = model.version(client, as_of)
        print_json(version) if as_json else print_fields(version_fields(version))


@models.command("versions")
@click.argument("model", type=named_model)
@click.option("--stage", help="Only what is in this stage.")
@click.option("--max-results", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_of_option
@command_options
def versions(
    client: Client, as_json: bool, model: Named, stage: str | None, max_results: int, as_of: AsOf | None
) -> None:
    """List the versions of a model, the newest first."""
    found = client.search_model_versions(
        _of_model(model.whole(), stage), max_results, ["version_number DESC"], as_of=as_of
    )
    if not found:
        # One without versions is told from none.
        client.get_registered_model(model.name, as_of=as_of)
    if as_json:
        print_json(found)
        return
    print_table(VERSION_HEADINGS, list(map(version_row, found)))
    _more(found, max_results)


@models.command("history")
@click.argument("model", type=named_model)
@click.option("--max-results", type=click.IntRange(1, 1_000), default=100, show_default=True)
@as_of_option
@command_options
def history(client: Client, as_json: bool, model: Named, max_results: int, as_of: AsOf | None) -> None:
    """Show what happened, the newest first.

    To a model, or to one version, stage or alias of it.
    """
    place = model.place
    if place is not None and not (place.version or place.stage or place.alias):
        raise click.UsageError(f"{model.text!r}: give a version, a stage or an alias, or the model's name")
    found = client.get_registered_model_history(
        model.name,
        version=place.version or None if place else None,
        stage=place.stage or None if place else None,
        alias=place.alias or None if place else None,
        max_results=max_results,
        as_of=as_of,
    )
    if as_json:
        print_json(found)
        return
    print_table(CHANGE_HEADINGS, list(map(change_row, found)))
    _more(found, max_results)


def _of_model(name: str, stage: str | None) -> str:
    # Nothing is unescaped in a filter: one of the quotes fits, unless a name has both.
    quote = '"' if "'" in name else "'"
    # Of prompts, too.
    filter_string = f"name = {quote}{name}{quote} AND tags.`mlflow.prompt.is_prompt` != ''"
    return filter_string if stage is None else f"{filter_string} AND current_stage = '{stage}'"


def _more(found: PagedList, max_results: int) -> None:
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)
