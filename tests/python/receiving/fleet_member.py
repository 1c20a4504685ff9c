"""One process of a fleet: a threads' consumer and an asyncio one on the same queue, and a journal of all they do.

``python fleet_member.py OPTIONS``, which are JSON: see ``test_fleet.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import turbosqs
from turbosqs import aio
from turbosqs.consuming.workers import _lost

#: How long a message takes that is not held, in seconds.
QUICK = 0.02

OPTIONS = json.loads(sys.argv[1])
JOURNAL = os.open(OPTIONS["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
RELEASE = Path(OPTIONS["release"])
HELD = frozenset(OPTIONS["held"])


def note(kind: str, who: str, message: Any) -> None:
    """A line, written at once, so that a killed process has told."""
    times = message["Attributes"]["ApproximateReceiveCount"]
    os.write(JOURNAL, f"{kind} {who} {message['Body']} {times} {time.monotonic_ns()}\n".encode())


def goes_on(message: Any) -> bool:
    """Whether a message that is held is to be held on."""
    return not (turbosqs.lease_lost(message) or RELEASE.exists())


def end(who: str, message: Any) -> None:
    note("left" if turbosqs.lease_lost(message) else "end", who, message)


def handle(message: Any) -> None:
    note("begin", "threads", message)
    time.sleep(QUICK)
    while message["Body"] in HELD and goes_on(message):
        time.sleep(0.05)
    end("threads", message)


async def handle_async(message: Any) -> None:
    note("begin", "asyncio", message)
    await asyncio.sleep(QUICK)
    while message["Body"] in HELD and goes_on(message):
        await asyncio.sleep(0.05)
    end("asyncio", message)


def options(who: str, handler: Any) -> dict[str, Any]:
    return {
        "QueueUrl": OPTIONS["queue"],
        "handler": handler,
        "concurrency": OPTIONS["concurrency"],
        "VisibilityTimeout": OPTIONS["visibility"],
        "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        "on_lease_lost": lambda message, _: note("lost", who, message),
        "on_delete_failed": lambda _, message: note("undeleted", who, message),
    }


async def pulse(pauses: list[float]) -> None:
    """How long this process has got no time at most."""
    before = time.monotonic()
    while True:
        await asyncio.sleep(0.05)
        now = time.monotonic()
        pauses[0] = max(pauses[0], now - before)
        before = now


async def main() -> None:
    pauses = [0.0]
    pulsing = asyncio.create_task(pulse(pauses))
    sqs = turbosqs.client("sqs", **OPTIONS["client"])
    threads = turbosqs.Consumer(sqs, **options("threads", handle))
    async with aio.client("sqs", **OPTIONS["client"]) as other:
        tasks = aio.Consumer(other, **options("asyncio", handle_async))
        threads.start()
        os.write(1, b"ready\n")
        await tasks.run()
        stopped = await asyncio.to_thread(threads.stop)
        pulsing.cancel()
        report = {
            "pause": pauses[0],
            "stopped": stopped,
            "marks": len(_lost),
            "consumers": [threads.stats(), tasks.stats()],
            "requests": [client.stats()["requests"] for client in (sqs, other)],
        }
    sqs.close()
    os.write(1, (json.dumps(report) + "\n").encode())


asyncio.run(main())
