"""boto3, as programs use it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benches.job import SETTINGS, TEN, Job, all_succeeded, handles, share


def start(job: Job) -> None:
    job.measure_start(f"import boto3; boto3.client('sqs', **{SETTINGS})")


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


def ten_by_ten(job: Job, sqs: Any) -> None:
    def some(count: int) -> None:
        for _ in range(0, count, TEN):
            all_succeeded(sqs.send_message_batch(QueueUrl=job.queue_url, Entries=job.entries()))

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
