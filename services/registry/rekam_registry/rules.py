"""Rules for what requests bring in: names, aliases, versions, sources, texts.

Every check raises Invalid that names the field and the rule. Limits are those written
in the protos; a value that is too long is refused, never cut.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from rekam_proto.registry.v1 import model_pb2, read_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_runtime import names
from rekam_runtime.errors import Invalid

MAX_NAME = 256
MAX_ALIAS = 255
MAX_DESCRIPTION = 5_000
MAX_TAG_VALUE = 100_000
MAX_SOURCE = 2_048
MAX_RUN_ID = 250
MAX_RUN_LINK = 500
MAX_SIGNATURE = 500_000
MAX_ACTOR = 256
MAX_REASON = 2_000
MAX_ROLES = 100
MAX_ROLE = 100
MAX_ITEMS = 1_000
# One request becomes one event, and the log takes events of up to 1 MiB.
MAX_REQUEST_BYTES = 1_000_000
MAX_VERSION = 2**63 - 1

STAGES = (
    read_pb2.STAGE_NONE,
    read_pb2.STAGE_STAGING,
    read_pb2.STAGE_PRODUCTION,
    read_pb2.STAGE_ARCHIVED,
)
# As uris and MLflow write them.
STAGE_NAMES = {stage: read_pb2.Stage.Name(stage).removeprefix("STAGE_").capitalize() for stage in STAGES}

# Says of a model or version that it is a prompt; what does not have it is none.
PROMPT_TAG = "mlflow.prompt.is_prompt"

_ALIAS = re.compile(r"[\w-]+")
_VERSION_LIKE = re.compile(r"[vV][0-9]+")
_LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MODEL_ID = re.compile(r"[0-9a-f]{32}")
# Encoded more often than this, a text is meant to deceive.
_DECODED_AT_MOST = 10


def text(value: str, limit: int, field: str, what: str) -> None:
    """Text of at most `limit` characters, without U+0000 (no database text can hold it)."""
    if len(value) > limit:
        raise Invalid(f"{what} has at most {limit:,} characters, this one has {len(value):,}", field=field)
    if "\0" in value:
        raise Invalid(f"{what} must not contain the character U+0000", field=field)


def size(request_bytes: int) -> None:
    """A request that fits into one event."""
    if request_bytes > MAX_REQUEST_BYTES:
        raise Invalid(f"a request has at most {MAX_REQUEST_BYTES:,} bytes, this one has {request_bytes:,}")


def by(value: read_pb2.By) -> None:
    """Who and why."""
    text(value.actor, MAX_ACTOR, "by.actor", "an actor")
    text(value.reason, MAX_REASON, "by.reason", "a reason")
    _roles(value.roles, "by.roles")
    if value.HasField("origin") and (fault := names.writer_fault(value.origin.writer)):
        raise Invalid(fault, field="by.origin.writer")


def name(value: str, field: str = "name") -> None:
    """Of a registered model."""
    if not value.strip():
        raise Invalid(f"Missing value for required parameter '{field}'.", field=field)
    text(value, MAX_NAME, field, "a registered model's name")
    if "/" in value or ":" in value:
        raise Invalid(f"Invalid model name '{value}'. Names cannot contain '/' or ':'.", field=field)
    if value in (".", ".."):
        raise Invalid(
            "names may be treated as files in certain cases, and must not resolve to other names when "
            f"treated as such. This name would resolve to {value!r}",
            field=field,
        )


def model_id(value: str, field: str = "model_id") -> None:
    if not _MODEL_ID.fullmatch(value):
        raise Invalid(f"a model's id is 32 lower-case hex digits, got {value[:80]!r}", field=field)


def version(value: int, field: str = "version") -> None:
    if value < 1:
        raise Invalid(f"a version is a number from 1, got {value}", field=field)


def stage(value: int, field: str = "stage") -> None:
    if value not in STAGES:
        raise Invalid(f"a stage is one of {', '.join(STAGE_NAMES.values())}", field=field)


def archiving(to: int, archive_existing: bool) -> None:
    """Only of a stage that versions serve in are the others archived."""
    if archive_existing and to not in (read_pb2.STAGE_STAGING, read_pb2.STAGE_PRODUCTION):
        raise Invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{STAGE_NAMES.get(to, to)}' is not an Active stage. Valid stages are ['Staging', 'Production']",  # type: ignore[call-overload]
            field="archive_existing",
        )


def alias(value: str, field: str = "alias") -> None:
    """One that can be set."""
    alias_text(value, field)
    if value.lower() == "latest":
        raise Invalid("'latest' alias name (case insensitive) is reserved.", field=field)
    if _VERSION_LIKE.fullmatch(value):
        raise Invalid(f"Version alias name '{value}' is reserved.", field=field)


def alias_text(value: str, field: str = "alias") -> None:
    """One that can be asked for."""
    if not value:
        raise Invalid("Registered model alias name cannot be empty.", field=field)
    text(value, MAX_ALIAS, field, "an alias")
    if not _ALIAS.fullmatch(value):
        raise Invalid(
            f"Invalid alias name: '{value}'. "
            "Names may only contain alphanumerics, underscores (_), and dashes (-).",
            field=field,
        )


def description(value: str) -> None:
    text(value, MAX_DESCRIPTION, "description", "a description")


def tags(values: Sequence[Tag], field: str = "tags") -> dict[str, str]:
    """Checked tags by key; of two with the same key the last one wins."""
    _few(values, field)
    checked: dict[str, str] = {}
    for index, tag in enumerate(values):
        _key(tag.key, f"{field}[{index}].key")
        text(tag.value, MAX_TAG_VALUE, f"{field}[{index}].value", "a tag's value")
        checked[tag.key] = tag.value
    return checked


def keys(values: Sequence[str], field: str = "keys") -> list[str]:
    """Checked keys, each once."""
    _few(values, field)
    for index, value in enumerate(values):
        _key(value, f"{field}[{index}]")
    return list(dict.fromkeys(values))


def some(values: Sequence[object], field: str) -> None:
    if not values:
        raise Invalid(f"at least one of {field} is required", field=field)


def protection(value: model_pb2.Protection, field: str = "protection") -> model_pb2.Protection:
    """Checked, sorted, everything once."""
    for index, one in enumerate(value.stages):
        stage(one, f"{field}.stages[{index}]")
    if len(value.aliases) > MAX_ROLES:
        raise Invalid(f"at most {MAX_ROLES} aliases are protected", field=f"{field}.aliases")
    for index, name_of_alias in enumerate(value.aliases):
        alias(name_of_alias, f"{field}.aliases[{index}]")
    _roles(value.roles, f"{field}.roles")
    if bool(value.stages or value.aliases) != bool(value.roles):
        raise Invalid("what is protected needs roles, and roles something to protect", field=f"{field}.roles")
    return model_pb2.Protection(
        stages=sorted(set(value.stages)), aliases=sorted(set(value.aliases)), roles=sorted(set(value.roles))
    )


def source(value: str, *, owned: bool, field: str = "source") -> None:
    """A uri that means the same to everybody, and no place beside the one it names.

    owned: the request names the run or the logged model that the files are of; these may be on a disk.
    """
    if not value:
        raise Invalid("a version's source must not be empty", field=field)
    text(value, MAX_SOURCE, field, "a source")
    decoded = _decoded(value)
    try:
        scheme = urlsplit(value).scheme
        path = urlsplit(decoded or "").path
    except ValueError as error:
        raise Invalid(f"Invalid model version source: '{value}': {error}", field=field) from error
    local = len(scheme) < 2 or scheme == "file"
    if local and not (owned and path.startswith("/")):
        raise Invalid(
            f"Invalid model version source: '{value}'. To use a local path as a model version source, the "
            "run_id request parameter has to be specified and the local path has to be contained within the "
            "artifact directory of the run specified by the run_id.",
            field=field,
        )
    if decoded is None or ".." in decoded.split("/") or not _is_normal(path):
        raise Invalid(
            f"Invalid model version source: '{value}'. If supplying a source as an http, https, local file "
            "path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without "
            "relative path references present. Please provide an absolute path.",
            field=field,
        )


def is_prompt(tags: Mapping[str, str]) -> bool:
    """A prompt has its text in tags, and a source that says nothing."""
    return tags.get(PROMPT_TAG, "").lower() == "true"


def digest(value: str, field: str = "digest") -> None:
    if value and not _DIGEST.fullmatch(value):
        raise Invalid("a digest is a SHA-256, 64 lower-case hex digits", field=field)


def logged_model_id(value: str, field: str = "logged_model_id") -> None:
    if value and not _LOGGED_MODEL_ID.fullmatch(value):
        raise Invalid(
            f"a logged model's id is m- and 32 lower-case hex digits, got {value[:80]!r}", field=field
        )


def _decoded(value: str) -> str | None:
    for _ in range(_DECODED_AT_MOST):
        decoded = unquote(value)
        if decoded == value:
            return value
        value = decoded
    return None


def _is_normal(path: str) -> bool:
    kept = re.sub("/+", "/", path.rstrip("/"))
    return "\0" not in path and (not kept or posixpath.normpath(kept) == kept)


def _key(value: str, field: str) -> None:
    if fault := names.key_fault(value):
        raise Invalid(fault, field=field)


def _few(values: Sequence[object], field: str) -> None:
    if len(values) > MAX_ITEMS:
        raise Invalid(
            f"a request has at most {MAX_ITEMS:,} {field}, this one has {len(values):,}", field=field
        )


def _roles(values: Iterable[str], field: str) -> None:
    checked = list(values)
    if len(checked) > MAX_ROLES:
        raise Invalid(f"at most {MAX_ROLES} roles, got {len(checked)}", field=field)
    for index, role in enumerate(checked):
        if not role.strip():
            raise Invalid("a role must not be empty", field=f"{field}[{index}]")
        text(role, MAX_ROLE, f"{field}[{index}]", "a role")
