"""Who has been silent for too long. Pure.

Silence is measured by the listener's own clock, from when it began to listen: no two machines'
clocks are compared, and what was not said while nobody could hear it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

# A heartbeat may be late or lost; so many in a row are not.
_HEARTBEATS = 3


def longest_silence_s(crashed_after_s: float, heartbeat_ms: int) -> float:
    """After more than this a writer with heartbeats so far apart is taken for dead."""
    return max(crashed_after_s, _HEARTBEATS * heartbeat_ms / 1000)


class Verdict(Enum):
    """What is to become of a run."""

    CRASHED = auto()  # it runs, they say, and no writer is heard any more
    REVIVED = auto()  # it had crashed, and a heartbeat was heard
    LET_GO = auto()  # it had crashed, and stays silent: nothing more to watch


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a run: the last of all its writers that send heartbeats.

    heard_us: anything at all, beat_us: a heartbeat; gateways' clocks. heartbeat_ms: the longest.
    """

    crashed: bool
    heard_us: int
    beat_us: int
    heartbeat_ms: int


@dataclass(slots=True)
class _Vigil:
    """The last that was heard of a run, and since when the listener has heard nothing new."""

    last: Heard
    since_s: float


class Silences:
    """What one listener has heard of the runs it watches; it holds as many as it is shown."""

    def __init__(self, crashed_after_s: float) -> None:
        self._crashed_after_s = crashed_after_s
        self._vigils: dict[UUID, _Vigil] = {}

    def begin_anew(self) -> None:
        """Forget what was heard: for some time nothing could be."""
        self._vigils.clear()

    def judge(self, runs: Mapping[UUID, Heard], now_s: float) -> dict[UUID, Verdict]:
        """Verdicts on these runs, and only these are watched further.

        now_s: the listener's clock when it began to look.
        """
        vigils, self._vigils = self._vigils, {}
        verdicts: dict[UUID, Verdict] = {}
        for run_id, heard in runs.items():
            vigil = self._vigils[run_id] = vigils.get(run_id) or _Vigil(heard, now_s)
            last, vigil.last = vigil.last, heard
            if heard.heard_us > last.heard_us or heard.crashed != last.crashed:
                vigil.since_s = now_s
            if heard.crashed and heard.beat_us > last.beat_us:
                verdicts[run_id] = Verdict.REVIVED
            elif now_s - vigil.since_s > longest_silence_s(self._crashed_after_s, heard.heartbeat_ms):
                verdicts[run_id] = Verdict.LET_GO if heard.crashed else Verdict.CRASHED
        return verdicts
