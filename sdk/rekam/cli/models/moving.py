"""`rekam models promote | alias | rollback`: which version is where."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rekam.calls.deciding import By
from rekam.cli.models.group import Named, deciding, explaining, models, named_model
from rekam.cli.output import print_json
from rekam.client import Client
from rekam.errors import FailedPrecondition, NotFound
from rekam.registered import ModelChange, ModelStage, ModelVersion

# Stages that hold what is in use: of the versions in them only one is meant.
_EXCLUSIVE = (ModelStage.STAGING, ModelStage.PRODUCTION)
_STAGES = (ModelStage.NONE, ModelStage.STAGING, ModelStage.PRODUCTION, ModelStage.ARCHIVED)


@models.command("promote")
@click.argument("version", metavar="MODEL", type=named_model)
@click.argument("stage", type=click.Choice(_STAGES, case_sensitive=False), default=ModelStage.PRODUCTION)
@click.option(
    "--archive-existing/--keep-existing",
    default=True,
    show_default=True,
    help="What becomes of other versions in Staging or Production.",
)
@click.option("--expected-version", type=int, help="Only if this is the highest version in the stage now.")
@click.option(
    "--expected-stage",
    type=click.Choice(_STAGES, case_sensitive=False),
    help="Only if the version is in this stage now.",
)
@deciding
def promote(
    client: Client,
    as_json: bool,
    version: Named,
    stage: str,
    archive_existing: bool,
    expected_version: int | None,
    expected_stage: str | None,
    by: By,
) -> None:
    """Move a version into a stage, Production if none is named.

    For example: rekam models promote Fraud/3, or rekam models promote Fraud@challenger Staging.
    """
    chosen = version.version(client)
    moved = client.transition_model_version_stage(
        chosen.name,
        chosen.version,
        stage,
        archive_existing and stage in _EXCLUSIVE,
        expected_stage=expected_stage,
        expected_version=expected_version,
        **by,
    )
    if as_json:
        print_json(moved)
    else:
        click.echo(f"version {moved.version} of {moved.name} is in {moved.current_stage}")


@models.command("alias")
@click.argument("model", type=named_model)
@click.argument("alias")
@click.option("--delete", is_flag=True, help="Remove the alias; MODEL is the model's name.")
@click.option("--expected-version", type=int, help="Only if the alias points to this version now.")
@deciding
def alias(
    client: Client,
    as_json: bool,
    model: Named,
    alias: str,
    delete: bool,
    expected_version: int | None,
    by: By,
) -> None:
    """Point an alias to a version, wherever it pointed before.

    For example: rekam models alias Fraud/3 champion.
    """
    if delete:
        if expected_version is not None:
            raise click.UsageError("--expected-version does not go with --delete")
        client.delete_registered_model_alias(model.whole(), alias, **by)
        _say_alias(as_json, model.name, alias, None, None)
        return
    version = model.version(client)
    previous = client.set_registered_model_alias(
        version.name, alias, version.version, expected_version=expected_version, **by
    )
    _say_alias(as_json, version.name, alias, version.version, previous)


@models.command("rollback")
@click.argument("model", metavar="MODEL", type=named_model)
@click.option("--expected-version", type=int, help="Only if this version is there now.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@explaining
def rollback(
    client: Client,
    as_json: bool,
    model: Named,
    expected_version: int | None,
    dry_run: bool,
    by: By,
) -> None:
    """Put a stage or an alias back to the version before.

    For example: rekam models rollback Fraud/Production --reason "it drifts". MODEL is NAME/STAGE or
    NAME@ALIAS, and goes back to what it was before its last change: rolled back twice, it is where it was.
    The version that leaves Staging or Production is archived.
    """
    place = model.place
    if place is None or not (place.stage or place.alias):
        raise click.UsageError(f"{model.text!r}: give NAME/STAGE or NAME@ALIAS")
    now = _there(client, model)
    if expected_version is not None and (now is None or now.version != expected_version):
        have = f"version {now.version}" if now else "no version"
        raise FailedPrecondition(f"{model.text} is {have} now", field="--expected-version")
    before = _before(client, model, now)
    if dry_run:
        click.echo(f"{model.text}: {now.version if now else 'nothing'} -> {before.version} (nothing is done)")
        return
    expected = now.version if now else None
    if place.alias:
        client.set_registered_model_alias(
            place.name, place.alias, before.version, expected_version=expected, **by
        )
    else:
        client.transition_model_version_stage(
            place.name,
            before.version,
            place.stage,
            place.stage in _EXCLUSIVE,
            expected_version=expected,
            **by,
        )
    if as_json:
        print_json({"model": place.name, "from": expected, "to": before.version})
    else:
        click.echo(f"{model.text}: {expected or 'nothing'} -> {before.version}")


def _there(client: Client, model: Named) -> ModelVersion | None:
    """The version that is there now; NotFound when there is no such model."""
    try:
        return model.version(client)
    except NotFound as error:
        if error.field == "name":
            raise
        return None


def _before(client: Client, model: Named, now: ModelVersion | None) -> ModelVersion:
    """What was there before the change that made it what it is now."""
    for change in _history(client, model):
        before = _until(client, model, change)
        if before is not None and now is not None and before.version == now.version:
            continue  # the change was one of another version in the stage
        if before is None:
            break
        return before
    raise FailedPrecondition(f"{model.text} has had no version before: there is nothing to go back to")


def _history(client: Client, model: Named) -> Iterator[ModelChange]:
    """The changes of a stage or an alias, the newest first."""
    assert model.place is not None
    token: str | None = None
    while True:
        page = client.get_registered_model_history(
            model.name,
            stage=model.place.stage or None,
            alias=model.place.alias or None,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _until(client: Client, model: Named, change: ModelChange) -> ModelVersion | None:
    """The version that was there until the change, under the name that the model had then."""
    suffix = model.text.removeprefix(model.name)
    try:
        return client.resolve_model(f"models:/{change.name}{suffix}", as_of=change.position - 1)
    except NotFound:
        return None


def _say_alias(as_json: bool, name: str, alias: str, version: int | None, previous: int | None) -> None:
    if as_json:
        print_json({"name": name, "alias": alias, "version": version, "previous_version": previous})
    elif version is None:
        click.echo(f"{name} has no alias {alias} any more")
    else:
        before = f" (before: version {previous})" if previous and previous != version else ""
        click.echo(f"{name}@{alias} is version {version}{before}")
