"""Tables: pandas' DataFrame or a dictionary of columns, as JSON in pandas' `split` form or as Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rekam.errors import Invalid
from rekam.formats.images import is_image
from rekam.formats.packages import require

if TYPE_CHECKING:
    import pandas

# Run tag that lists the tables of a run.
LOGGED_TAG = "mlflow.loggedArtifacts"
_PARQUET = ".parquet"
_FORBIDDEN = "\"',:[]{}"
# Puts an image away and answers with what stands in its cell.
PutImage = Callable[[Any], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values as JSON has them."""

    columns: list[str]
    rows: list[list[Any]]

    def __add__(self, more: Table) -> Table:
        """Both, one under the other; a value whose column the other one lacks is null there."""
        columns = list(dict.fromkeys([*self.columns, *more.columns]))
        return Table(columns, [*_spread(self, columns), *_spread(more, columns)])


def check_file(artifact_file: str) -> str:
    """The file's name; Invalid when no table can have it."""
    if not artifact_file.endswith((".json", _PARQUET)):
        raise Invalid(
            f"a table's file ends with .json or .parquet, got {artifact_file!r}", field="artifact_file"
        )
    for char in _FORBIDDEN:
        if char in artifact_file:
            raise Invalid(
                f"a table's file has no {char} in its name, got {artifact_file!r}", field="artifact_file"
            )
    return artifact_file


def table_of(data: Any, put_image: PutImage) -> Table:
    """A DataFrame, or a dictionary of columns or (all values scalar) of one row. Images go to `put_image`."""
    if hasattr(data, "items") and hasattr(data, "columns"):
        columns = [str(column) for column in data.columns]
        if len(set(columns)) < len(columns):
            raise Invalid("two columns of the table have the same name", field="data")
        data = dict(zip(columns, (values for _, values in data.items()), strict=True))
    if not isinstance(data, Mapping):
        raise Invalid(f"a table is a pandas.DataFrame or a dictionary, got {type(data)}", field="data")
    return _of_mapping(data, put_image)


def encode(table: Table, artifact_file: str) -> bytes:
    """A table as the bytes of its file."""
    if artifact_file.endswith(_PARQUET):
        frame = require("pandas", "pandas", "a table as Parquet").DataFrame(table.rows, columns=table.columns)
        require("pyarrow", "pyarrow", "a table as Parquet")
        data: bytes = frame.to_parquet(index=False)
        return data
    text = json.dumps(
        {"columns": table.columns, "data": table.rows}, ensure_ascii=False, separators=(",", ":")
    )
    return text.encode()


def decode(data: bytes, artifact_file: str) -> Table:
    """The table in a file's bytes."""
    if artifact_file.endswith(_PARQUET):
        return table_of(frame_of(data, artifact_file), dict)
    try:
        split = json.loads(data)
        return Table([str(column) for column in split["columns"]], split["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"{artifact_file!r} is no table in the split form: {error}", field="artifact_file"
        ) from error


def frame_of(data: bytes, artifact_file: str) -> pandas.DataFrame:
    """The table in a file's bytes, as a DataFrame."""
    pandas = require("pandas", "pandas", "a table as a DataFrame")
    if artifact_file.endswith(_PARQUET):
        require("pyarrow", "pyarrow", "a table as Parquet")
        return pandas.read_parquet(io.BytesIO(data))  # type: ignore[no-any-return]
    return pandas.read_json(io.BytesIO(data), orient="split", precise_float=True)  # type: ignore[no-any-return]


def listed(tag: str | None, artifact_file: str) -> str | None:
    """The tag that lists a run's tables, with this one; None when it is there already."""
    entry = {"path": artifact_file, "type": "table"}
    entries = json.loads(tag or "[]")
    return None if entry in entries else json.dumps([*entries, entry])


def image_folder(artifact_file: str) -> str:
    """Where a table's images lie."""
    return f"table_images/{PurePosixPath(artifact_file).with_suffix('')}"


def _of_mapping(data: Mapping[str, Any], put_image: PutImage) -> Table:
    columns = {str(name): _column(values) for name, values in data.items()}
    if all(values is None for values in columns.values()):
        columns = {str(name): [value] for name, value in data.items()}
    lengths = {len(values) for values in columns.values() if values is not None}
    if len(lengths) > 1:
        raise Invalid(f"a table's columns are of one length, got {sorted(lengths)}", field="data")
    (length,) = lengths or (0,)
    plain = [
        [data[name]] * length if values is None else _without_images(name, values, put_image)
        for name, values in columns.items()
    ]
    rows = [[_plain(value) for value in row] for row in zip(*plain, strict=True)]
    return Table(list(columns), rows)


def _column(values: Any) -> list[Any] | None:
    """A column's values; None for a scalar."""
    if hasattr(values, "tolist") and getattr(values, "ndim", True):
        return list(values.tolist())
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return list(values)
    return None


def _without_images(column: str, values: list[Any], put_image: PutImage) -> list[Any]:
    images = sum(map(is_image, values))
    if images == 0:
        return values
    if images < len(values):
        raise Invalid(f"column {column!r} has both images and other values", field="data")
    return [put_image(value) for value in values]


def _plain(value: Any) -> Any:
    """A cell as JSON has it; NaN, infinities and what pandas has for nothing are null."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise Invalid(f"a table's cell is what JSON can hold, got {type(value)}", field="data")


def _spread(table: Table, columns: list[str]) -> list[list[Any]]:
    """The rows under more columns."""
    if table.columns == columns:
        return table.rows
    places = [table.columns.index(column) if column in table.columns else None for column in columns]
    return [[None if place is None else row[place] for place in places] for row in table.rows]
