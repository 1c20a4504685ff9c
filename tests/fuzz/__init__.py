"""Inputs made at random. turbosqs must do with them what boto3 does, and its embedded SQS must survive them.

Every module here is a kind of input, with ``main(seed, count)`` and the ``COUNT`` of a short run. Each case has a seed
of its own, the first that of the run, so that a case which failed is the first of a run with ``TURBOSQS_SEED`` set to
its seed.

    make fuzz                                   all kinds, a minute
    make fuzz ARGS="--seconds 600 --only replies"
    TURBOSQS_SEED=4711 make fuzz ARGS="--only replies --count 1"
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Failed(AssertionError):  # noqa: N818 - not an error of the program
    """A case that went wrong; the text begins with what to run again."""


def run(
    kind: str,
    seed: int,
    count: int,
    case: Callable[[random.Random], None],
    closing: Callable[[], None] = lambda: None,
) -> None:
    """So many cases, each with a generator of its own seed, and after them ``closing``.

    Raises:
        Failed: One of them raised an exception.
    """
    number = seed
    try:
        for number in range(seed, seed + count):
            case(random.Random(number))
        closing()
    except Exception as error:
        again = f"again with: {command(kind, number, 1)}"
        if number > seed:
            again += f"\nor, should it take those before it: {command(kind, seed, number + 1 - seed)}"
        raise Failed(f"{again}\n{type(error).__name__}: {error}") from error


def command(kind: str, seed: int, count: int) -> str:
    return f'TURBOSQS_SEED={seed} make fuzz ARGS="--only {kind} --count {count}"'
