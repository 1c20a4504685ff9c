"""A client of aiobotocore's for each message, on the core, and what thousands of them leave behind: nothing.

    PYTHONPATH=python:tests/python .venv/aiobotocore/bin/python -m support.short_lives --count 10000

against an embedded SQS in a process of its own. Says after each thousand what the process holds: memory, descriptors,
tasks, and whose objects have become more. A client costs aiobotocore some 36 ms to make, so this takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import urllib.request
import warnings
from collections import Counter
from pathlib import Path

import turbosqs
from aiobotocore.session import get_session

from support.endurance import SETTINGS, resident, server

#: Clients that live at a time.
TOGETHER = 100


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def objects() -> Counter[str]:
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("turbosqs_requests_total")))


async def thousand(url: str, first: int) -> int:
    """So many messages, each by a client of its own; how many of the calls were the core's."""
    session, limit = get_session(), asyncio.Semaphore(TOGETHER)

    async def send(number: int) -> int:
        async with limit, session.create_client("sqs", endpoint_url=url, **SETTINGS) as client:
            await client.send_message(QueueUrl=f"{url}/000000000000/async", MessageBody=str(number))
            return int(turbosqs.stats(client)["fast"])

    return sum(await asyncio.gather(*(send(number) for number in range(first, first + 1000))))


async def main(count: int) -> None:
    warnings.simplefilter("error")
    with server() as url:
        before = None
        for first in range(0, count, 1000):
            fast = await thousand(url, first)
            now = objects()
            others = len(asyncio.all_tasks()) - 1
            print(
                f"{first + 1000:>7,} clients  {resident() / 1e6:6.1f} MB  {descriptors()} descriptors  "
                f"{others} tasks  {fast} calls on the core  {requests(url)} requests so far",
                flush=True,
            )
            if before is not None:
                more = {name: number - before[name] for name, number in now.items() if number - before[name] >= 100}
                print(f"         more objects than after the first thousand: {json.dumps(more)}", flush=True)
            before = before or now


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="clients, in thousands")
    arguments = parser.parse_args()
    turbosqs.patch()
    sys.exit(asyncio.run(main(arguments.count)))
