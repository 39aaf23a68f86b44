"""A hundred thousand mutated messages; the journey of the same name sends ten thousand."""

from __future__ import annotations

import asyncio
import secrets
from random import Random

from rekam.testing import LocalStack
from tests.support.fuzzing.bombardment import bombard

MESSAGES = 100_000


def test_whatever_is_sent_is_taken_or_refused_and_harms_nothing(rekam_clean: LocalStack) -> None:
    seed = secrets.randbits(32)
    report = asyncio.run(bombard(rekam_clean, Random(seed), MESSAGES))
    assert not report.faults, f"seed {seed}: {len(report.faults)} faults\n" + "\n".join(report.faults[:20])
