"""Code that is annotated with mypy_boto3_sqs, and boto3's client replaced by ours."""

from __future__ import annotations

import turbosqs as boto3
from mypy_boto3_sqs import SQSClient, SQSServiceResource
from mypy_boto3_sqs.literals import QueueAttributeNameType
from mypy_boto3_sqs.paginator import ListQueuesPaginator
from mypy_boto3_sqs.type_defs import (
    MessageAttributeValueTypeDef,
    MessageTypeDef,
    ReceiveMessageResultTypeDef,
    SendMessageBatchRequestEntryTypeDef,
    SendMessageBatchResultTypeDef,
    SendMessageResultTypeDef,
)


def send(sqs: SQSClient, url: str) -> SendMessageResultTypeDef:
    attributes: dict[str, MessageAttributeValueTypeDef] = {"a": {"DataType": "String", "StringValue": "b"}}
    return sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes=attributes)


def receive(sqs: SQSClient, url: str) -> ReceiveMessageResultTypeDef:
    return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)


def declare(resource: SQSServiceResource) -> str:
    return resource.create_queue(QueueName="q").url


def handle(message: MessageTypeDef) -> None:
    print(message)


def handle_many(messages: list[MessageTypeDef]) -> None:
    print(messages)


sqs = boto3.client("sqs")
client: SQSClient = sqs
sent: SendMessageResultTypeDef = sqs.send_message(QueueUrl="u", MessageBody="b")
number: str = send(sqs, "u")["SequenceNumber"]
reply: ReceiveMessageResultTypeDef = sqs.receive_message(QueueUrl="u")
messages: list[MessageTypeDef] = sqs.receive_message(QueueUrl="u")["Messages"]
entries: list[SendMessageBatchRequestEntryTypeDef] = [{"Id": "0", "MessageBody": "b"}]
batch: SendMessageBatchResultTypeDef = sqs.send_message_batch(QueueUrl="u", Entries=entries)
names: list[QueueAttributeNameType] = ["QueueArn"]
sqs.get_queue_attributes(QueueUrl="u", AttributeNames=names)
pages: ListQueuesPaginator = sqs.get_paginator("list_queues")
resource: SQSServiceResource = boto3.resource("sqs")
print(
    declare(boto3.resource("sqs")), receive(sqs, "u"), boto3.Session().resource("sqs").get_queue_by_name(QueueName="q")
)
boto3.Consumer(sqs, QueueUrl="u", handler=handle)
boto3.Consumer(sqs, QueueUrl="u", handler=handle_many, batch_size=10)
for message in sqs.poll_messages(QueueUrl="u"):
    handle(message)
try:
    send(sqs, "u")
except sqs.exceptions.QueueDoesNotExist as error:
    print(error.response["Error"]["Code"])
