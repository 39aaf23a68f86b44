"""`rekam models create | register | describe | rename | tag | delete | protect`."""

from __future__ import annotations

import click

from rekam.calls.deciding import By
from rekam.cli.models.describing import model_fields, version_fields
from rekam.cli.models.group import Named, deciding, models, named_model
from rekam.cli.output import print_fields, print_json
from rekam.client import Client
from rekam.registered import Protection


def key_value(text: str) -> tuple[str, str]:
    """Type of a tag."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return key, value


@models.command("create")
@click.argument("name")
@click.option("--description", help="What it is for.")
@click.option("--tag", "tags", type=key_value, multiple=True, help="KEY=VALUE. May be repeated.")
@deciding
def create(
    client: Client,
    as_json: bool,
    name: str,
    description: str | None,
    tags: tuple[tuple[str, str], ...],
    by: By,
) -> None:
    """Create a registered model without versions."""
    model = client.create_registered_model(name, dict(tags), description, **by)
    print_json(model) if as_json else print_fields(model_fields(model))


@models.command("register")
@click.argument("source")
@click.argument("name")
@click.option("--description", help="What this version is.")
@click.option("--tag", "tags", type=key_value, multiple=True, help="KEY=VALUE. May be repeated.")
@deciding
def register(
    client: Client,
    as_json: bool,
    source: str,
    name: str,
    description: str | None,
    tags: tuple[tuple[str, str], ...],
    by: By,
) -> None:
    """Make SOURCE the next version of NAME.

    The model is created when it is missing. SOURCE is runs:/RUN/PATH, models:/m-ID, models:/NAME/VERSION
    or where the files are.
    """
    version = client.register_model(source, name, tags=dict(tags), description=description, **by)
    print_json(version) if as_json else print_fields(version_fields(version))


@models.command("describe")
@click.argument("model", type=named_model)
@click.argument("text")
@deciding
def describe(client: Client, as_json: bool, model: Named, text: str, by: By) -> None:
    """Replace what a model or a version is said to be; "" clears it."""
    if model.place is None:
        found = client.update_registered_model(model.name, text, **by)
        print_json(found) if as_json else print_fields(model_fields(found))
    else:
        number = model.version(client).version
        version = client.update_model_version(model.name, number, text, **by)
        print_json(version) if as_json else print_fields(version_fields(version))


@models.command("rename")
@click.argument("name")
@click.argument("new_name")
@deciding
def rename(client: Client, as_json: bool, name: str, new_name: str, by: By) -> None:
    """Rename a registered model; everything moves along."""
    model = client.rename_registered_model(name, new_name, **by)
    print_json(model) if as_json else click.echo(f"{name} is {new_name} now")


@models.command("tag")
@click.argument("model", type=named_model)
@click.argument("tags", type=key_value, nargs=-1)
@click.option("--delete", "deleted", multiple=True, help="Key of a tag to delete. May be repeated.")
@deciding
def tag(
    client: Client,
    as_json: bool,
    model: Named,
    tags: tuple[tuple[str, str], ...],
    deleted: tuple[str, ...],
    by: By,
) -> None:
    """Set tags (KEY=VALUE) of a model or a version, or delete them."""
    if model.place is None:
        for key, value in tags:
            client.set_registered_model_tag(model.name, key, value, **by)
        for key in deleted:
            client.delete_registered_model_tag(model.name, key, **by)
        found = client.get_registered_model(model.name)
        print_json(found) if as_json else print_fields(model_fields(found))
        return
    number = model.version(client).version
    for key, value in tags:
        client.set_model_version_tag(model.name, number, key, value, **by)
    for key in deleted:
        client.delete_model_version_tag(model.name, number, key, **by)
    version = client.get_model_version(model.name, number)
    print_json(version) if as_json else print_fields(version_fields(version))


@models.command("delete")
@click.argument("model", type=named_model)
@click.option("--yes", is_flag=True, help="Do not ask.")
@deciding
def delete(client: Client, as_json: bool, model: Named, yes: bool, by: By) -> None:
    """Delete a registered model, a version or a logged model.

    What is registered does not come back, so you are asked first; its history stays.
    """
    if model.is_logged:
        client.delete_logged_model(model.name)
        if as_json:
            print_json(client.get_logged_model(model.name, allow_deleted=True))
        else:
            click.echo(f"model {model.name} deleted")
        return
    version = None if model.place is None else model.version(client)
    named = f"model {model.name}" if version is None else f"version {version.version} of {model.name}"
    if not yes:
        click.confirm(f"Delete {named}?", abort=True, err=True)
    if version is None:
        client.delete_registered_model(model.name, **by)
    else:
        client.delete_model_version(model.name, version.version, **by)
    if as_json:
        print_json({"name": model.name, "version": version and version.version, "deleted": True})
    else:
        click.echo(f"{named} deleted")


@models.command("protect")
@click.argument("name")
@click.option("--stage", "stages", multiple=True, help="Stage to protect. May be repeated.")
@click.option("--alias", "aliases", multiple=True, help="Alias to protect. May be repeated.")
@click.option("--only", "needed", multiple=True, help="Role that may change them. May be repeated.")
@deciding
def protect(
    client: Client,
    as_json: bool,
    name: str,
    stages: tuple[str, ...],
    aliases: tuple[str, ...],
    needed: tuple[str, ...],
    by: By,
) -> None:
    """Say which stages and aliases only some roles change.

    Without options nothing is protected any more.
    """
    model = client.protect_registered_model(name, Protection(stages, aliases, needed), **by)
    print_json(model) if as_json else print_fields(model_fields(model))
