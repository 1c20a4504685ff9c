"""``program.py`` for aiobotocore: ``awaited_program.py TOOL ORDER WAY``."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import turbosqs
import turbosqs.local
from program import SETTINGS, TOOLS, Under, masked, trace_of


def connect(endpoint_url: str, **options: Any) -> Any:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    return get_session().create_client("sqs", endpoint_url=endpoint_url, config=AioConfig(**options), **SETTINGS)


async def play(server: turbosqs.local.Server, under: Under) -> dict[str, Any]:
    """Sends, single, in batches, failing and throttled; receives and deletes. What messages and replies have."""
    from botocore.exceptions import ClientError

    url = f"{server.endpoint_url}/000000000000/q"
    replies: list[Any] = []

    async def call(client: Any, operation: str, **arguments: Any) -> Any:
        try:
            reply = await getattr(client, operation)(**arguments)
        except ClientError as error:
            replies.append([operation, type(error).__name__, error.response["Error"]["Code"]])
            return None
        metadata = reply["ResponseMetadata"]
        replies.append([operation, sorted(reply), metadata["HTTPStatusCode"], metadata["RetryAttempts"]])
        return reply

    attributes = {"mine": {"DataType": "String", "StringValue": "kept"}}
    with under("program"):
        async with (
            connect(server.endpoint_url) as sqs,
            connect(server.endpoint_url, retries={"total_max_attempts": 1}) as impatient,
        ):
            await call(sqs, "send_message", QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
            batch = [{"Id": str(number), "MessageBody": str(number)} for number in range(3)]
            sent = await call(sqs, "send_message_batch", QueueUrl=url, Entries=batch)
            replies.append([sorted(entry) for entry in sent["Successful"]])
            await call(sqs, "send_message", QueueUrl=url + "-none", MessageBody="lost")
            server.faults.add("throttle", actions=["SendMessage"], times=1)
            await call(sqs, "send_message", QueueUrl=url, MessageBody="late")
            server.faults.add("throttle", actions=["GetQueueAttributes"], times=1)
            await call(impatient, "get_queue_attributes", QueueUrl=url)
            received = await call(
                sqs,
                "receive_message",
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["AWSTraceHeader"],
            )
            messages = [
                [message["Body"], message.get("MessageAttributes"), bool(message.get("Attributes"))]
                for message in received["Messages"]
            ]
            handles = [message["ReceiptHandle"] for message in received["Messages"]]
            await call(sqs, "delete_message", QueueUrl=url, ReceiptHandle=handles[0])
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles[1:])]
            await call(sqs, "delete_message_batch", QueueUrl=url, Entries=entries)
            await call(sqs, "receive_message", QueueUrl=url)
    return {"replies": replies, "messages": messages}


async def together(server: turbosqs.local.Server, under: Under) -> dict[str, Any]:
    """Tasks that send in the same tick, each under a span of its own: how many traces arrive, in which requests."""
    tasks, url = 32, f"{server.endpoint_url}/000000000000/together"
    traces, own = [], 0
    senders: dict[str, str] = {}
    async with connect(server.endpoint_url, max_pool_connections=tasks) as sqs:

        async def send(number: int) -> None:
            with under(f"task-{number}") as span:
                senders[str(number)] = trace_of(span)
                await sqs.send_message(QueueUrl=url, MessageBody=str(number))

        sends = ("SendMessage", "SendMessageBatch")
        before = sum(server.stats()["requests"].get(name, 0) for name in sends)
        await asyncio.gather(*(send(number) for number in range(tasks)))
        requests = sum(server.stats()["requests"].get(name, 0) for name in sends) - before
        while found := (
            await sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["AWSTraceHeader"]
            )
        ).get("Messages"):
            for message in found:
                traces.append(message.get("Attributes", {}).get("AWSTraceHeader"))
                own += senders[message["Body"]] in (traces[-1] or "")
    return {"sent": len(traces), "traces": len(set(traces)), "own": own, "requests": requests}


async def main(tool: str, order: str, way: str) -> None:
    if order == "patch" and way == "patched":
        import aiobotocore.session  # noqa: F401

        turbosqs.patch()
    under, spans = TOOLS[tool]("aiobotocore")
    if order == "tool" and way == "patched":
        turbosqs.patch()
    with turbosqs.local.Server(queues=["q", "together"]) as server:
        played = await play(server, under)
        recorded = masked(spans())
        shared = await together(server, under)
    result = {
        **played,
        "messages": masked(played["messages"]),
        "spans": recorded,
        "together": shared,
        "stats": turbosqs.stats(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
