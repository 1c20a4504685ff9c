"""Some thousand calls leave no memory behind; ``endurance.py`` makes a million."""

from __future__ import annotations

import time

import pytest
from support import needs
from support.endurance import ROUND, growth, run
from support.libraries import BOTO3, SUBJECT

pytestmark = [needs.PROC, pytest.mark.skipif(SUBJECT == BOTO3, reason="this is about turbosqs alone")]

#: A kilobyte that each call keeps would be three times as much.
MOST = 5 << 20
COUNT, SECONDS = 15_000, 15


def test_calls_leave_no_memory_behind() -> None:
    samples = run(COUNT, time.monotonic() + SECONDS)
    assert len(samples) >= 5, "the machine is too slow to tell"
    assert samples[-1][0] == len(samples) * ROUND
    assert growth(samples) < MOST


def test_growth_is_seen() -> None:
    assert growth([(number, number * 1000) for number in range(100)]) == 80_000
    assert growth([(number, min(number, 10) * 1000) for number in range(100)]) == 0
