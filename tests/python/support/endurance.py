"""Calls of every kind without end, and the memory that they leave behind: none.

    python tests/python/support/endurance.py --count 1000000

sends, receives, deletes and fails, from threads and from an event loop, against an embedded SQS in a process of its
own, and says what the process has held meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import turbosqs
from turbosqs import aio

SETTINGS = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
#: Messages of a round, of each of the two ways.
MESSAGES = 200
#: Calls of a round: sent, received in tens and deleted, and failed in two ways, by both.
ROUND = 2 * (MESSAGES + MESSAGES // 10 + MESSAGES + 40)
#: The part of the calls after which memory is to stand still: pools and caches are full then.
WARM_UP = 0.2


@contextmanager
def server() -> Iterator[str]:
    """The URL of an embedded SQS in a process of its own."""
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", "--queue", "sync", "--queue", "async"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def resident() -> int:
    """What the process holds in memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def in_threads(sqs: Any, pool: ThreadPoolExecutor, queue: str) -> None:
    def fail(number: int) -> None:
        with suppress(Exception):
            if number % 2:
                sqs.get_queue_url(QueueName=f"none-{number}")
            else:
                sqs.send_message(QueueUrl=queue, MessageBody=number)

    def receive(_: int) -> list[str]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [message["ReceiptHandle"] for message in found]

    list(pool.map(lambda n: sqs.send_message(QueueUrl=queue, MessageBody=f"{n}" * 40), range(MESSAGES)))
    handles = [handle for found in pool.map(receive, range(MESSAGES // 10)) for handle in found]
    list(pool.map(lambda handle: sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle), handles))
    list(pool.map(fail, range(40)))


async def in_a_loop(sqs: Any, queue: str) -> None:
    async def fail(number: int) -> None:
        with suppress(Exception):
            if number % 2:
                await sqs.get_queue_url(QueueName=f"none-{number}")
            else:
                await sqs.send_message(QueueUrl=queue, MessageBody=number)

    await asyncio.gather(*(sqs.send_message(QueueUrl=queue, MessageBody=f"{n}" * 40) for n in range(MESSAGES)))
    wanted = {"QueueUrl": queue, "MaxNumberOfMessages": 10}
    found = await asyncio.gather(*(sqs.receive_message(**wanted) for _ in range(MESSAGES // 10)))
    handles = [message["ReceiptHandle"] for reply in found for message in reply.get("Messages", [])]
    await asyncio.gather(*(sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle) for handle in handles))
    await asyncio.gather(*(fail(number) for number in range(40)))


def run(count: int, until: float = float("inf")) -> list[tuple[int, int]]:
    """So many calls, or those that fit in before ``until`` by the monotonic clock: how many, and what is held then."""
    samples = []
    loop = asyncio.new_event_loop()
    with server() as url, ThreadPoolExecutor(8) as pool, closing(loop):
        sqs, loop_client = (make.client("sqs", endpoint_url=url, **SETTINGS) for make in (turbosqs, aio))
        done = 0
        while done < count and time.monotonic() < until:
            in_threads(sqs, pool, f"{url}/000000000000/sync")
            loop.run_until_complete(in_a_loop(loop_client, f"{url}/000000000000/async"))
            done += ROUND
            samples.append((done, resident()))
        loop.run_until_complete(loop_client.close())
        sqs.close()
    return samples


def growth(samples: list[tuple[int, int]]) -> int:
    """How much more memory is held at the end than when all was warm, in bytes: the most late, less the most early."""
    warm = [held for _, held in samples[: max(1, int(len(samples) * WARM_UP))]]
    return max(held for _, held in samples[-len(warm) :]) - max(warm)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="calls")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new round after so long")
    options = parser.parse_args()
    began = time.monotonic()
    samples = run(options.count, began + options.seconds)
    for done, held in samples[:: max(1, len(samples) // 20)]:
        print(f"{done:>10,} calls  {held / 1e6:6.1f} MB")
    done = samples[-1][0]
    print(f"{done:,} calls in {time.monotonic() - began:.0f} s; grown by {growth(samples) / 1e6:.1f} MB since warm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
