"""boto3, as programs use it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benches.job import SETTINGS, TEN, Job, all_succeeded, handles, share


def start(job: Job) -> None:
    job.measure_start(f"import boto3; boto3.client('sqs', **{SETTINGS})")


def first_call(job: Job) -> None:
    job.measure_start(FIRST_CALL, before=f"import boto3\n{make_client('boto3', job)}")


def another_connection(job: Job) -> None:
    job.measure_start(FIRST_CALL, before=f"import boto3\n{make_client('boto3', job)}\n{keep_busy(job)}")


#: A call that shares no request with another.
FIRST_CALL = "sqs.list_queues()"


def make_client(library: str, job: Job) -> str:
    """The line that makes a client."""
    return f"sqs = {library}.client('sqs', endpoint_url={job.endpoint_url!r}, **{SETTINGS})"


def keep_busy(job: Job) -> str:
    """Lines after which the client has a connection, which waits for messages that do not come."""
    return f"""
import threading
sqs.list_queues()
poll = lambda: sqs.receive_message(QueueUrl={job.queue_url!r}, WaitTimeSeconds=2)
threading.Thread(target=poll, daemon=True).start()
time.sleep(0.3)
"""


def client(job: Job, connections: int = 10) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=connections)
    return boto3.client("sqs", endpoint_url=job.endpoint_url, config=config, **SETTINGS)


def send(job: Job) -> None:
    one_after_another(job, client(job))


def send_by_threads(job: Job, threads: int) -> None:
    # With the ten connections that are the default it would open new ones all the time.
    by_threads(job, client(job, connections=threads), threads)


def send_at_once(job: Job, threads: int) -> None:
    at_once(job, client(job, connections=threads), threads)


def send_tens(job: Job) -> None:
    ten_by_ten(job, client(job))


def receive_tens(job: Job) -> None:
    receive_by_hand(job, client(job))


def one_after_another(job: Job, sqs: Any) -> None:
    for _ in range(job.warm):
        sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)
    with job.latencies("latency") as call, job.measured():
        for _ in range(job.messages):
            call(lambda: sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body))


def by_threads(job: Job, sqs: Any, threads: int) -> None:
    def some(count: int) -> None:
        for _ in range(count):
            sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, share(job.warm, threads)))
        with job.measured():
            list(pool.map(some, share(job.messages, threads)))


def at_once(job: Job, sqs: Any, threads: int) -> None:
    """A call of each thread, all of them let go together."""
    together = threading.Barrier(threads + 1)

    def one(call: Callable[[Callable[[], object]], None]) -> None:
        together.wait()
        call(lambda: sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body))

    with job.latencies("latency") as call:
        callers = [threading.Thread(target=one, args=[call]) for _ in range(threads)]
        for caller in callers:
            caller.start()
        with job.measured():
            together.wait()
            for caller in callers:
                caller.join()


def ten_by_ten(job: Job, sqs: Any, entries: list[dict[str, str]] | None = None) -> None:
    """Batches of ten; their entries are made for each, unless they are given."""

    def some(count: int) -> None:
        for _ in range(0, count, TEN):
            all_succeeded(sqs.send_message_batch(QueueUrl=job.queue_url, Entries=entries or job.entries()))

    some(job.warm)
    with job.measured():
        some(job.messages)


def receive_by_hand(job: Job, sqs: Any) -> None:
    def some(count: int) -> None:
        for _ in range(0, count, TEN):
            messages = sqs.receive_message(QueueUrl=job.queue_url, MaxNumberOfMessages=TEN)["Messages"]
            all_succeeded(sqs.delete_message_batch(QueueUrl=job.queue_url, Entries=handles(messages)))

    some(job.warm)
    with job.measured():
        some(job.messages)
