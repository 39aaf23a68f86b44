"""How models, versions and changes are shown to people."""

from __future__ import annotations

import json

from rekam.cli.output import moment
from rekam.registered import ModelChange, ModelVersion, Protection, RegisteredModel

CHANGE_HEADINGS = ("position", "time (UTC)", "by", "change", "reason")


def change_row(change: ModelChange) -> tuple[object, ...]:
    """A change under CHANGE_HEADINGS."""
    return change.position, moment(change.timestamp), change.actor, change_text(change), change.reason


def change_text(change: ModelChange) -> str:
    """What happened, in a few words."""
    said = change.details
    version = f"version {said.get('version')}"
    request = f" (request {said['request_id']})" if "request_id" in said else ""
    match change.event:
        case "model_created":
            return "created"
        case "model_renamed":
            return f"renamed from {said['old_name']}"
        case "model_updated":
            return f"description: {said.get('description', '')}"
        case "model_deleted":
            return "deleted"
        case "model_tags_set":
            return _tags(said["tags"])
        case "model_tags_deleted":
            return f"tags deleted: {', '.join(said['keys'])}"
        case "model_protected":
            guarded = said.get("protection")
            return f"protected: {_protection(Protection(**guarded))}" if guarded else "no longer protected"
        case "version_created":
            return f"{version} from {said['source']}"
        case "version_updated":
            return f"{version}: description: {said.get('description', '')}"
        case "version_deleted":
            return f"{version} deleted"
        case "version_transitioned":
            archived = f", archived {', '.join(map(str, said['archived']))}" if said.get("archived") else ""
            return f"{version}: {said['previous_stage']} -> {said['stage']}{archived}{request}"
        case "version_tags_set":
            return f"{version}: {_tags(said['tags'])}"
        case "version_tags_deleted":
            return f"{version}: tags deleted: {', '.join(said['keys'])}"
        case "alias_set":
            before = f"{said['previous_version']} -> " if "previous_version" in said else ""
            return f"{said['alias']}: {before}{said['version']}{request}"
        case "alias_deleted":
            return f"{said['alias']}: deleted (was {said['version']})"
        case "transition_requested":
            to = said.get("stage") or f"alias {said.get('alias')}"
            return f"request {said['request_id']}: {version} to {to}"
        case "transition_rejected":
            return f"request {said['request_id']} rejected"
        case _:
            return f"{change.event or 'a change that this program does not know'}: {json.dumps(said)}"


def model_fields(model: RegisteredModel) -> dict[str, object]:
    """A model, a line each."""
    return {
        "name": model.name,
        "id": model.registered_model_id,
        "description": model.description,
        "created (UTC)": moment(model.creation_timestamp),
        "updated (UTC)": moment(model.last_updated_timestamp),
        **{f"in {version.current_stage}": f"version {version.version}" for version in model.latest_versions},
        **{f"alias {alias}": f"version {version}" for alias, version in sorted(model.aliases.items())},
        **({"protected": _protection(model.protection)} if model.protection.roles else {}),
        **{f"tag {key}": value for key, value in sorted(model.tags.items())},
    }


def version_fields(version: ModelVersion) -> dict[str, object]:
    """A version, a line each."""
    copied = version.copied_from
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.current_stage,
        "aliases": ", ".join(version.aliases),
        "description": version.description,
        "source": version.source,
        "files": version.location,
        "run": version.run_id,
        "logged model": version.model_id,
        "digest": version.digest,
        "signature": version.signature,
        "copied from": f"{copied.name}/{copied.version}" if copied else None,
        "created by": version.user_id,
        "created (UTC)": moment(version.creation_timestamp),
        "updated (UTC)": moment(version.last_updated_timestamp),
        **{f"tag {key}": value for key, value in sorted(version.tags.items())},
    }


VERSION_HEADINGS = ("version", "stage", "aliases", "run", "source", "by", "created (UTC)")


def version_row(version: ModelVersion) -> tuple[object, ...]:
    """A version under VERSION_HEADINGS."""
    return (
        version.version,
        version.current_stage,
        ", ".join(version.aliases),
        version.run_id,
        version.source,
        version.user_id,
        moment(version.creation_timestamp),
    )


def _tags(tags: dict[str, str]) -> str:
    return f"tags: {', '.join(f'{key}={value}' for key, value in tags.items())}"


def _protection(protection: Protection) -> str:
    guarded = [*protection.stages, *(f"alias {alias}" for alias in protection.aliases)]
    return f"{', '.join(guarded)}: changed by {', '.join(protection.roles)} only"
