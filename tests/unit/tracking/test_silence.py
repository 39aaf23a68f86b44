"""Who has been silent for too long: by the listener's clock, from when it began to listen."""

from __future__ import annotations

import uuid

import pytest

from rekam_tracking.liveness.silence import Heard, Silences, Verdict, longest_silence_s

RUN, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def running(heard_us: int, heartbeat_ms: int = 15_000) -> Heard:
    return Heard(crashed=False, heard_us=heard_us, beat_us=heard_us, heartbeat_ms=heartbeat_ms)


def crashed(heard_us: int, beat_us: int) -> Heard:
    return Heard(crashed=True, heard_us=heard_us, beat_us=beat_us, heartbeat_ms=15_000)


@pytest.mark.parametrize(
    ("after_s", "heartbeat_ms", "silence_s"), [(60, 15_000, 60), (60, 30_000, 90), (5, 1, 5)]
)
def test_three_heartbeats_may_be_missing(after_s: float, heartbeat_ms: int, silence_s: float) -> None:
    assert longest_silence_s(after_s, heartbeat_ms) == silence_s


def test_a_run_that_is_silent_for_too_long_has_crashed() -> None:
    silences = Silences(60)
    assert silences.judge({RUN: running(1), OTHER: running(1)}, 0) == {}
    assert silences.judge({RUN: running(1), OTHER: running(2)}, 60) == {}
    assert silences.judge({RUN: running(1), OTHER: running(2)}, 61) == {RUN: Verdict.CRASHED}
    assert silences.judge({OTHER: running(2)}, 121) == {OTHER: Verdict.CRASHED}


def test_how_old_the_last_heartbeat_is_by_a_clock_says_nothing() -> None:
    silences = Silences(60)
    assert silences.judge({RUN: running(-(10**15))}, 1_000) == {}
    assert silences.judge({RUN: running(-(10**15) + 1)}, 1_060) == {}
    assert silences.judge({RUN: running(-(10**15) + 1)}, 1_061) == {}


def test_silence_while_nobody_could_hear_counts_for_nothing() -> None:
    silences = Silences(60)
    silences.judge({RUN: running(1)}, 0)
    silences.begin_anew()
    assert silences.judge({RUN: running(1)}, 1_000) == {}
    assert silences.judge({RUN: running(1)}, 1_060) == {}
    assert silences.judge({RUN: running(1)}, 1_061) == {RUN: Verdict.CRASHED}


def test_frames_keep_a_run_alive_but_only_a_heartbeat_brings_it_back() -> None:
    silences = Silences(60)
    alive = Heard(crashed=False, heard_us=5, beat_us=1, heartbeat_ms=15_000)
    silences.judge({RUN: running(1)}, 0)
    assert silences.judge({RUN: alive}, 61) == {}
    silences.judge({RUN: crashed(5, 1)}, 130)
    assert silences.judge({RUN: crashed(7, 1)}, 135) == {}
    assert silences.judge({RUN: crashed(8, 8)}, 140) == {RUN: Verdict.REVIVED}


def test_a_run_that_has_crashed_is_let_go_after_as_long_again() -> None:
    silences = Silences(60)
    silences.judge({RUN: running(1)}, 0)
    assert silences.judge({RUN: running(1)}, 61) == {RUN: Verdict.CRASHED}
    assert silences.judge({RUN: crashed(1, 1)}, 66) == {}
    assert silences.judge({RUN: crashed(1, 1)}, 127) == {RUN: Verdict.LET_GO}


def test_a_run_set_running_again_has_its_whole_time() -> None:
    silences = Silences(60)
    silences.judge({RUN: crashed(1, 1)}, 0)
    assert silences.judge({RUN: running(1)}, 59) == {}
    assert silences.judge({RUN: running(1)}, 119) == {}
    assert silences.judge({RUN: running(1)}, 120) == {RUN: Verdict.CRASHED}
