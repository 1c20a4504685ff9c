"""aiobotocore, as programs use it."""

from __future__ import annotations

import asyncio
from typing import Any

from benches.job import SETTINGS, TEN, Job, all_succeeded, handles, run_loop, share


def start(job: Job) -> None:
    job.measure_start(f"""
import asyncio
from aiobotocore.session import get_session

async def main():
    async with get_session().create_client("sqs", **{SETTINGS}):
        pass

asyncio.run(main())
""")


def client(job: Job) -> Any:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    # Ten connections are the default, and what costs it the least CPU as long as the server answers at once.
    config = AioConfig(max_pool_connections=100 if job.delay else 10)
    return get_session().create_client("sqs", endpoint_url=job.endpoint_url, config=config, **SETTINGS)


def send(job: Job, coroutines: int, uvloop: bool) -> None:
    async def main() -> None:
        async with client(job) as sqs:
            await by_coroutines(job, sqs, coroutines)

    run_loop(main(), uvloop)


def send_tens(job: Job) -> None:
    async def main() -> None:
        async with client(job) as sqs:
            await ten_by_ten(job, sqs)

    run_loop(main())


def receive_tens(job: Job) -> None:
    async def main() -> None:
        async with client(job) as sqs:
            await receive_by_hand(job, sqs)

    run_loop(main())


async def by_coroutines(job: Job, sqs: Any, coroutines: int) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            await sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)

    await asyncio.gather(*map(some, share(job.warm, job.warm)))
    with job.measured():
        await asyncio.gather(*map(some, share(job.messages, coroutines)))


async def ten_by_ten(job: Job, sqs: Any) -> None:
    async def some(count: int) -> None:
        for _ in range(0, count, TEN):
            all_succeeded(await sqs.send_message_batch(QueueUrl=job.queue_url, Entries=job.entries()))

    await some(job.warm)
    with job.measured():
        await some(job.messages)


async def receive_by_hand(job: Job, sqs: Any) -> None:
    async def some(count: int) -> None:
        for _ in range(0, count, TEN):
            messages = (await sqs.receive_message(QueueUrl=job.queue_url, MaxNumberOfMessages=TEN))["Messages"]
            all_succeeded(await sqs.delete_message_batch(QueueUrl=job.queue_url, Entries=handles(messages)))

    await some(job.warm)
    with job.measured():
        await some(job.messages)
