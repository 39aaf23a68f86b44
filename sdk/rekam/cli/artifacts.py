"""`rekam artifacts`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rekam.cli.messages import plain
from rekam.cli.output import (
    REFUSED,
    ListsByDefault,
    command_options,
    fail,
    moment,
    print_fields,
    print_json,
    print_table,
)
from rekam.client import Client


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    """command_options; a file of this machine that cannot be read or written is an error like others."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BrokenPipeError:
            raise
        except OSError as error:
            fail(str(error), REFUSED)

    return command_options(command)


@click.group(cls=ListsByDefault)
def artifacts() -> None:
    """Files of runs and models: list (the default), upload, download, delete, lineage, collect.

    SOURCE is a run's id, or a URI: runs:/RUN/PATH, models:/m-ID/PATH, mlflow-artifacts:/PATH.
    """


@artifacts.command("list")
@click.argument("source")
@click.argument("path", default="")
@click.option("--recursive", "-r", is_flag=True, help="Every file below, at any depth.")
@_command
def list_artifacts(client: Client, as_json: bool, source: str, path: str, recursive: bool) -> None:
    """List what lies in a folder of SOURCE."""
    found = client.list_uri(_uri(source, path), recursive=recursive)
    if as_json:
        print_json(found)
        return
    print_table(
        ("path", "size", "type", "updated (UTC)", "digest"),
        [
            (
                f"{each.path}/" if each.is_dir else each.path,
                "" if each.file_size is None else f"{each.file_size:,}",
                each.media_type,
                moment(each.time),
                (each.digest or "")[:12],
            )
            for each in found
        ],
        widest=120,
    )


@artifacts.command("upload")
@click.argument("run_id")
@click.argument("local", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "folder", help="Folder of the run's artifacts.")
@_command
def upload(client: Client, as_json: bool, run_id: str, local: tuple[Path, ...], folder: str | None) -> None:
    """Put files, and directories with all that is in them, among a run's artifacts.

    Bytes that are stored already are not sent; an upload that was cut off goes on. Done means durable.
    """
    for each in local:
        client.log_artifact(run_id, each, folder)
    uri = client.artifact_uri(run_id, folder)
    if as_json:
        print_json({"run_id": run_id, "artifact_uri": uri, "uploaded": [str(each) for each in local]})
    else:
        click.echo(f"{len(local)} uploaded to {uri}")


@artifacts.command("download")
@click.argument("source")
@click.argument("path", default="")
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Directory, made when it is not there.  [default: the working directory]",
)
@_command
def download(client: Client, as_json: bool, source: str, path: str, directory: Path) -> None:
    """Fetch a file or folder of SOURCE, or all of it. A download that was cut off goes on."""
    place = client.download_uri(_uri(source, path), directory)
    if as_json:
        print_json({"path": place})
    else:
        click.echo(place)


@artifacts.command("delete")
@click.argument("run_id")
@click.argument("path", default="")
@click.option("--all", "everything", is_flag=True, help="All of the run's artifacts; when no PATH is said.")
@_command
def delete(client: Client, as_json: bool, run_id: str, path: str, everything: bool) -> None:
    """Delete a file, or a folder with all that is in it. A missing one is fine."""
    if bool(path) == everything:
        raise click.UsageError("say what to delete: a PATH, or --all")
    client.delete_artifacts(run_id, path)
    if as_json:
        print_json({"run_id": run_id, "deleted": path})
    else:
        click.echo(f"{path or 'all artifacts'} of run {run_id} deleted")


@artifacts.command("lineage")
@click.argument("source")
@click.argument("path", default="")
@_command
def lineage(client: Client, as_json: bool, source: str, path: str) -> None:
    """Show where bytes come from and where they went.

    SOURCE alone: what that run made and used, or what that model (m-ID) has. With a PATH, by URI or by
    digest: every place where these bytes are.
    """
    if path or ":/" in source:
        edges = list(client.get_lineage(artifact_uri=_uri(source, path)))
    elif source.startswith("m-"):
        edges = list(client.get_lineage(model_id=source))
    else:
        digest = len(source) == 64
        edges = list(client.get_lineage(digest=source) if digest else client.get_lineage(run_id=source))
    if as_json:
        print_json(edges)
        return
    print_table(
        ("kind", "owner", "path", "digest", "time (UTC)"),
        [(each.kind, each.owner, each.path, each.digest[:12], moment(each.time)) for each in edges],
        widest=120,
    )


@artifacts.command("collect")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_command
def collect(client: Client, as_json: bool, dry_run: bool) -> None:
    """For operators: remove bytes that no file names, once the server's grace period is over.

    The server does so by itself, too.
    """
    found = plain(client.collect_artifacts(dry_run=dry_run))
    if as_json:
        print_json(found)
    else:
        print_fields(found)


def _uri(source: str, path: str) -> str:
    uri = source if ":/" in source else f"runs:/{source}"
    return f"{uri.rstrip('/')}/{path}" if path else uri
