"""A short run of what ``make fuzz`` does for longer: the same cases every time."""

from __future__ import annotations

import importlib
import os
import random

import pytest
from fuzz import Failed, run
from fuzz.__main__ import kinds


@pytest.mark.parametrize("kind", kinds())
def test_some_inputs_at_random(kind: str) -> None:
    module = importlib.import_module(f"fuzz.{kind}")
    module.main(int(os.environ.get("TURBOSQS_SEED") or 1), module.COUNT)


def test_a_failure_says_how_to_have_it_again() -> None:
    drawn: list[float] = []

    def case(rng: random.Random) -> None:
        drawn.append(rng.random())
        assert len(drawn) < 3, "on purpose"

    with pytest.raises(Failed) as failed:
        run("kind", 10, 5, case)
    assert str(failed.value).splitlines()[:3] == [
        'again with: TURBOSQS_SEED=12 make fuzz ARGS="--only kind --count 1"',
        'or, should it take those before it: TURBOSQS_SEED=10 make fuzz ARGS="--only kind --count 3"',
        "AssertionError: on purpose",
    ]
    last = drawn.pop()
    drawn.clear()
    run("kind", 12, 1, case)
    assert drawn == [last]


def test_what_is_found_after_the_last_case_is_a_failure() -> None:
    def closing() -> None:
        raise OSError("on purpose")

    with pytest.raises(Failed, match=r"TURBOSQS_SEED=10 .* --count 1\"\nOSError: on purpose"):
        run("kind", 10, 1, lambda _: None, closing)
