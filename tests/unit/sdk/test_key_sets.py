"""Keys, values and steps are checked at the call, by name."""

from __future__ import annotations

import struct

import pytest

from rekam.errors import Invalid
from rekam.keys import check_key
from rekam.recording.key_sets import MAX_KEYS, KeySet, key_set_of, row_fault
from rekam.recording.writer import int_step

BAD_KEYS = [
    "", "x" * 251, "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a/..", "a\nb", "a\tb",
    "a?b", "a#b", "a\\b", 'a"b', "a'b", "a*b", "a%b", "é€", "a\x00b", "a\n",
]  # fmt: skip
GOOD_KEYS = ["a", "x" * 250, "train/loss", "a.b-c d:e_f", "été", "損失", "...", "a/.b", "0", " "]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused_by_name(key: str) -> None:
    with pytest.raises(Invalid, match="metric key"):
        check_key(key, "metric")


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_good_keys_pass(key: str) -> None:
    assert check_key(key, "metric") == key


def test_a_key_is_text() -> None:
    with pytest.raises(Invalid, match="got int 3"):
        check_key(3, "metric")


def test_one_bad_key_among_many_is_named() -> None:
    with pytest.raises(Invalid, match="'b//c'"):
        key_set_of(("a", "b//c", "d"))


def test_too_many_keys() -> None:
    assert KeySet(tuple(str(i) for i in range(MAX_KEYS))).rows_per_frame == 1
    with pytest.raises(Invalid, match="65536 metrics, got 65537"):
        KeySet(tuple(str(i) for i in range(MAX_KEYS + 1)))


def test_keys_that_are_too_long_together() -> None:
    with pytest.raises(Invalid, match="log them in several calls"):
        KeySet(tuple(f"{i:0250}" for i in range(5_000)))


def test_a_row_is_packed_as_it_is() -> None:
    nan = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    row = KeySet(("a", "b", "c")).pack(-(2**63), 2**62, float("-inf"), nan, True)
    assert row == struct.pack("<qqd", -(2**63), 2**62, float("-inf")) + struct.pack("<dd", nan, 1.0)


@pytest.mark.parametrize(
    ("step", "time_us", "values", "field", "says"),
    [
        (0, 0, (1.0, "2"), "metrics['b']", "must be a number, got str '2'"),
        (0, 0, (None, 1.0), "metrics['a']", "must be a number, got NoneType"),
        (2**63, 0, (1.0, 1.0), "step", "64-bit integer"),
        (1.5, 0, (1.0, 1.0), "step", "64-bit integer"),
        (0, "now", (1.0, 1.0), "timestamp", "64-bit integer"),
    ],
)
def test_what_is_wrong_with_a_row(
    step: object, time_us: object, values: tuple[object, ...], field: str, says: str
) -> None:
    keys = ("a", "b")
    with pytest.raises(struct.error):
        KeySet(keys).pack(step, time_us, *values)
    fault = row_fault(keys, step, time_us, values)
    assert fault.field == field
    assert says in str(fault)
    assert isinstance(fault, ValueError)


def test_steps() -> None:
    numpy = pytest.importorskip("numpy")
    assert int_step(None) == 0
    assert int_step(numpy.int32(7)) == 7
    assert int_step(True) == 1
    with pytest.raises(Invalid, match=r"step must be an integer, got 1\.5"):
        int_step(1.5)
