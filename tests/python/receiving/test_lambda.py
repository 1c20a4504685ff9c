"""Handlers written for AWS Lambda, as they are."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS
from support.queues import consumer, counts, send
from support.waiting import until
from turbosqs import aio
from turbosqs.consuming.lambdas import LambdaHandler
from turbosqs.local import Server


def consume(sqs: Any, url: str, function: Any, **options: Any) -> None:
    settings: dict[str, Any] = {"max_messages": 1, "concurrency": 1, **options}
    turbosqs.Consumer(sqs, QueueUrl=url, lambda_handler=function, **settings).run()


def test_the_event_is_lambdas(sqs: Any, url: str) -> None:
    """Names, nesting and types as in the AWS documentation's example of an SQS event."""
    sqs.send_message(
        QueueUrl=url,
        MessageBody="hello",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "a"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
            "count": {"DataType": "Number.int", "StringValue": "7"},
        },
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
    )
    events: list[Any] = []
    consume(sqs, url, lambda event, _: events.append(event))
    [event] = events
    assert list(event) == ["Records"]
    [record] = event["Records"]
    attributes = record.pop("attributes")
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["AWSTraceHeader"] == "Root=1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(attributes)
    assert all(isinstance(value, str) for value in attributes.values())
    lists: dict[str, Any] = {"stringListValues": [], "binaryListValues": []}
    assert record.pop("messageAttributes") == {
        "text": {"stringValue": "a", **lists, "dataType": "String"},
        "bytes": {"binaryValue": base64.b64encode(b"\x00\xff").decode(), **lists, "dataType": "Binary"},
        "count": {"stringValue": "7", **lists, "dataType": "Number.int"},
    }
    assert len(record.pop("messageId")) == 36
    assert record.pop("receiptHandle")
    assert len(record.pop("md5OfMessageAttributes")) == 32
    assert record == {
        "body": "hello",
        "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
        "awsRegion": "us-east-1",
    }
    assert counts(sqs, url) == (0, 0)


def test_a_message_without_attributes(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    events: list[Any] = []
    consume(sqs, url, lambda event, _: events.append(event))
    [record] = events[0]["Records"]
    assert record["messageAttributes"] == {}
    assert "md5OfMessageAttributes" not in record


def test_the_fifo_attributes_come_too(server: Server, sqs: Any) -> None:
    url = server.create_queue("q.fifo")
    send(sqs, url, 1, groups=1)
    events: list[Any] = []
    consume(sqs, url, lambda event, _: events.append(event))
    attributes = events[0]["Records"][0]["attributes"]
    assert attributes["MessageGroupId"] == "g0"
    assert {"SequenceNumber", "MessageDeduplicationId"} <= set(attributes)


@pytest.mark.parametrize(
    ("url", "region", "arn"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1", "arn:aws:sqs:eu-west-1:123456789012:q"),
        ("http://localhost:9324/000000000000/q", "us-east-1", "arn:aws:sqs:us-east-1:000000000000:q"),
        ("http://localhost:4566/queue/us-east-1/000000000000/q", "us-east-1", "arn:aws:sqs:us-east-1:000000000000:q"),
    ],
)
def test_the_source_is_the_queues(url: str, region: str, arn: str, sqs: Any) -> None:
    message: Any = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "5"}
    [record] = LambdaHandler(print, sqs._core, url).event([message])["Records"]
    assert (record["awsRegion"], record["eventSourceARN"]) == (region, arn)


def test_the_context(sqs: Any, url: str) -> None:
    send(sqs, url, 2)
    contexts: list[Any] = []

    def my_handler(_: Any, context: Any) -> None:
        contexts.append(context)
        assert 0 < context.get_remaining_time_in_millis() <= 900_000

    consume(sqs, url, my_handler, batch_size=1, max_messages=2)
    first, second = contexts
    assert first.aws_request_id != second.aws_request_id
    assert first.function_name == "my_handler"
    assert first.function_version == "$LATEST"
    assert first.invoked_function_arn == "arn:aws:lambda:us-east-1:000000000000:function:my_handler"
    assert first.log_group_name == "/aws/lambda/my_handler"
    assert first.memory_limit_in_mb == 0
    assert (first.identity, first.client_context) == (None, None)


def test_the_failures_that_it_names_are_retried(sqs: Any, url: str) -> None:
    send(sqs, url, 30)
    seen: Counter[str] = Counter()
    sizes: list[int] = []

    def handle(event: Any, _: Any) -> Any:
        sizes.append(len(event["Records"]))
        failures = []
        for record in event["Records"]:
            seen[record["body"]] += 1
            if seen[record["body"]] == 1 and record["body"].endswith("7"):
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}

    options: dict[str, Any] = {"lambda_handler": handle, "retry_delay": 0, "on_error": lambda *_: None}
    with turbosqs.Consumer(sqs, QueueUrl=url, batch_window=0.2, **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 30)
    assert seen == {str(number): 1 + (number % 10 == 7) for number in range(30)}
    assert max(sizes) == 10, "Lambda's own default"


@pytest.mark.parametrize(
    ("result", "left"),
    [
        (None, 0),
        ({"statusCode": 200}, 0),
        ("done", 0),
        ({"batchItemFailures": None}, 0),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 1),
        ({"batchItemFailures": [{"id": "x"}]}, 1),
        ({"batchItemFailures": "x"}, 1),
        (ValueError(), 1),
    ],
    ids=str,
)
def test_what_it_returns(result: Any, left: int, sqs: Any, url: str) -> None:
    """As Lambda takes it: what names no failures is a success, what names them in no such form fails the batch."""
    send(sqs, url, 1)

    def handle(*_: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    consume(sqs, url, handle, retry_delay=0, on_error=lambda *_: None)
    assert counts(sqs, url) == (left, 0)


def test_what_is_asked_for_stays(sqs: Any, url: str) -> None:
    """Attributes that the caller has chosen are not widened."""
    sqs.send_message(
        QueueUrl=url,
        MessageBody="hello",
        MessageAttributes={name: {"DataType": "String", "StringValue": "a"} for name in ("x", "y")},
    )
    events: list[Any] = []
    consume(
        sqs,
        url,
        lambda event, _: events.append(event),
        MessageAttributeNames=["x"],
        AttributeNames=["SentTimestamp"],
    )
    [record] = events[0]["Records"]
    assert set(record["messageAttributes"]) == {"x"}
    assert set(record["attributes"]) == {"SentTimestamp"}


def test_a_coroutine_function(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 3)
    bodies: list[str] = []

    async def handle(event: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        assert context.function_name == "handle"
        bodies.extend(record["body"] for record in event["Records"])
        return {"batchItemFailures": []}

    mine = aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)
    asyncio.run(aio.Consumer(mine, QueueUrl=url, lambda_handler=handle, max_messages=3).run())
    assert sorted(bodies) == ["0", "1", "2"]
    assert counts(sqs, url) == (0, 0)


def test_a_small_buffer(sqs: Any, url: str) -> None:
    """The batch of ten is a default, not a demand."""
    send(sqs, url, 2)
    consume(sqs, url, lambda *_: None, max_buffered=2, max_messages=2)
    with pytest.raises(ValueError, match="max_buffered"):
        consumer(sqs, url, print, batch_size=3, max_buffered=2)
