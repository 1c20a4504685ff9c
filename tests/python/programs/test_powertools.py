"""AWS Lambda Powertools' batch processing, in a consumer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import botocore
import pytest
import turbosqs
from aws_lambda_powertools.shared import user_agent
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    async_process_partial_response,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from support.libraries import KEYS
from support.waiting import until, until_awaiting
from turbosqs import aio
from turbosqs.local import Server

# It puts a handler into every session of botocore's that is made from now on: other tests would have one who listens.
botocore.unregister_initializer(user_agent._initializer_botocore_session)

#: What fails at its first attempt.
UNLUCKY = {"3", "7"}


@pytest.fixture
def sqs(server: Server) -> Any:
    return turbosqs.client("sqs", endpoint_url=server.endpoint_url, region_name="us-east-1", **KEYS)


class Handled:
    """What a record handler was given, and how often."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.done: list[str] = []

    def record(self, record: SQSRecord) -> None:
        assert record.queue_url.endswith("/000000000000/" + record.event_source_arn.rpartition(":")[2])
        assert record.message_attributes["kind"].string_value == "test"  # type: ignore[union-attr]
        assert int(record.attributes.approximate_receive_count) >= 1
        self.seen[record.body] += 1
        if self.seen[record.body] == 1 and record.body in UNLUCKY:
            raise ValueError(record.body)
        self.done.append(record.body)


def send(sqs: Any, url: str) -> None:
    for number in range(10):
        more = {"MessageGroupId": "g", "MessageDeduplicationId": str(number)} if url.endswith(".fifo") else {}
        attributes = {"kind": {"DataType": "String", "StringValue": "test"}}
        sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageAttributes=attributes, **more)


@pytest.mark.parametrize("fifo", [False, True])
def test_partial_failures(fifo: bool, server: Server, sqs: Any) -> None:
    """Those that fail are retried, the others deleted; a FIFO processor stops at the first, and the order holds."""
    url = server.create_queue("q.fifo" if fifo else "q")
    send(sqs, url)
    handled = Handled()
    processor = SqsFifoPartialProcessor() if fifo else BatchProcessor(event_type=EventType.SQS)

    def handler(event: Any, context: Any) -> Any:
        arguments: Any = {"event": event, "context": context, "record_handler": handled.record, "processor": processor}
        return process_partial_response(**arguments)

    # A batch that fails as a whole is an error of powertools'.
    options: dict[str, Any] = {"retry_delay": 0, "on_error": lambda *_: None, "concurrency": 1}
    with turbosqs.Consumer(sqs, QueueUrl=url, lambda_handler=handler, **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 10)
    assert sorted(handled.done) == [str(number) for number in range(10)]
    if fifo:
        assert handled.done == sorted(handled.done)
    assert {body for body, times in handled.seen.items() if times > 1} == UNLUCKY


def test_partial_failures_of_coroutines(server: Server, sqs: Any) -> None:
    url = server.create_queue("q")
    send(sqs, url)
    handled = Handled()
    processor = AsyncBatchProcessor(event_type=EventType.SQS)

    async def record(record: SQSRecord) -> None:
        await asyncio.sleep(0)
        handled.record(record)

    def handler(event: Any, context: Any) -> Any:
        # It runs an event loop itself, as a Lambda function has none: so in threads.
        arguments: Any = {"event": event, "context": context, "record_handler": record, "processor": processor}
        return async_process_partial_response(**arguments)

    options: dict[str, Any] = {"retry_delay": 0, "on_error": lambda *_: None, "concurrency": 1}
    with turbosqs.Consumer(sqs, QueueUrl=url, lambda_handler=handler, **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 10)
    assert sorted(handled.done) == [str(number) for number in range(10)]


def test_with_an_event_loop(server: Server, sqs: Any) -> None:
    """A plain function of powertools' in ``aio.Consumer``."""
    url = server.create_queue("q")
    send(sqs, url)
    handled = Handled()
    processor = BatchProcessor(event_type=EventType.SQS)

    def handler(event: Any, context: Any) -> Any:
        arguments: Any = {"event": event, "context": context, "record_handler": handled.record, "processor": processor}
        return process_partial_response(**arguments)

    async def work() -> None:
        mine = aio.client("sqs", endpoint_url=server.endpoint_url, region_name="us-east-1", **KEYS)
        options: dict[str, Any] = {"retry_delay": 0, "on_error": lambda *_: None, "concurrency": 1}
        async with aio.Consumer(mine, QueueUrl=url, lambda_handler=handler, **options) as consuming:
            await until_awaiting(lambda: consuming.stats()["deleted"] == 10)

    asyncio.run(work())
    assert sorted(handled.done) == [str(number) for number in range(10)]
