"""Pages are read in portions that weigh no more than is held at one time."""

from __future__ import annotations

from rekam_tracking.portions import LIGHT_BYTES, MAX_BYTES_OF_ONE, portions


def test_light_ones_come_two_hundred_at_a_time() -> None:
    ids = [str(number) for number in range(450)]
    found = portions(ids, {})
    assert [len(portion) for portion in found] == [200, 200, 50]
    assert [id for portion in found for id in portion] == ids
    assert portions([], {}) == []


def test_heavy_ones_come_alone() -> None:
    half = MAX_BYTES_OF_ONE // 2
    heavy = {"b": MAX_BYTES_OF_ONE * 9, "c": half, "d": half - LIGHT_BYTES, "e": LIGHT_BYTES + 1}
    assert portions(list("abcde"), heavy) == [["a"], ["b"], ["c", "d"], ["e"]]
