"""Named statements of a .sql file."""

from __future__ import annotations

import pytest

from rekam_runtime.postgres import Statements

SQL = """\
-- Of runs.

-- name: get_run
-- The whole row.
SELECT *
FROM runs WHERE run_id = $1;

--name: forget
DELETE FROM runs
"""


def test_statements_are_attributes() -> None:
    statements = Statements.parse(SQL, "runs.sql")
    assert list(statements) == ["get_run", "forget"]
    assert statements.forget == "DELETE FROM runs"
    assert statements.get_run == "-- The whole row.\nSELECT *\nFROM runs WHERE run_id = $1"


def test_an_unknown_name_says_what_there_is() -> None:
    statements = Statements.parse(SQL, "runs.sql")
    with pytest.raises(AttributeError, match="has no statement get_runs; it has: get_run, forget"):
        _ = statements.get_runs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "two statements are named a"),
        ("-- name: Get-Run\nSELECT 1;", "'Get-Run' is not a statement's name"),
        ("-- name: a\n-- only words\n-- name: b\nSELECT 1;", "the statement a is empty"),
        ("SELECT 1;\n-- name: a\nSELECT 1;", "a statement before the first"),
    ],
)
def test_a_file_that_is_wrong_is_an_error(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Statements.parse(text, "x.sql")


def test_a_file_is_loaded_from_its_package() -> None:
    assert "projection_position" in Statements.load("rekam_runtime.projection", "projection.sql").position
