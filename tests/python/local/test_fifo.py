"""FIFO queues of the embedded SQS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from turbosqs.local import Server

ALL = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"]}


def bodies(sqs: Any, url: str, **members: Any) -> list[str]:
    return [message["Body"] for message in sqs.receive_message(QueueUrl=url, **{**ALL, **members}).get("Messages", [])]


def test_a_group_is_locked_while_its_head_is_in_flight(sqs: Any, server: Server, fifo: str) -> None:
    for group, body in [("a", "a1"), ("b", "b1"), ("a", "a2")]:
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId=group)
    [first] = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=1)["Messages"]
    assert first["Body"] == "a1"
    assert bodies(sqs, fifo, VisibilityTimeout=1) == ["b1"]
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(sqs, fifo) == ["a2"]
    server.advance(1)
    assert bodies(sqs, fifo) == ["b1"]


def test_a_group_is_had_up_to_its_first_message_in_flight(sqs: Any, server: Server, fifo: str) -> None:
    # The documentation's text would lock the whole group; AWS-validated tests of LocalStack (PR 13386) show this.
    for body in ("x", "y", "z"):
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g")
    messages = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10, VisibilityTimeout=2)["Messages"]
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=messages[2]["ReceiptHandle"], VisibilityTimeout=10)
    server.advance(2)
    assert bodies(sqs, fifo) == ["x", "y"]


def test_a_group_that_comes_back_stands_at_the_end(sqs: Any, fifo: str) -> None:
    for group in ("a", "b"):
        sqs.send_message(QueueUrl=fifo, MessageBody=group, MessageGroupId=group)
    [message] = sqs.receive_message(QueueUrl=fifo)["Messages"]
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(sqs, fifo) == ["b", "a"]


def test_a_queues_delay_is_retroactive(sqs: Any, server: Server) -> None:
    url = server.create_queue("slow.fifo", {"DelaySeconds": "60", "ContentBasedDeduplication": "true"})
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "5"})
    server.advance(4)
    assert bodies(sqs, url) == []
    server.advance(1)
    assert bodies(sqs, url) == ["x"]


def test_a_receive_takes_as_much_of_one_group_as_it_can(sqs: Any, fifo: str) -> None:
    for i in range(6):
        sqs.send_message(QueueUrl=fifo, MessageBody=f"{'ab'[i % 2]}{i}", MessageGroupId="ab"[i % 2])
    assert bodies(sqs, fifo, MaxNumberOfMessages=4) == ["a0", "a2", "a4", "b1"]
    assert bodies(sqs, fifo) == []


def test_system_attributes_of_a_fifo_message(sqs: Any, fifo: str) -> None:
    sent = sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    [message] = sqs.receive_message(QueueUrl=fifo, AttributeNames=["All"])["Messages"]
    attributes = message["Attributes"]
    assert attributes["SequenceNumber"] == sent["SequenceNumber"]
    assert len(sent["SequenceNumber"]) == 20
    assert attributes["MessageGroupId"] == "g"
    # Content-based deduplication goes by the SHA-256 of the body.
    assert attributes["MessageDeduplicationId"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_deduplication_for_five_minutes(sqs: Any, server: Server, fifo: str) -> None:
    first = sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    again = sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="other")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    [message] = sqs.receive_message(QueueUrl=fifo)["Messages"]
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    server.advance(299)
    sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    assert bodies(sqs, fifo) == []
    server.advance(1)
    sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    assert bodies(sqs, fifo) == ["x"]


def test_deduplication_by_group_in_high_throughput(sqs: Any, server: Server) -> None:
    high = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    url = server.create_queue("fast.fifo", high)
    for group in ("a", "b", "a"):
        sqs.send_message(QueueUrl=url, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="same")
    assert bodies(sqs, url) == ["a", "b"]


def test_an_expired_handle_deletes_nothing_and_says_so(sqs: Any, server: Server, fifo: str) -> None:
    sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    [message] = sqs.receive_message(QueueUrl=fifo, VisibilityTimeout=5)["Messages"]
    server.advance(5)
    with pytest.raises(ClientError) as caught:
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"
    assert caught.value.response["Error"]["Message"].endswith("Reason: The receipt handle has expired.")
    assert bodies(sqs, fifo) == ["x"]


def test_a_receive_is_tried_again(sqs: Any, server: Server, fifo: str) -> None:
    for body in ("x", "y"):
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g")
    members = {"QueueUrl": fifo, "MaxNumberOfMessages": 10, "ReceiveRequestAttemptId": "try-1"}
    first = sqs.receive_message(**members)["Messages"]
    assert sqs.receive_message(**members)["Messages"] == first
    assert bodies(sqs, fifo) == []
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first[0]["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(**members)
    server.advance(30)
    assert bodies(sqs, fifo) == ["y"]


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({}, "MissingParameter", "The request must contain the parameter MessageGroupId."),
        (
            {"MessageGroupId": "g"},
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
            "provided explicitly",
        ),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 2},
            "InvalidParameterValue",
            "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid "
            "for this queue type.",
        ),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d d"},
            "InvalidParameterValue",
            "Value d d for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only "
            "include alphanumeric and punctuation characters. 1 to 128 in length.",
        ),
    ],
)
def test_what_a_fifo_queue_demands(sqs: Any, server: Server, members: dict[str, Any], code: str, text: str) -> None:
    url = server.create_queue("strict.fifo")
    with pytest.raises(ClientError) as caught:
        sqs.send_message(QueueUrl=url, MessageBody="x", **members)
    assert (caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]) == (code, text)


def test_queue_delay_holds_for_fifo(sqs: Any, server: Server) -> None:
    url = server.create_queue("slow.fifo", {"DelaySeconds": "5", "ContentBasedDeduplication": "true"})
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", DelaySeconds=0)
    assert bodies(sqs, url) == []
    server.advance(5)
    assert bodies(sqs, url) == ["x"]


def test_a_group_on_a_standard_queue_switches_no_fifo_rule_on(sqs: Any, url: str) -> None:
    for body in ("x", "y"):
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="tenant")
        assert "SequenceNumber" not in sent
    messages = [sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0] for _ in range(2)]
    assert [message["Body"] for message in messages] == ["x", "y"]
    assert messages[0]["Attributes"]["MessageGroupId"] == "tenant"
    assert "SequenceNumber" not in messages[0]["Attributes"]
