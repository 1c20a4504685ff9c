"""``turbosqs.aio.Session`` by the names that aiobotocore's and aioboto3's sessions have."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Any

import pytest
from support.libraries import KEYS
from turbosqs import aio

SETTINGS: dict[str, Any] = {"region_name": "us-east-1", **KEYS}
aioboto3s = pytest.mark.skipif(find_spec("aioboto3") is None, reason="without aioboto3")


def test_create_client(server: Any) -> None:
    async def work() -> None:
        async with aio.Session().create_client("sqs", endpoint_url=server.endpoint_url, **SETTINGS) as client:
            assert type(client) is aio.SQS
            await client.create_queue(QueueName="q")
            assert server.stats()["requests"] == {"CreateQueue": 1}

    asyncio.run(work())


async def story(resource: Any) -> list[Any]:
    """What a program does with a resource, and what it sees."""
    seen: list[Any] = []
    queue = await resource.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "7"})
    seen += [queue.url.rpartition("/")[2], (await queue.attributes)["VisibilityTimeout"]]
    await queue.send_message(MessageBody="b", MessageAttributes={"n": {"DataType": "Number", "StringValue": "5"}})
    await queue.send_messages(Entries=[{"Id": "1", "MessageBody": "c"}])
    messages = await queue.receive_messages(MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    seen += [(await message.body, await message.message_attributes) for message in messages]
    for message in messages:
        await message.delete()
    seen.append([each.url.rpartition("/")[2] async for each in resource.queues.filter(QueueNamePrefix="q")])
    try:
        await resource.get_queue_by_name(QueueName="none")
    except resource.meta.client.exceptions.QueueDoesNotExist as error:
        seen.append((type(error).__name__, error.response["Error"], str(error)))
    await queue.delete()
    return seen


@aioboto3s
def test_a_resource(server: Any) -> None:
    """aioboto3's resource layer on our client, beside aioboto3's own."""
    import aioboto3

    async def played(session: Any) -> tuple[list[Any], Any]:
        server.reset()
        async with session.resource("sqs", endpoint_url=server.endpoint_url, **SETTINGS) as resource:
            return await story(resource), resource.meta.client

    theirs, _ = asyncio.run(played(aioboto3.Session()))
    ours, client = asyncio.run(played(aio.Session()))
    assert ours == theirs
    assert type(client) is aio.SQS


@aioboto3s
def test_other_services() -> None:
    async def work() -> None:
        session = aio.Session(**SETTINGS)
        async with session.create_client("sns") as sns, session.resource("s3") as s3:
            assert type(sns).__module__ == "aiobotocore.client"
            assert s3.meta.service_name == "s3"

    asyncio.run(work())
