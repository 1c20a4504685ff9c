"""Waiting for what other threads, processes or tasks will bring about, and no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

#: Far more than anything here takes: whoever waits so long waits for nothing.
LONGEST = 15.0
#: Between two looks.
PAUSE = 0.002


def until(condition: Callable[[], Any], timeout: float = LONGEST) -> None:
    """Look again and again until the condition holds; fail if it does not in so many seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(PAUSE)


async def until_awaiting(condition: Callable[[], Any], timeout: float = LONGEST) -> None:
    """The same on an event loop, which goes on with its other tasks."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(PAUSE)
