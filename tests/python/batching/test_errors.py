"""A call that shared a request fails exactly as a call of its own would have failed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import ClientError
from support.libraries import BOTO3
from support.observe import Outcome, Raised, Returned, describe, outcome, same
from support.relay import Relay
from support.together import connect, drain, patient, together
from turbosqs.local import Server
from turbosqs.sqs import SQS

MIB = 1 << 20


class Queue:
    """A queue with a message in flight and one that is gone; and who asks it."""

    def __init__(self, client: Any, boto: Any, url: str) -> None:
        self.client, self.url = client, url
        boto.send_message(QueueUrl=url, MessageBody="gone")
        boto.send_message(QueueUrl=url, MessageBody="in flight")
        received = [boto.receive_message(QueueUrl=url)["Messages"][0] for _ in range(2)]
        handles = {message["Body"]: message["ReceiptHandle"] for message in received}
        boto.delete_message(QueueUrl=url, ReceiptHandle=handles["gone"])
        self.gone, self.good = handles["gone"], handles["in flight"]

    def asked_by(self, client: Any) -> Queue:
        """The same queue, asked by another client."""
        other = copy.copy(self)
        other.client = client
        return other

    def send(self, **members: Any) -> Any:
        return self.client.send_message(QueueUrl=self.url, **members)

    def delete(self, handle: str) -> Any:
        return self.client.delete_message(QueueUrl=self.url, ReceiptHandle=handle)

    def visibility(self, handle: str, timeout: int) -> Any:
        return self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=timeout)


Act = Callable[[Queue], Any]

SENDS: dict[str, Act] = {
    "control character": lambda queue: queue.send(MessageBody="a\x00b"),
    "noncharacter": lambda queue: queue.send(MessageBody="a\uffffb"),
    "half a surrogate pair": lambda queue: queue.send(MessageBody="a\ud800b"),
    "empty body": lambda queue: queue.send(MessageBody=""),
    "delay out of range": lambda queue: queue.send(MessageBody="x", DelaySeconds=901),
    "delay below zero": lambda queue: queue.send(MessageBody="x", DelaySeconds=-1),
    "delay of no size": lambda queue: queue.send(MessageBody="x", DelaySeconds=10**30),
    "no value of an attribute": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={"a": {"DataType": "String"}}
    ),
    "empty value of an attribute": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={"a": {"DataType": "String", "StringValue": ""}}
    ),
    "unknown type of an attribute": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={"a": {"DataType": "Text", "StringValue": "x"}}
    ),
    "no number": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={"a": {"DataType": "Number", "StringValue": "x"}}
    ),
    "name of an attribute": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={"a b": {"DataType": "String", "StringValue": "x"}}
    ),
    "eleven attributes": lambda queue: queue.send(
        MessageBody="x", MessageAttributes={f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    ),
    "system attribute": lambda queue: queue.send(
        MessageBody="x", MessageSystemAttributes={"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}}
    ),
    "deduplication on a standard queue": lambda queue: queue.send(MessageBody="x", MessageDeduplicationId="d"),
    "body over 1 MiB": lambda queue: queue.send(MessageBody="x" * (MIB + 1)),
    "attributes over 1 MiB": lambda queue: queue.send(
        MessageBody="x" * (MIB - 10), MessageAttributes={"abc": {"DataType": "String", "StringValue": "xx"}}
    ),
}
RECEIPTS: dict[str, Act] = {
    "delete by nonsense": lambda queue: queue.delete("nonsense"),
    "delete by nothing": lambda queue: queue.delete(""),
    "visibility by nonsense": lambda queue: queue.visibility("nonsense", 5),
    "visibility out of range": lambda queue: queue.visibility(queue.good, 43201),
    "visibility below zero": lambda queue: queue.visibility(queue.good, -1),
    "visibility of a message that is gone": lambda queue: queue.visibility(queue.gone, 5),
}


def compare(expected: Outcome, result: Outcome) -> None:
    """Fail unless an error is boto3's, but for the request's id and the headers, which have it as well."""
    for each in (expected, result):
        assert isinstance(each, Raised), describe(each)
        metadata = each.error.response["ResponseMetadata"]  # type: ignore[attr-defined]
        assert metadata.pop("HTTPHeaders")["x-amzn-requestid"] == metadata.pop("RequestId")
    same(expected, result)


@pytest.mark.parametrize("name", [*SENDS, *RECEIPTS])
def test_an_error_beside_good_neighbours(name: str, sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    act = {**SENDS, **RECEIPTS}[name]
    ours = Queue(sqs, boto, server.create_queue("q"))
    neighbours: dict[str, Act] = {
        "delete": lambda queue: queue.delete(queue.gone),
        "visibil": lambda queue: queue.visibility(queue.good, 60),
    }
    neighbour = neighbours.get(name[:6], neighbours.get(name[:7], lambda queue: queue.send(MessageBody="neighbour")))
    calls = [partial(neighbour, ours), partial(act, ours), partial(neighbour, ours)]
    left, middle, right = together(relay, sqs, calls[0], calls)
    assert isinstance(left, Returned), describe(left)
    assert isinstance(right, Returned), describe(right)
    compare(outcome(act, ours.asked_by(boto)), middle)
    batches = [passed for passed in relay.passed if passed.action.endswith("Batch")]
    if batches:
        # Three together, then the one at fault alone; if the batch was refused as a whole, each alone.
        [batch] = batches
        assert len(batch.entries) == 3
        assert len(relay.passed) == 1 + 1 + (1 if batch.status == 200 else 3)
    else:
        assert "over 1 MiB" in name


def test_longer_than_the_queue_allows(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """The queue's own MaximumMessageSize is below what fits a request."""
    ours, theirs = (server.create_queue(name, {"MaximumMessageSize": "1024"}) for name in ("ours", "theirs"))
    send = partial(sqs.send_message, QueueUrl=ours)
    bodies = ["x" * 1024, "x" * 1025, "y" * 1024, "é" * 513]
    results = together(relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=body) for body in bodies])
    for body, result in zip(bodies, results, strict=True):
        expected = outcome(boto.send_message, QueueUrl=theirs, MessageBody=body)
        assert isinstance(expected, Returned) is isinstance(result, Returned)
        if isinstance(expected, Raised):
            compare(expected, result)
    assert sorted(message["Body"] for message in drain(boto, ours)) == sorted(["o", bodies[0], bodies[2]])


def test_fifo_without_a_group(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    ours, theirs = server.create_queue("ours.fifo"), server.create_queue("theirs.fifo")
    send = partial(sqs.send_message, QueueUrl=ours, MessageBody="x")
    bad: list[dict[str, Any]] = [
        {"MessageDeduplicationId": "none"},
        {"MessageGroupId": "no deduplication"},
        {"MessageGroupId": "g" * 129, "MessageDeduplicationId": "long group"},
        {"MessageGroupId": "", "MessageDeduplicationId": "empty group"},
        {"MessageGroupId": "delay", "MessageDeduplicationId": "delay", "DelaySeconds": 3},
    ]
    good = {"MessageGroupId": "g", "MessageDeduplicationId": "good"}
    results = together(
        relay,
        sqs,
        partial(send, MessageGroupId="o", MessageDeduplicationId="o"),
        [partial(send, **members) for members in [*bad, good]],
    )
    for members, result in zip(bad, results[:-1], strict=True):
        compare(outcome(boto.send_message, QueueUrl=theirs, MessageBody="x", **members), result)
    assert isinstance(results[-1], Returned)


@pytest.mark.parametrize("method", ["send_message", "delete_message", "change_message_visibility"])
def test_no_such_queue_is_told_to_each(method: str, sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """A refusal that concerns all is passed on and not asked for again, entry by entry."""
    arguments: dict[str, dict[str, Any]] = {
        "send_message": {"MessageBody": "x"},
        "delete_message": {"ReceiptHandle": "x"},
        "change_message_visibility": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
    }
    url = server.create_queue("q").replace("/q", "/none")
    call = partial(getattr(sqs, method), QueueUrl=url, **arguments[method])
    results = together(relay, sqs, call, [call] * 4)
    assert len(relay.passed) == 2
    for result in results:
        expected = outcome(getattr(boto, method), QueueUrl=url, **arguments[method])
        same(expected, result)
        assert isinstance(result, Raised)
        assert isinstance(result.error, sqs.exceptions.QueueDoesNotExist)
        assert isinstance(result.error, ClientError)
    assert len({id(result.error) for result in results}) == 4  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["throttle", "server_error"])
def test_a_fault_of_the_service_is_told_to_each(kind: str, relay: Relay, boto: Any, server: Server) -> None:
    """When its retries are spent, a request that failed for no entry's reason is not taken apart: that would make ten
    requests of one while the service asks for fewer."""
    url = server.create_queue("q")
    sqs = connect(
        relay.url,
        batching=turbosqs.Batching(linger=60),
        config=turbosqs.Config(retries={"total_max_attempts": 1}),
    )
    once = connect(server.endpoint_url, batching=False, config=turbosqs.Config(retries={"total_max_attempts": 1}))
    server.faults.add(kind, actions=["SendMessageBatch", "SendMessage"])  # type: ignore[arg-type]
    send = partial(sqs.send_message, QueueUrl=url, MessageBody="x")
    results = together(relay, sqs, send, [send] * 5)
    expected = outcome(once.send_message, QueueUrl=url, MessageBody="x")
    assert isinstance(expected, Raised)
    for result in results:
        same(expected, result)
    assert [passed.action for passed in relay.passed] == ["SendMessage", "SendMessageBatch"]
    server.faults.clear()
    assert drain(boto, url) == []
    sqs.close()
    once.close()


def test_errors_are_separate_objects(sqs: SQS, relay: Relay, server: Server) -> None:
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody="\0")] * 3)
    errors = [result.error for result in results if isinstance(result, Raised)]
    assert len(errors) == 3
    errors[0].response["Error"]["Code"] = "mine"  # type: ignore[attr-defined]
    errors[0].response["ResponseMetadata"]["HTTPHeaders"].clear()  # type: ignore[attr-defined]
    for error in errors[1:]:
        assert error.response["Error"]["Code"] == "InvalidMessageContents"  # type: ignore[attr-defined]
        assert error.response["ResponseMetadata"]["HTTPHeaders"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("retries", [{"total_max_attempts": 1}, {"max_attempts": 0}, {"mode": "standard"}], ids=str)
def test_what_is_said_of_retries(retries: dict[str, Any], relay: Relay, server: Server) -> None:
    """boto3 adds to the text, and to the metadata, when no attempt was left, even where none would have helped."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(linger=60), config=turbosqs.Config(retries=retries))
    boto = BOTO3.client(server.endpoint_url, config=BOTO3.config(retries=retries))
    send = partial(sqs.send_message, QueueUrl=url)
    calls = [partial(send, MessageBody="x"), partial(send, MessageBody="\0")]
    _, result = together(relay, sqs, partial(send, MessageBody="o"), calls)
    compare(outcome(boto.send_message, QueueUrl=url, MessageBody="\0"), result)
    boto.close()
    sqs.close()


def test_what_is_said_when_retries_are_spent(relay: Relay, server: Server) -> None:
    """The service's own fault with an entry, twice: boto3 says of a request how many retries there were."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=2, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[0, 1, 2])
    send = partial(sqs.send_message, QueueUrl=url, MessageBody="x")
    results = together(relay, sqs, send, [send] * 3)
    for result in results:
        assert isinstance(result, Raised)
        assert "(reached max retries: 1)" in str(result.error)
        metadata = result.error.response["ResponseMetadata"]  # type: ignore[attr-defined]
        assert metadata["MaxAttemptsReached"] is True
        assert metadata["RetryAttempts"] == 1
    sqs.close()
