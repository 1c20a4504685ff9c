"""turbosqs.aio: what aiobotocore does (the same functions, on our client), and what only turbosqs can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from benches import work_aiobotocore
from benches.job import SETTINGS, Job, run_loop
from benches.work_turbosqs import patched


def with_client(job: Job, work: Callable[[Any], Awaitable[None]], uvloop: bool = False) -> None:
    import turbosqs.aio

    async def main() -> None:
        async with turbosqs.aio.client("sqs", endpoint_url=job.endpoint_url, **SETTINGS) as sqs:
            await work(sqs)

    run_loop(main(), uvloop)


def send(job: Job, coroutines: int, uvloop: bool) -> None:
    with_client(job, lambda sqs: work_aiobotocore.by_coroutines(job, sqs, coroutines), uvloop)


def send_patched(job: Job, coroutines: int, uvloop: bool) -> None:
    with patched():
        work_aiobotocore.send(job, coroutines, uvloop)


def receive_tens_patched(job: Job) -> None:
    with patched():
        work_aiobotocore.receive_tens(job)


def send_tens(job: Job) -> None:
    with_client(job, lambda sqs: work_aiobotocore.ten_by_ten(job, sqs))


def poll(job: Job) -> None:
    async def work(sqs: Any) -> None:
        async def some(count: int) -> None:
            async with sqs.batch_writer(QueueUrl=job.queue_url) as batch:
                async for message in sqs.poll_messages(QueueUrl=job.queue_url, max_messages=count):
                    await batch.delete_message(ReceiptHandle=message["ReceiptHandle"])

        await some(job.warm)
        with job.measured():
            await some(job.messages)

    with_client(job, work)


def consume(job: Job, concurrency: int) -> None:
    import turbosqs.aio

    async def handler(message: Any) -> None:
        """What a handler does is no part of what it costs to call it."""

    async def work(sqs: Any) -> None:
        consumer = turbosqs.aio.Consumer(
            sqs, QueueUrl=job.queue_url, handler=handler, concurrency=concurrency, max_messages=job.messages
        )
        with job.measured():
            await consumer.run()

    with_client(job, work)


def receive_tens(job: Job) -> None:
    with_client(job, lambda sqs: work_aiobotocore.receive_by_hand(job, sqs))
