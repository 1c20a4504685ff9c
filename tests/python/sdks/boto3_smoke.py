"""What a program does with SQS, by whatever boto3 runs it: ``python boto3_smoke.py ENDPOINT``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
import botocore
from botocore.exceptions import ClientError

PREFIX = "boto3-"


#: botocore 1.31 knows an error of SQS's by its code, but for the ones whose class has the name of their code.
CLASSES = tuple(map(int, botocore.__version__.split(".")[:2])) >= (1, 34)


def refused(name: str, code: str, call: Callable[..., Any], **members: Any) -> None:
    error = None
    try:
        call(**members)
    except ClientError as caught:
        error = caught
    assert error is not None, f"{call.__name__} was to end with {name}"
    assert error.response["Error"]["Code"] == code
    assert not CLASSES or type(error).__name__ == name


def bodies(reply: dict[str, Any]) -> list[str]:
    return [message["Body"] for message in reply.get("Messages", [])]


def main(endpoint: str) -> None:
    sqs = boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    settings = {"VisibilityTimeout": "30", "MessageRetentionPeriod": "3600"}
    url = sqs.create_queue(QueueName=f"{PREFIX}orders", Attributes=settings, tags={"team": "checkout"})["QueueUrl"]
    assert sqs.get_queue_url(QueueName=f"{PREFIX}orders")["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix=PREFIX)["QueueUrls"] == [url]

    # One message, with what goes beside its body.
    attributes = {
        "count": {"DataType": "Number", "StringValue": "5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\0\x80\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="héllo <&> \U0001f680", MessageAttributes=attributes)
    names = {"MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, **names)["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "héllo <&> \U0001f680")
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [message] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    # Batches, of which a part may fail.
    entries = [{"Id": name, "MessageBody": body} for name, body in (("a", "1"), ("b", "2"), ("c", "\b"))]
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in reply["Successful"]] == ["a", "b"]
    assert [(entry["Id"], entry["Code"]) for entry in reply["Failed"]] == [("c", "InvalidMessageContents")]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in messages] == ["1", "2"]
    handles = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]
    changes = [{**entry, "VisibilityTimeout": 60} for entry in handles]
    assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)["Successful"]) == 2
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 2
    assert bodies(sqs.receive_message(QueueUrl=url)) == []

    # FIFO: order within a group, duplicates.
    settings = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    fifo = sqs.create_queue(QueueName=f"{PREFIX}jobs.fifo", Attributes=settings)["QueueUrl"]
    for body in ("first", "second", "first"):
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g")
    reply = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10, AttributeNames=["All"])
    assert bodies(reply) == ["first", "second"]
    first, second = (int(message["Attributes"]["SequenceNumber"]) for message in reply["Messages"])
    assert first < second

    # A dead-letter queue, and back from it.
    def arn(url: str) -> Any:
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    dead = sqs.create_queue(QueueName=f"{PREFIX}dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.receive_message(QueueUrl=url)
    assert bodies(sqs.receive_message(QueueUrl=url)) == []
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    sqs.start_message_move_task(SourceArn=arn(dead))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert bodies(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)) == ["poison"]
    assert len(sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]) == 1

    # Tags, permissions, purging.
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "test"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "test"}
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
    sqs.remove_permission(QueueUrl=url, Label="l")
    sqs.send_message(QueueUrl=url, MessageBody="gone")
    sqs.purge_queue(QueueUrl=url)
    assert bodies(sqs.receive_message(QueueUrl=url)) == []

    # Errors are of their classes.
    refused("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
    empty = "AWS.SimpleQueueService.EmptyBatchRequest"
    refused("EmptyBatchRequest", empty, sqs.send_message_batch, QueueUrl=url, Entries=[])
    existing = {"QueueName": f"{PREFIX}orders", "Attributes": {"DelaySeconds": "7"}}
    refused("QueueNameExists", "QueueAlreadyExists", sqs.create_queue, **existing)
    unknown = {"QueueUrl": url, "AttributeNames": ["Nonsense"]}
    refused("InvalidAttributeName", "InvalidAttributeName", sqs.get_queue_attributes, **unknown)
    sqs.delete_queue(QueueUrl=url)
    gone = "AWS.SimpleQueueService.NonExistentQueue"
    refused("QueueDoesNotExist", gone, sqs.send_message, QueueUrl=url, MessageBody="a")
    print(f"boto3 {boto3.__version__}, botocore {botocore.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
