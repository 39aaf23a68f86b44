"""Rules for what requests bring in: names, keys, values, ids, times.

Every check raises Invalid that names the field and the rule. Limits are those written
in the protos; a value that is too long is refused, never cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import dataset_pb2, logged_model_pb2, read_pb2, run_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid
from rekam_runtime.searching.comparing import MAX_BIGINT

MAX_PARAM_VALUE = 6_000
MAX_RUN_TAG_VALUE = 8_000
MAX_EXPERIMENT_TAG_VALUE = 5_000
MAX_EXPERIMENT_NAME = 500
MAX_USER = 256
MAX_ARTIFACT_LOCATION = 2_048
MAX_DATASET_NAME = 500
MAX_DATASET_DIGEST = 36
MAX_SOURCE_TYPE = 36
MAX_SOURCE = 65_535
MAX_SCHEMA = 1_048_575
MAX_INPUT_TAG_KEY = 255
MAX_INPUT_TAG_VALUE = 500
MAX_MODEL_REFERENCE = 36
MAX_MODEL_NAME = 500
MAX_MODEL_TEXT = 65_535
MAX_ITEMS = 1_000
# One request becomes one event, and the log takes events of up to 1 MiB.
MAX_REQUEST_BYTES = 1_000_000
# Of schemas and profiles, which are large and compress well.
MAX_INPUTS_BYTES = 4 * 1024 * 1024

RUN_NAME_TAG = "mlflow.runName"

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_NOT_IN_MODEL_NAMES = re.compile(r"[/:.%\"']")
_EXPERIMENT_ID = re.compile(r"[0-9]{1,18}")


def text(value: str, limit: int, field: str, what: str) -> None:
    """Text of at most `limit` characters, without U+0000 (no database text can hold it)."""
    if len(value) > limit:
        raise Invalid(f"{what} has at most {limit} characters, this one has {len(value)}", field=field)
    if "\0" in value:
        raise Invalid(f"{what} must not contain the character U+0000", field=field)


def some_text(value: str, limit: int, field: str, what: str) -> None:
    """As text, and not empty."""
    if not value:
        raise Invalid(f"{what} must not be empty", field=field)
    text(value, limit, field, what)


def size(items: int, message_bytes: int, field: str, most: int = MAX_REQUEST_BYTES) -> None:
    """A request that fits into one event; most: of its bytes."""
    if items > MAX_ITEMS:
        raise Invalid(f"a request has at most {MAX_ITEMS} {field}, this one has {items}", field=field)
    if message_bytes > most:
        raise Invalid(
            f"a request has at most {most} bytes, this one has {message_bytes}: send fewer {field} at a time",
            field=field,
        )


def key(value: str, field: str) -> None:
    if fault := names.key_fault(value):
        raise Invalid(fault, field=field)


def keys(values: Sequence[str], field: str = "keys") -> None:
    for index, value in enumerate(values):
        key(value, f"{field}[{index}]")


def params(
    values: Iterable[read_pb2.Param], field: str = "params", limit: int = MAX_PARAM_VALUE
) -> dict[str, str]:
    """Checked params by key; two different values for one key are refused. limit: of a value's characters."""
    checked: dict[str, str] = {}
    for index, param in enumerate(values):
        key(param.key, f"{field}[{index}].key")
        text(param.value, limit, f"{field}[{index}].value", "a param's value")
        if checked.setdefault(param.key, param.value) != param.value:
            raise Invalid(
                f"param {param.key!r} stands twice in the request, with different values",
                field=f"{field}[{index}].key",
            )
    return checked


def run_tags(values: Iterable[read_pb2.Tag], field: str = "tags") -> dict[str, str]:
    """Checked tags by key; of two with the same key the last one wins."""
    return _tags(values, MAX_RUN_TAG_VALUE, field)


def experiment_tags(values: Iterable[read_pb2.Tag], field: str = "tags") -> dict[str, str]:
    """As run_tags, with the limit of experiments."""
    return _tags(values, MAX_EXPERIMENT_TAG_VALUE, field)


def model_params(values: Iterable[read_pb2.Param]) -> dict[str, str]:
    """As params, with the limit of logged models."""
    return params(values, limit=MAX_MODEL_TEXT)


def model_tags(values: Iterable[read_pb2.Tag]) -> dict[str, str]:
    """As run_tags, with the limit of logged models."""
    return _tags(values, MAX_MODEL_TEXT, "tags")


def _tags(values: Iterable[read_pb2.Tag], limit: int, field: str) -> dict[str, str]:
    checked: dict[str, str] = {}
    for index, tag in enumerate(values):
        key(tag.key, f"{field}[{index}].key")
        text(tag.value, limit, f"{field}[{index}].value", "a tag's value")
        checked[tag.key] = tag.value
    return checked


def dataset_inputs(values: Iterable[dataset_pb2.DatasetInput], field: str = "datasets") -> None:
    for index, value in enumerate(values):
        dataset, within = value.dataset, f"{field}[{index}].dataset"
        some_text(dataset.name, MAX_DATASET_NAME, f"{within}.name", "a dataset's name")
        some_text(dataset.digest, MAX_DATASET_DIGEST, f"{within}.digest", "a dataset's digest")
        text(dataset.source_type, MAX_SOURCE_TYPE, f"{within}.source_type", "a source's type")
        text(dataset.source, MAX_SOURCE, f"{within}.source", "a dataset's source")
        text(dataset.schema, MAX_SCHEMA, f"{within}.schema", "a dataset's schema")
        text(dataset.profile, MAX_INPUTS_BYTES, f"{within}.profile", "a dataset's profile")
        for place, tag in enumerate(value.tags):
            of_tag = f"{field}[{index}].tags[{place}]"
            some_text(tag.key, MAX_INPUT_TAG_KEY, f"{of_tag}.key", "a key of an input's tag")
            text(tag.value, MAX_INPUT_TAG_VALUE, f"{of_tag}.value", "a value of an input's tag")


def dataset_reference(value: logged_model_pb2.DatasetReference, field: str) -> None:
    some_text(value.name, MAX_DATASET_NAME, f"{field}.name", "a dataset's name")
    text(value.digest, MAX_DATASET_DIGEST, f"{field}.digest", "a dataset's digest")


def model_references(values: Iterable[str], field: str = "models") -> None:
    """Ids of models that a run names; they need not exist."""
    for index, value in enumerate(values):
        some_text(value, MAX_MODEL_REFERENCE, f"{field}[{index}].model_id", "a model's id")


def is_model_id(value: str) -> bool:
    return _MODEL_ID.fullmatch(value) is not None


def model_id(value: str, field: str = "model_id") -> None:
    if not is_model_id(value):
        raise Invalid(f"a model's id is 'm-' and 32 lower-case hex digits, got {value[:80]!r}", field=field)


def model_name(value: str, field: str = "name") -> None:
    """Empty: one is generated."""
    text(value, MAX_MODEL_NAME, field, "a model's name")
    if _NOT_IN_MODEL_NAMES.search(value):
        raise Invalid(
            f"Invalid model name ({value!r}) provided. Model name must be a non-empty string and cannot "
            "contain the following characters: ('/', ':', '.', '%', '\"', \"'\")",
            field=field,
        )


def model_status(value: logged_model_pb2.LoggedModelStatus, field: str = "status") -> None:
    unset = logged_model_pb2.LOGGED_MODEL_STATUS_UNSPECIFIED
    if value not in logged_model_pb2.LoggedModelStatus.values() or value == unset:
        known = ", ".join(logged_model_pb2.LoggedModelStatus.keys()[1:])
        raise Invalid(f"{value} is no status of a model; there are {known}", field=field)


def model_metrics(values: Iterable[logged_model_pb2.LoggedModelMetric], field: str = "metrics") -> None:
    for index, value in enumerate(values):
        within = f"{field}[{index}]"
        key(value.key, f"{within}.key")
        if value.time_us < 0:
            raise Invalid(
                f"a time is microseconds since the Unix epoch, not negative; got {value.time_us}",
                field=f"{within}.time_us",
            )
        text(value.dataset_name, MAX_DATASET_NAME, f"{within}.dataset_name", "a dataset's name")
        text(value.dataset_digest, MAX_DATASET_DIGEST, f"{within}.dataset_digest", "a dataset's digest")
        if value.run_id:
            run_id(value.run_id, f"{within}.run_id")


def json_object(value: str, field: str) -> dict[str, Any]:
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise Invalid(f"{field} must be a JSON object", field=field)
    return read


def run_id(value: str, field: str = "run_id") -> None:
    if fault := names.hex_id_fault(value):
        raise Invalid(fault, field=field)


def experiment_id(value: str, field: str = "experiment_id") -> str:
    """The id in its one form, without leading zeros."""
    if not _EXPERIMENT_ID.fullmatch(value):
        raise Invalid(
            f"Invalid experiment ID '{value[:80]}'. Experiment ID must be a valid integer.", field=field
        )
    return str(int(value))


def experiment_ids(values: Sequence[str], field: str = "experiment_ids") -> list[int]:
    """Distinct ids; those that no experiment can have are left out."""
    ids: dict[int, None] = {}
    for index, value in enumerate(values):
        if not (value.isascii() and value.isdigit()):
            raise Invalid(
                f"Invalid experiment ID '{value[:80]}'. Experiment ID must be a valid integer.",
                field=f"{field}[{index}]",
            )
        # Longer ones name no experiment.
        if len(value) < 20 and int(value) <= MAX_BIGINT:
            ids[int(value)] = None
    return list(ids)


def experiment_name(value: str, field: str = "name") -> None:
    if not value.strip():
        raise Invalid("an experiment's name must not be empty or blank", field=field)
    text(value, MAX_EXPERIMENT_NAME, field, "an experiment's name")


def artifact_location(value: str, field: str = "artifact_location") -> None:
    """A URI or path under which a run's path can be appended."""
    text(value, MAX_ARTIFACT_LOCATION, field, "an artifact location")
    path, _, query = value.partition("?")
    if "#" in value:
        raise Invalid("an artifact location has no fragment ('#')", field=field)
    if ";" in path:
        raise Invalid("an artifact location has no parameters (';')", field=field)
    if ".." in query:
        raise Invalid("an artifact location's query must not contain '..'", field=field)
    if value.startswith("runs:"):
        raise Invalid("an artifact location must not be a 'runs:' URI", field=field)


def run_name(value: str, field: str = "name") -> None:
    # It is the value of a tag, too.
    text(value, MAX_RUN_TAG_VALUE, field, "a run's name")


def status(value: run_pb2.RunStatus, field: str = "status") -> None:
    if value == run_pb2.RUN_STATUS_CRASHED:
        raise Invalid("that a run has crashed is found by the system, and never set", field=field)
    if value not in run_pb2.RunStatus.values() or value == run_pb2.RUN_STATUS_UNSPECIFIED:
        known = ", ".join(run_pb2.RunStatus.keys()[1:])
        raise Invalid(f"{value} is no status of a run; there are {known}", field=field)


def user(value: str, field: str = "user") -> None:
    text(value, MAX_USER, field, "a user's name")


def actor(value: str) -> None:
    text(value, MAX_USER, "actor", "an actor's name")


def time_ms(value: int, field: str) -> None:
    if value < 0:
        raise Invalid(f"a time is milliseconds since the Unix epoch, not negative; got {value}", field=field)


def origin(value: envelope_pb2.Origin) -> None:
    if fault := names.writer_fault(value.writer):
        raise Invalid(fault, field="origin.writer")
    if value.sequence < 1:
        raise Invalid("a writer's records count from 1", field="origin.sequence")
