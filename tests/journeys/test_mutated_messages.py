"""Messages that are nearly right, thousands of them: taken because they are valid, or refused with a reason.

A failure names its seed; `REKAM_FUZZ_SEED=... make test TESTS=tests/journeys/test_mutated_messages.py` sends
the same messages again, `REKAM_FUZZ_MESSAGES=100000` sends more.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from random import Random

from rekam.testing import LocalStack
from tests.support.fuzzing.bombardment import bombard

SEED = int(os.environ.get("REKAM_FUZZ_SEED") or secrets.randbits(32))
MESSAGES = int(os.environ.get("REKAM_FUZZ_MESSAGES") or 10_000)
TAKEN = ("mutated", "frame", "taken")


def test_whatever_is_sent_is_taken_or_refused_and_harms_nothing(rekam_clean: LocalStack) -> None:
    report = asyncio.run(bombard(rekam_clean, Random(SEED), MESSAGES))
    assert not report.faults, f"seed {SEED}: {len(report.faults)} faults\n" + "\n".join(report.faults[:20])
    # Not all of it was nonsense.
    assert report.streams[TAKEN] > MESSAGES // 100
