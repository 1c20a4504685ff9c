"""What turbosqs does when there is much of something: queues, messages, an outage."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from benches.job import Job, cpu, share
from benches.work_turbosqs import client
from benches.work_turbosqs_aio import with_client

#: Messages in a queue of the long run before they are purged: what the server holds is not what is measured.
PURGED = 1_000_000


def send_to_queues(job: Job, queues: int, coroutines: int) -> None:
    """Coroutines that send to queues in turn; each queue must hold its part afterwards."""

    async def work(sqs: Any) -> None:
        urls = [(await sqs.create_queue(QueueName=f"scale-{number}"))["QueueUrl"] for number in range(queues)]

        async def some(first: int, count: int) -> None:
            for number in range(first, first + count):
                await sqs.send_message(QueueUrl=urls[number % queues], MessageBody=job.body)

        with job.measured():
            await asyncio.gather(
                *(some(number * 7, count) for number, count in enumerate(share(job.messages, coroutines)))
            )
        held = 0
        for url in urls:
            name = "ApproximateNumberOfMessages"
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
            held += int(answer["Attributes"][name])
        if held != job.messages:
            raise RuntimeError(f"the queues hold {held} messages instead of {job.messages}")

    with_client(job, work)


def send_through_outage(job: Job) -> None:
    """A program that sends again what it is told was not accepted, until all is."""
    from turbosqs.exceptions import BatchWriterError

    sqs = client(job)
    left, again = job.messages, deque[dict[str, Any]]()
    told, longest, rests = 0, 0.0, 0
    with job.measured():
        while left or again:
            try:
                with sqs.batch_writer(QueueUrl=job.queue_url) as batch:
                    while left or again:
                        if again:
                            message = again.popleft()
                        else:
                            left -= 1
                            message = {"MessageBody": job.body}
                        began = time.perf_counter()
                        batch.send_message(**message)
                        longest = max(longest, time.perf_counter() - began)
            except BatchWriterError as error:
                told += len(error.failures)
                again.extend({"MessageBody": failure.params["MessageBody"]} for failure in error.failures)
                rests += 1
                time.sleep(0.5)
    job.figures |= {"told": told, "longest": longest, "rests": rests}


def send_long(job: Job, steps: int) -> None:
    """``batch_writer``, for so many messages that whatever accumulates shows: CPU and memory for each part of them."""
    sqs = client(job)

    def purge(sent: int) -> None:
        name = "ApproximateNumberOfMessages"
        answer = sqs.get_queue_attributes(QueueUrl=job.queue_url, AttributeNames=[name])
        if int(answer["Attributes"][name]) != sent:
            raise RuntimeError(f"the queue holds {answer['Attributes'][name]} messages instead of {sent}")
        sqs.purge_queue(QueueUrl=job.queue_url)

    def some(count: int) -> None:
        with sqs.batch_writer(QueueUrl=job.queue_url) as batch:
            for _ in range(count):
                batch.send_message(MessageBody=job.body)

    some(job.warm)
    held, marks = job.warm, []
    with job.measured():
        for count in share(job.messages, steps):
            before = cpu()
            some(count)
            marks.append(((cpu() - before) / count * 1e6, resident()))
            held += count
            if held > PURGED:
                purge(held)
                held = 0
    purge(held)
    for number, (used, memory) in enumerate(marks):
        job.figures |= {f"cpu {number}": used, f"memory {number}": memory}


def resident() -> float:
    """Resident megabytes."""
    with open("/proc/self/status") as status:  # noqa: PTH123 (it is read in a loop)
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))
