"""What passes with and without stub packages."""

from __future__ import annotations

from typing import Any

import turbosqs
from turbosqs import aio
from turbosqs.types import Message, SendMessageResult


def handle(message: Message) -> None:
    print(message.get("Body"))


def handle_dict(message: dict[str, Any]) -> None:
    print(message["Body"])


def handle_many(messages: list[Message]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": message.get("MessageId", "")} for message in messages]}


def on_lambda(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"batchItemFailures": [event, context]}


async def handle_later(message: Message) -> None:
    print(message.get("Body"))


config = turbosqs.Config(connect_timeout=2, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"})
sqs = turbosqs.client("sqs", region_name="eu-west-1", config=config, batching=turbosqs.Batching(linger=0.005))
sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "30"}, tags={"a": "b"})
sent: SendMessageResult = sqs.send_message(
    QueueUrl="u", MessageBody="b", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b""}}
)
identifier: str = sent["MessageId"]
sqs.send_message_batch(QueueUrl="u", Entries=[{"Id": str(i), "MessageBody": "b"} for i in range(10)])
for message in sqs.receive_message(QueueUrl="u", MessageSystemAttributeNames=["All"]).get("Messages", []):
    handle(message)
for page in sqs.get_paginator("list_queues").paginate(QueueNamePrefix="p", PaginationConfig={"PageSize": 10}):
    urls: list[str] = page.get("QueueUrls", [])
whole = sqs.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl="u").build_full_result()
with sqs.batch_writer(QueueUrl="u", progress=True) as batch:
    batch.send_message(MessageBody="b", DelaySeconds=3)
    batch.delete_message(ReceiptHandle="r")
    batch.change_message_visibility(ReceiptHandle="r", VisibilityTimeout=0)
with sqs.poll_messages(QueueUrl="u", max_messages=5, VisibilityTimeout=60, min_life=0.3) as messages:
    for message in messages:
        handle(message)
consumer = turbosqs.Consumer(sqs, QueueUrl="u", handler=handle, concurrency=20, retry_delay=turbosqs.Backoff(1))
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle_dict, VisibilityTimeout=60, idle_timeout=3)
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle_many, batch_size=10, batch_window=1)
turbosqs.Consumer(sqs, QueueUrl="u", handler=print)
turbosqs.Consumer(sqs, QueueUrl="u", handler=lambda message: print(message))
turbosqs.Consumer(sqs, QueueUrl="u", lambda_handler=on_lambda)
consumer.run()
handled: int = consumer.stats()["handled"]
try:
    sqs.purge_queue(QueueUrl="u")
except sqs.exceptions.QueueDoesNotExist as error:
    code: str = error.response["Error"]["Code"]
except turbosqs.exceptions.ClientError as refused:
    print(refused.operation_name)


async def main() -> None:
    async with aio.client("sqs") as awaited:
        sent: SendMessageResult = await awaited.send_message(QueueUrl="u", MessageBody="b")
        async with awaited.batch_writer(QueueUrl="u") as batch:
            await batch.send_message(MessageBody=sent["MessageId"])
        async for page in awaited.get_paginator("list_queues").paginate():
            print(page.get("QueueUrls"))
        await aio.Consumer(awaited, QueueUrl="u", handler=handle_later, concurrency=100).run()
