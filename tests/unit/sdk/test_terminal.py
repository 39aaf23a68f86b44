"""Lines out of what is written to a terminal."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam.capture.terminal import MAX_ROW_CHARS, Terminal

UP = "\x1b[A"
RED = "\x1b[31mred\x1b[0m"


def lines(*writes: str) -> list[str]:
    """Every line that comes out, in order."""
    terminal = Terminal()
    found = []
    for number, text in enumerate(writes, 1):
        terminal.write(number, text)
        found += terminal.take_done()
    return [text for _, text in found + terminal.take_all()]


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        (["one\n", "two\n"], ["one", "two"]),
        (["one", "\n", "two", "\n"], ["one", "two"]),
        (["o", "n", "e\ntw", "o"], ["one", "two"]),
        (["\n", "\n", "a\n"], ["", "", "a"]),
        (["windows\r\n", "two\r\n"], ["windows", "two"]),
        ([f"{RED}\n"], [RED]),
        (["0%\r", "50%\r", "100%\n"], ["100%"]),
        (["\r  0%", "\r 50%", "\r100%\n", "done\n"], ["100%", "done"]),
        (["\r 50%", "\r     \r", "done\n"], ["done"]),
        (["no end"], ["no end"]),
        ([""], []),
    ],
)  # fmt: skip
def test_what_is_written_over_is_gone(writes: list[str], expected: list[str]) -> None:
    assert lines(*writes) == expected


def test_bars_below_each_other_are_lines_of_their_own() -> None:
    terminal = Terminal()
    for percent in (0, 50, 100):
        terminal.write(1, f"\router {percent}%")
        terminal.write(1, f"\n\rinner {percent}%{UP}")
    assert terminal.take_done() == []
    assert [text for _, text in terminal.take_all()] == ["outer 100%", "inner 100%"]


def test_a_line_has_the_time_of_its_last_text() -> None:
    terminal = Terminal()
    terminal.write(5, "\n")
    terminal.write(6, "a")
    terminal.write(7, "b")
    terminal.write(8, "\n")
    assert terminal.take_done() == [(5, ""), (7, "ab")]


def test_what_is_not_done_stays_until_it_is_taken() -> None:
    terminal = Terminal()
    terminal.write(1, "done\nnot yet")
    assert [text for _, text in terminal.take_done()] == ["done"]
    assert terminal.unfinished
    assert terminal.take_done() == []
    assert [text for _, text in terminal.take_all()] == ["not yet"]
    assert not terminal.unfinished


def test_a_long_row_comes_in_pieces() -> None:
    text = "x" * (3 * MAX_ROW_CHARS + 1)
    found = lines(text, "y\n", "z\n")
    assert list(map(len, found)) == [MAX_ROW_CHARS] * 3 + [2, 1]
    assert "".join(found) == text + "yz"


@given(st.text(st.sampled_from("ab\n\r \x1b[A9;")), st.lists(st.integers(0, 60), max_size=5))
def test_where_writes_are_divided_changes_nothing(text: str, places: list[int]) -> None:
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    pieces = [text[a:b] for a, b in pairwise(cuts) if not _in_sequence(text, b)]
    if "".join(pieces) == text:
        assert lines(*pieces) == lines(text)


@given(st.text(st.characters(exclude_characters="\n\r\x1b")), st.integers(1, 5))
def test_plain_text_is_kept(text: str, count: int) -> None:
    assert lines(*[text + "\n"] * count) == [text] * count


def _in_sequence(text: str, at: int) -> bool:
    """Whether a sequence that moves the cursor may be cut in two there."""
    return "\x1b" in text[max(0, at - 6) : at]
