"""Mistakes, each on a line that says so."""

from __future__ import annotations

import turbosqs
from turbosqs import aio
from turbosqs.types import Message


def handle(message: Message) -> None:
    print(message)


async def handle_later(message: Message) -> None:
    print(message)


sqs = turbosqs.client("sqs")
awaited = aio.client("sqs")

with sqs.batch_writer(QueueUrl="u") as batch:
    batch.send_message(MesageBody="b")  # mistake
    batch.send_message(MessageBody="b", QueueUrl="u")  # mistake
    batch.delete_message()  # mistake

turbosqs.Consumer(42, QueueUrl="u", handler=handle)  # mistake
turbosqs.Consumer(awaited, QueueUrl="u", handler=handle)  # mistake
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle_later)  # mistake
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle, batch_size=10)  # mistake
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle, VisibilityTimeot=30)  # mistake
turbosqs.Consumer(sqs, QueueUrl="u", handler=handle, concurrency="many")  # mistake
turbosqs.Consumer(sqs, QueueUrl="u")  # mistake
aio.Consumer(awaited, QueueUrl="u", handler=handle)  # mistake
aio.Consumer(sqs, QueueUrl="u", handler=handle_later)  # mistake
sqs.poll_messages(QueueUrl="u", VisibilityTimeot=30)  # mistake
awaited.poll_messages(QueueUrl="u", idle_timout=30)  # mistake

turbosqs.Config(retrys={"max_attempts": 3})  # mistake
turbosqs.Config(connect_timeout="2")  # mistake
turbosqs.client("sqs", regoin_name="eu-west-1")  # mistake

sqs.send_message(QueueUrl="u")  # mistake
sqs.send_message(QueueUrl="u", MessageBody=b"b")  # mistake
sqs.send_message("u", "b")  # mistake
sqs.send_mesage(QueueUrl="u", MessageBody="b")  # mistake
sqs.send_message_batch(QueueUrl="u", Entries=[{"Id": "0"}])  # mistake
sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeuot": "30"})  # mistake
sqs.get_queue_attributes(QueueUrl="u", AttributeNames=["QueueARN"])  # mistake
sqs.receive_message(QueueUrl="u", MessageSystemAttributeNames=["SendTimestamp"])  # mistake
sqs.receive_message(QueueUrl="u", AttributeNames="All")  # mistake

for page in sqs.get_paginator("list_queues").paginate():
    print(page["QueueUrl"])  # mistake
sqs.get_paginator("list_queues").paginate(QueueUrl="u")  # mistake

try:
    sqs.purge_queue(QueueUrl="u")
except sqs.exceptions.QueueDoesNotExist as error:
    print(error.response["Eror"])  # mistake
    print(error.respond)  # mistake
except sqs.exceptions.QueueDoesNotExit:  # mistake
    pass
except turbosqs.exceptions.EndpointConectionError:  # mistake
    pass
