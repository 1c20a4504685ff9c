"""A producer and a consumer in one event loop: a coroutine for each message, and a drain at the end.

python examples/service_asyncio.py
"""

from __future__ import annotations

import asyncio
from typing import Any

from turbosqs import aio
from turbosqs.local import Server
from turbosqs.types import Message

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

ORDERS = 100


async def main() -> None:
    handled: list[str] = []
    done = asyncio.Event()

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)  # a query, say
        handled.append(message["Body"])
        if len(handled) == ORDERS:
            done.set()

    with Server() as server:
        url = server.create_queue("orders")
        async with aio.client("sqs", endpoint_url=server.endpoint_url, **LOCAL) as sqs:
            sends = (sqs.send_message(QueueUrl=url, MessageBody=f"order {number}") for number in range(ORDERS))
            await asyncio.gather(*sends)
            print(f"sent: {ORDERS} orders in {sum(sqs.stats()['requests'].values())} requests")
            consumer = aio.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=50)
            await consumer.start()
            await asyncio.wait_for(done.wait(), 20)
            await consumer.stop()
            print(f"handled: {len(set(handled))} orders; deleted: {consumer.stats()['deleted']}")


if __name__ == "__main__":
    asyncio.run(main())
