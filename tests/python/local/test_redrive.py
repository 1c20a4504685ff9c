"""Dead-letter queues and move tasks of the embedded SQS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from turbosqs.local import Server

ARN = "arn:aws:sqs:us-east-1:000000000000:"


def error(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def redrive(target: str, count: int | str = 2) -> dict[str, str]:
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + target, "maxReceiveCount": count})}


def held(sqs: Any, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


@pytest.fixture
def dead(server: Server) -> str:
    return server.create_queue("dead")


@pytest.fixture
def source(server: Server, dead: str) -> str:
    assert dead
    return server.create_queue("source", redrive("dead"))


def bury(sqs: Any, server: Server, source: str, bodies: list[str]) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=source, MessageBody=body)
    for _ in range(3):
        sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10)
        server.advance(30)


def test_a_message_received_too_often_goes_to_the_dead(sqs: Any, server: Server, source: str, dead: str) -> None:
    sent = sqs.send_message(
        QueueUrl=source, MessageBody="bad", MessageAttributes={"a": {"DataType": "String", "StringValue": "1"}}
    )
    for count in ("1", "2"):
        [message] = sqs.receive_message(QueueUrl=source, AttributeNames=["All"])["Messages"]
        assert message["Attributes"]["ApproximateReceiveCount"] == count
        server.advance(30)
    assert "Messages" not in sqs.receive_message(QueueUrl=source)
    [message] = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "3"
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == ARN + "source"
    # A standard message keeps its age.
    assert int(message["Attributes"]["SentTimestamp"]) <= int(message["Attributes"]["ApproximateFirstReceiveTimestamp"])


def test_a_fifo_group_goes_on_behind_its_dead(sqs: Any, server: Server) -> None:
    fifo = {"ContentBasedDeduplication": "true"}
    dead = server.create_queue("dead.fifo", fifo)
    source = server.create_queue("source.fifo", {**fifo, **redrive("dead.fifo", 1)})
    for body in ("bad", "good"):
        sqs.send_message(QueueUrl=source, MessageBody=body, MessageGroupId="g")
    assert sqs.receive_message(QueueUrl=source)["Messages"][0]["Body"] == "bad"
    server.advance(30)
    assert [m["Body"] for m in sqs.receive_message(QueueUrl=source)["Messages"]] == ["good"]
    [message] = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == ("bad", "g")


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ('{"maxReceiveCount": 1}', "deadLetterTargetArn"),
        (f'{{"deadLetterTargetArn": "{ARN}dead"}}', "maxReceiveCount"),
        (f'{{"deadLetterTargetArn": "{ARN}dead", "maxReceiveCount": 0}}', "valid values are from 1 to 1000"),
        (f'{{"deadLetterTargetArn": "{ARN}dead", "maxReceiveCount": "x"}}', "Invalid value for maxReceiveCount: x"),
        (f'{{"deadLetterTargetArn": "{ARN}nowhere", "maxReceiveCount": 1}}', "does not exist"),
        (f'{{"deadLetterTargetArn": "{ARN}jobs.fifo", "maxReceiveCount": 1}}', "same type"),
        ('{"deadLetterTargetArn": "dummy", "maxReceiveCount": 1}', "deadLetterTargetArn"),
    ],
)
@pytest.mark.usefixtures("fifo", "dead")
def test_redrive_policies_that_cannot_be(sqs: Any, url: str, policy: str, reason: str) -> None:
    for call, where in (
        (sqs.set_queue_attributes, {"QueueUrl": url}),
        (sqs.create_queue, {"QueueName": "other"}),
    ):
        code, text = error(call, Attributes={"RedrivePolicy": policy}, **where)
        assert code == "InvalidParameterValue"
        assert text.startswith(f"Value {policy} for parameter RedrivePolicy is invalid. Reason: ")
        assert reason in text


def test_a_redrive_policy_is_taken_back(sqs: Any, source: str) -> None:
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["All"])["Attributes"]


def test_sources_are_listed_by_pages(sqs: Any, server: Server, dead: str) -> None:
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == []
    urls = sorted(server.create_queue(f"s{i}", redrive("dead")) for i in range(5))
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == urls
    paginator = sqs.get_paginator("list_dead_letter_source_queues")
    pages = list(paginator.paginate(QueueUrl=dead, PaginationConfig={"PageSize": 2}))
    assert [page["queueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]


def test_who_may_use_a_dead_letter_queue(sqs: Any, dead: str) -> None:
    deny = {"redrivePermission": "denyAll"}
    by_queue = {"redrivePermission": "byQueue", "sourceQueueArns": [ARN + "friend"]}
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(deny)})
    assert error(sqs.create_queue, QueueName="friend", Attributes=redrive("dead"))[0] == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(by_queue)})
    assert error(sqs.create_queue, QueueName="stranger", Attributes=redrive("dead"))[0] == "InvalidParameterValue"
    sqs.create_queue(QueueName="friend", Attributes=redrive("dead"))
    for wrong in ({"redrivePermission": "some"}, {**deny, "sourceQueueArns": []}, {"redrivePermission": "byQueue"}):
        policy = {"RedriveAllowPolicy": json.dumps(wrong)}
        assert error(sqs.set_queue_attributes, QueueUrl=dead, Attributes=policy)[0] == "InvalidParameterValue"


def test_messages_move_back_to_where_they_came_from(sqs: Any, server: Server, source: str, dead: str) -> None:
    bury(sqs, server, source, ["a", "b"])
    assert held(sqs, dead) == 2
    sqs.start_message_move_task(SourceArn=ARN + "dead")
    assert (held(sqs, dead), held(sqs, source)) == (0, 2)
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead")["Results"]
    assert isinstance(task.pop("StartedTimestamp"), int)
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": ARN + "dead",
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
    }
    # Redriven messages are new ones.
    received = sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in received} == {"1"}
    assert "DeadLetterQueueSourceArn" not in received[0]["Attributes"]


def test_a_move_task_keeps_its_rate_and_is_cancelled(sqs: Any, server: Server, source: str, dead: str) -> None:
    target = server.create_queue("target")
    bury(sqs, server, source, [str(i) for i in range(9)])
    started = sqs.start_message_move_task(
        SourceArn=ARN + "dead", DestinationArn=ARN + "target", MaxNumberOfMessagesPerSecond=2
    )
    assert held(sqs, target) == 1
    again = error(sqs.start_message_move_task, SourceArn=ARN + "dead")
    assert again[1].startswith("There is already a task running.")
    server.advance(1.5)
    assert (held(sqs, target), held(sqs, dead)) == (4, 5)
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead", MaxResults=10)["Results"]
    assert task["TaskHandle"] == started["TaskHandle"]
    assert (task["Status"], task["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", 2)
    cancelled = sqs.cancel_message_move_task(TaskHandle=started["TaskHandle"])
    assert cancelled["ApproximateNumberOfMessagesMoved"] == 4
    server.advance(10)
    assert held(sqs, dead) == 5
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead")["Results"]
    assert task["Status"] == "CANCELLED"
    assert "TaskHandle" not in task
    assert error(sqs.cancel_message_move_task, TaskHandle=started["TaskHandle"])[0].endswith("UnsupportedOperation")


def test_a_move_task_fails_when_it_cannot_go_on(sqs: Any, server: Server, source: str, dead: str) -> None:
    bury(sqs, server, source, ["a"])
    sqs.send_message(QueueUrl=dead, MessageBody="sent here by hand")
    sqs.start_message_move_task(SourceArn=ARN + "dead")
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead")["Results"]
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert (held(sqs, source), held(sqs, dead)) == (1, 1)


def fifo_pair(server: Server) -> tuple[str, str]:
    """A FIFO queue that gives messages up after one receive, and its dead-letter queue."""
    by_content = {"ContentBasedDeduplication": "true"}
    dead = server.create_queue("dead.fifo", by_content)
    return server.create_queue("source.fifo", {**by_content, **redrive("dead.fifo", 1)}), dead


def send(sqs: Any, url: str, *bodies: str) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")


def test_a_move_task_that_fails_leaves_the_order_as_it_was(sqs: Any, server: Server) -> None:
    _, dead = fifo_pair(server)
    send(sqs, dead, "first", "second", "third")
    sqs.start_message_move_task(SourceArn=ARN + "dead.fifo")
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead.fifo")["Results"]
    assert task["Status"] == "FAILED"
    received = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["first", "second", "third"]


@pytest.mark.parametrize("settled_by", ["delete", "visibility", "time", "purge"])
def test_a_move_task_waits_for_messages_behind_one_in_flight(sqs: Any, server: Server, settled_by: str) -> None:
    _, dead = fifo_pair(server)
    target = server.create_queue("target.fifo")
    send(sqs, dead, "first", "second")
    [first] = sqs.receive_message(QueueUrl=dead)["Messages"]
    send(sqs, dead, "third")
    sqs.start_message_move_task(SourceArn=ARN + "dead.fifo", DestinationArn=ARN + "target.fifo")
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead.fifo")["Results"]
    assert (task["Status"], held(sqs, dead), held(sqs, target)) == ("RUNNING", 2, 0)
    match settled_by:
        case "delete":
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=first["ReceiptHandle"])
        case "visibility":
            sqs.change_message_visibility(QueueUrl=dead, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
        case "time":
            server.advance(30)
        case _:
            sqs.purge_queue(QueueUrl=dead)
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead.fifo")["Results"]
    assert (task["Status"], held(sqs, target)) == ("COMPLETED", 0 if settled_by == "purge" else 2)


def test_a_move_task_ends_with_its_queue(sqs: Any, server: Server, source: str, dead: str) -> None:
    server.create_queue("target")
    bury(sqs, server, source, ["a", "b", "c"])
    sqs.start_message_move_task(SourceArn=ARN + "dead", DestinationArn=ARN + "target", MaxNumberOfMessagesPerSecond=1)
    sqs.delete_queue(QueueUrl=dead)
    again = server.create_queue("dead")
    sqs.send_message(QueueUrl=again, MessageBody="of another queue")
    server.advance(60)
    assert held(sqs, again) == 1
    assert sqs.list_message_move_tasks(SourceArn=ARN + "dead")["Results"] == []


def test_a_move_task_fails_when_its_destination_is_gone(sqs: Any, server: Server, source: str, dead: str) -> None:
    target = server.create_queue("target")
    bury(sqs, server, source, ["a", "b", "c"])
    sqs.start_message_move_task(SourceArn=ARN + "dead", DestinationArn=ARN + "target", MaxNumberOfMessagesPerSecond=1)
    sqs.delete_queue(QueueUrl=target)
    again = server.create_queue("target")
    server.advance(60)
    [task] = sqs.list_message_move_tasks(SourceArn=ARN + "dead")["Results"]
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
    assert (held(sqs, again), held(sqs, dead)) == (0, 2)


@pytest.mark.usefixtures("url", "fifo")
def test_move_tasks_that_cannot_be(sqs: Any, source: str) -> None:
    assert source
    start = sqs.start_message_move_task
    for members, code, text in (
        ({"SourceArn": "dummy"}, "InvalidParameterValue", "You must use this format to specify the SourceArn"),
        ({"SourceArn": ARN + "nowhere"}, "ResourceNotFoundException", "SourceArn parameter doesn't exist."),
        ({"SourceArn": ARN + "orders"}, "InvalidParameterValue", "configured as a Dead Letter Queue."),
        (
            {"SourceArn": ARN + "dead", "DestinationArn": ARN + "nowhere"},
            "ResourceNotFoundException",
            "DestinationArn parameter doesn't exist.",
        ),
        ({"SourceArn": ARN + "dead", "DestinationArn": ARN + "jobs.fifo"}, "InvalidParameterValue", "same type"),
        ({"SourceArn": ARN + "dead", "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "501"),
    ):
        got, message = error(start, **members)
        assert got == code
        assert text in message
    assert error(sqs.cancel_message_move_task, TaskHandle="x") == (
        "InvalidParameterValue",
        "Value for parameter TaskHandle is invalid.",
    )
    with pytest.raises(sqs.exceptions.ResourceNotFoundException) as caught:
        sqs.list_message_move_tasks(SourceArn=ARN + "nowhere")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
