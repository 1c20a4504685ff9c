"""Code that is annotated with types_aiobotocore_sqs, and its client replaced by ours."""

from __future__ import annotations

from turbosqs import aio
from types_aiobotocore_sqs import SQSClient
from types_aiobotocore_sqs.paginator import ListQueuesPaginator
from types_aiobotocore_sqs.type_defs import MessageTypeDef, ReceiveMessageResultTypeDef, SendMessageResultTypeDef


async def send(sqs: SQSClient, url: str) -> SendMessageResultTypeDef:
    return await sqs.send_message(QueueUrl=url, MessageBody="b")


async def handle(message: MessageTypeDef) -> None:
    print(message)


async def main() -> None:
    async with aio.client("sqs") as sqs:
        client: SQSClient = sqs
        sent: SendMessageResultTypeDef = await sqs.send_message(QueueUrl="u", MessageBody="b")
        reply: ReceiveMessageResultTypeDef = await sqs.receive_message(QueueUrl="u")
        pages: ListQueuesPaginator = sqs.get_paginator("list_queues")
        print(client, sent, reply, pages, await send(sqs, "u"))
        await aio.Consumer(sqs, QueueUrl="u", handler=handle).run()
        async for message in sqs.poll_messages(QueueUrl="u", idle_timeout=1):
            await handle(message)
