"""turbosqs: what boto3 does (the same functions, on our client), and what only turbosqs can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benches import work_boto3
from benches.job import SETTINGS, Job


def start(job: Job) -> None:
    job.measure_start(f"import turbosqs; turbosqs.client('sqs', **{SETTINGS})")


def start_patched(job: Job) -> None:
    """What a program that has boto3 already pays for ``patch()``."""
    job.measure_start("import turbosqs; turbosqs.patch()", before="import boto3")


def first_call(job: Job) -> None:
    before = f"import turbosqs\n{work_boto3.make_client('turbosqs', job)}"
    job.measure_start(work_boto3.FIRST_CALL, before=before)


def first_call_patched(job: Job) -> None:
    before = f"import boto3, turbosqs\nturbosqs.patch()\n{work_boto3.make_client('boto3', job)}"
    job.measure_start(work_boto3.FIRST_CALL, before=before)


def another_connection(job: Job) -> None:
    before = f"import turbosqs\n{work_boto3.make_client('turbosqs', job)}\n{work_boto3.keep_busy(job)}"
    job.measure_start(work_boto3.FIRST_CALL, before=before)


def another_connection_patched(job: Job) -> None:
    client = work_boto3.make_client("boto3", job)
    before = f"import boto3, turbosqs\nturbosqs.patch()\n{client}\n{work_boto3.keep_busy(job)}"
    job.measure_start(work_boto3.FIRST_CALL, before=before)


def client(job: Job, **options: Any) -> Any:
    import turbosqs

    return turbosqs.client("sqs", endpoint_url=job.endpoint_url, **SETTINGS, **options)


def send(job: Job) -> None:
    work_boto3.one_after_another(job, client(job))


def send_by_threads(job: Job, threads: int) -> None:
    work_boto3.by_threads(job, client(job), threads)


def send_at_once(job: Job, threads: int) -> None:
    work_boto3.at_once(job, client(job), threads)


def send_tens(job: Job) -> None:
    work_boto3.ten_by_ten(job, client(job))


def send_same_tens(job: Job) -> None:
    """Without what the program itself does for a batch: making its entries."""
    work_boto3.ten_by_ten(job, client(job), job.entries())


def send_patched(job: Job) -> None:
    with patched():
        work_boto3.send(job)


def send_tens_patched(job: Job) -> None:
    with patched():
        work_boto3.send_tens(job)


@contextmanager
def patched() -> Iterator[None]:
    """boto3's own client on the core, which all of its calls must have reached."""
    import turbosqs

    with turbosqs.patched():
        yield
    only_on_core()


def only_on_core() -> None:
    """Check that no call of a patched client took botocore's path.

    Raises:
        RuntimeError: One did.
    """
    import turbosqs

    ways = turbosqs.stats()
    if set(ways) - {"fast", "traced"}:
        raise RuntimeError(f"not all calls were on the core: {ways}")


def receive_tens(job: Job) -> None:
    work_boto3.receive_by_hand(job, client(job))


def send_with_and_without(job: Job) -> None:
    """A lone caller with batching and without, in turn: whatever else the machine does meets both."""
    turn = 10
    clients = client(job), client(job, batching=False)

    def some(sqs: Any, call: Any) -> None:
        for _ in range(turn):
            call(lambda: sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body))

    for sqs in clients:
        some(sqs, lambda function: function())
    with (
        job.latencies("latency") as with_batching,
        job.latencies("latency without batching") as without,
        job.measured(),
    ):
        for _ in range(job.messages // (2 * turn)):
            some(clients[0], with_batching)
            some(clients[1], without)


def send_by_batch_writer(job: Job) -> None:
    sqs = client(job)

    def some(count: int) -> None:
        with sqs.batch_writer(QueueUrl=job.queue_url) as batch:
            for _ in range(count):
                batch.send_message(MessageBody=job.body)

    some(job.warm)
    with job.measured():
        some(job.messages)


def poll(job: Job) -> None:
    sqs = client(job)

    def some(count: int) -> None:
        with sqs.batch_writer(QueueUrl=job.queue_url) as batch:
            for message in sqs.poll_messages(QueueUrl=job.queue_url, max_messages=count):
                batch.delete_message(ReceiptHandle=message["ReceiptHandle"])

    some(job.warm)
    with job.measured():
        some(job.messages)


def consume(job: Job, concurrency: int) -> None:
    import turbosqs

    def handler(message: Any) -> None:
        """What a handler does is no part of what it costs to call it."""

    consumer = turbosqs.Consumer(
        client(job), QueueUrl=job.queue_url, handler=handler, concurrency=concurrency, max_messages=job.messages
    )
    with job.measured():
        consumer.run()
