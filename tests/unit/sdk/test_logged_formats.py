"""What programs have in memory, as files: dictionaries, figures, images, tables."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml
from matplotlib.figure import Figure

from rekam.errors import Invalid, MissingPackage
from rekam.formats import dictionaries, figures, images, tables
from rekam.formats.images import Image
from rekam.formats.packages import require
from rekam.formats.tables import Table


def no_image(_: Any) -> dict[str, str]:
    raise AssertionError("there is no image")


# ---- dictionaries ----


def test_dictionaries_are_json_or_yaml_by_their_name() -> None:
    value = {"a": [1, 2.5, None], "é": "日本"}
    assert json.loads(dictionaries.encode(value, "a.json")) == value
    assert json.loads(dictionaries.encode(value, "a.txt")) == value
    assert yaml.safe_load(dictionaries.encode(value, "b/a.yaml")) == value
    assert json.loads(dictionaries.encode({"when": Path("x")}, "a.json")) == {"when": "x"}


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingPackage, match="pip install nopackage") as caught:
        require("nopackage", "nopackage", "this")
    assert isinstance(caught.value, ImportError)


# ---- figures ----


class Plotly:
    """What plotly's figures can do."""

    def write_html(self, to: str, **options: Any) -> None:
        Path(to).write_text(json.dumps(options))

    def write_image(self, to: str, **options: Any) -> None:
        Path(to).write_text("image")


def test_figures_of_matplotlib(tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2], [3, 4])
    figures.save(figure, tmp_path / "a.png", {"dpi": 30})
    assert PIL.Image.open(tmp_path / "a.png").size == (192, 144)


def test_figures_of_plotly(tmp_path: Path) -> None:
    figures.save(Plotly(), tmp_path / "a.html", {"auto_open": True})
    assert json.loads((tmp_path / "a.html").read_text()) == {"include_plotlyjs": "cdn", "auto_open": True}
    figures.save(Plotly(), tmp_path / "a.svg", {})
    assert (tmp_path / "a.svg").read_text() == "image"
    with pytest.raises(Invalid, match=r"\.txt"):
        figures.save(Plotly(), tmp_path / "a.txt", {})
    with pytest.raises(Invalid, match="int"):
        figures.save(1, tmp_path / "a.png", {})


# ---- images ----


@pytest.mark.parametrize(
    ("array", "mode", "pixel"),
    [
        (np.full((2, 3), 200, dtype=np.int64), "L", 200),
        (np.full((2, 3, 1), True), "L", 255),
        (np.full((2, 3, 3), 0.5), "RGB", (127, 127, 127)),
        (np.full((2, 3, 4), 7, dtype=np.uint8), "RGBA", (7, 7, 7, 7)),
        (np.array([[-1.0, 0.0, 3.0]]), "L", 0),
    ],
)
def test_arrays_are_images(array: Any, mode: str, pixel: Any) -> None:
    picture = images.pillow_image(array)
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == (mode, array.shape[1::-1], pixel)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(3),
        np.zeros((2, 2, 2)),
        np.array([[256]]),
        np.array([[-1]]),
        np.array([["a"]]),
        "not an image",
    ],
)
def test_what_is_no_image(image: Any) -> None:
    with pytest.raises(Invalid) as caught:
        images.pillow_image(image)
    assert caught.value.field == "image"


def test_the_small_one_has_the_same_proportions() -> None:
    assert images.small(PIL.Image.new("RGB", (1000, 10))).size == (256, 2)
    assert images.small(PIL.Image.new("RGB", (1, 10_000))).size == (1, 256)


def test_an_image_of_lists_and_files(tmp_path: Path) -> None:
    image = Image([[1, 2], [3, 4]])
    assert image.to_array().tolist() == [[1, 2], [3, 4]]
    image.save(tmp_path / "a.png")
    again = Image(tmp_path / "a.png")
    assert again.to_array().tolist() == [[1, 2], [3, 4]]
    assert again.resize((4, 4)).size == (4, 4)


def test_names_of_a_series() -> None:
    full, small = images.names("val/dog 1", 3, 1700000000000)
    assert full.startswith("images/val~dog 1+step+3+timestamp+1700000000000+")
    assert small == full.removesuffix(".png") + "+compressed.webp"
    with pytest.raises(Invalid, match="é"):
        images.names("é", None, None)


# ---- tables ----


def test_a_dictionary_of_columns() -> None:
    table = tables.table_of({"a": [1, 2], "b": ["x", float("nan")], "c": np.array([1.5, 2.5])}, no_image)
    assert table == Table(["a", "b", "c"], [[1, "x", 1.5], [2, None, 2.5]])
    assert tables.table_of({"a": 1, "b": "x"}, no_image) == Table(["a", "b"], [[1, "x"]])
    assert tables.table_of({"a": [1, 2], "b": "x"}, no_image).rows == [[1, "x"], [2, "x"]]
    assert tables.table_of({}, no_image) == Table([], [])


def test_a_frame_keeps_every_digit() -> None:
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    frame = pd.DataFrame({"a": [0.1 + 0.2, float("inf")], "when": [when, None], 3: [1, None]})
    table = tables.table_of(frame.astype({3: "Int64"}), no_image)
    assert table.columns == ["a", "when", "3"]
    assert table.rows == [[0.1 + 0.2, "2026-01-02T00:00:00+00:00", 1], [None, None, None]]


@pytest.mark.parametrize("data", [{"a": [1], "b": [1, 2]}, {"a": [object()]}, [1, 2], "text"])
def test_what_is_no_table(data: Any) -> None:
    with pytest.raises(Invalid) as caught:
        tables.table_of(data, no_image)
    assert caught.value.field == "data"


@pytest.mark.parametrize("as_frame", [False, True])
def test_images_in_cells(as_frame: bool) -> None:
    picture = PIL.Image.new("RGB", (2, 2))
    data: dict[str, Any] = {"a": [1, 2], "image": [picture, Image(picture)]}
    put: list[Any] = []

    def put_image(image: Any) -> dict[str, str]:
        put.append(image)
        return {"type": "image", "filepath": str(len(put))}

    table = tables.table_of(pd.DataFrame(data) if as_frame else data, put_image)
    assert [row[1]["filepath"] for row in table.rows] == ["1", "2"]
    with pytest.raises(Invalid, match="image"):
        tables.table_of({"image": [picture, 1]}, put_image)


def test_tables_grow() -> None:
    first, more = Table(["a", "b"], [[1, 2]]), Table(["b", "c"], [[3, 4]])
    assert first + more == Table(["a", "b", "c"], [[1, 2, None], [None, 3, 4]])


def test_a_file_is_read_back() -> None:
    table = Table(["a", "é"], [[1, "日本"], [None, {"x": [1]}]])
    data = tables.encode(table, "t.json")
    assert tables.decode(data, "t.json") == table
    assert list(tables.frame_of(data, "t.json").columns) == ["a", "é"]
    with pytest.raises(Invalid, match="split"):
        tables.decode(b"[1]", "t.json")


@pytest.mark.parametrize("name", ["a.csv", "a", 'a".json', "a,b.json", "{a}.json"])
def test_names_that_no_table_has(name: str) -> None:
    with pytest.raises(Invalid):
        tables.check_file(name)


def test_a_run_lists_its_tables_once() -> None:
    tag = tables.listed(None, "t.json")
    assert tag == '[{"path": "t.json", "type": "table"}]'
    assert tables.listed(tag, "t.json") is None
