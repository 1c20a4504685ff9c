"""``Backoff``: a retry delay that grows."""

from __future__ import annotations

import random

from ..polling import number
from ..types import Message

#: The longest visibility timeout, in seconds.
LONGEST = 43_200


class Backoff:
    """A retry delay that grows with each receive of a message: ``first``, ``first * factor``, ... up to ``limit``.

    Its messages come with ``ApproximateReceiveCount``. A part of each delay is left to chance, so that messages that
    failed together do not come back together.
    """

    def __init__(self, first: float = 1.0, *, factor: float = 2.0, limit: float = 900.0, jitter: float = 0.5) -> None:
        """Check the figures and keep them.

        Args:
            first: the delay after the first receive, in seconds, up to 43,200.
            factor: by how much each delay is longer than the one before; 1 or more.
            limit: the longest delay, in seconds, up to 43,200.
            jitter: the part of a delay that is left to chance, from 0 to 1: a delay of 8 seconds with jitter 0.5
                takes from 4 to 8.

        Raises:
            TypeError: an argument is no number.
            ValueError: a number out of range.
        """
        number("first", first, most=LONGEST)
        number("factor", factor)
        number("limit", limit, most=LONGEST)
        number("jitter", jitter, most=1.0)
        if factor < 1:
            raise ValueError(f"factor must be 1 or more, not {factor!r}")
        self.first, self.factor, self.limit, self.jitter = first, factor, limit, jitter

    def __call__(self, message: Message, error: BaseException) -> float:  # noqa: ARG002
        """The delay in seconds for a message that has failed.

        Args:
            message: with its ``ApproximateReceiveCount``.
            error: what its handler raised.
        """
        receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
        try:
            delay = min(self.limit, self.first * self.factor ** max(receives - 1, 0))
        except OverflowError:
            delay = self.limit
        return delay * (1 - self.jitter * random.random())

    def __repr__(self) -> str:
        return f"Backoff({self.first!r}, factor={self.factor!r}, limit={self.limit!r}, jitter={self.jitter!r})"
