"""Clocks that tests replace do not stop a consumer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from support.libraries import KEYS
from support.queues import consumer, counts, send
from turbosqs import aio
from turbosqs.local import Server

freezegun = pytest.importorskip("freezegun")


def stop_under_a_frozen_clock(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    entered, release = threading.Event(), threading.Event()

    def handle(_: Any) -> None:
        entered.set()
        release.wait(30)

    consuming = consumer(sqs, url, handle)
    consuming.start()
    try:
        assert entered.wait(10)
        assert not consuming.stop(0.2)
        assert counts(sqs, url) == (1, 0)
    finally:
        release.set()


def test_freezegun(sqs: Any, url: str) -> None:
    with freezegun.freeze_time("2026-01-01"):
        stop_under_a_frozen_clock(sqs, url)


def test_a_mocked_clock(sqs: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("monotonic", "time", "perf_counter"):
        monkeypatch.setattr(f"time.{name}", lambda: 1.0)
    stop_under_a_frozen_clock(sqs, url)


def test_an_event_loop_whose_clock_stands_still(server: Server, sqs: Any, url: str) -> None:
    """asyncio's own timeouts are out of order then; stopping is not, whether handlers end or refuse to."""
    send(sqs, url, 1)

    async def work() -> None:
        entered = asyncio.Event()
        refusals = 0

        async def handle(_: Any) -> None:
            nonlocal refusals
            entered.set()
            while refusals < 2:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    refusals += 1

        mine = aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)
        consuming = aio.Consumer(mine, QueueUrl=url, handler=handle, concurrency=1)
        await consuming.start()
        await entered.wait()
        assert not await consuming.stop(0.2)
        assert refusals == 1
        [task] = consuming._run.tasks
        task.cancel()
        await asyncio.wait([task])

    with freezegun.freeze_time("2026-01-01"):
        asyncio.run(work())
    assert counts(sqs, url) == (1, 0)
