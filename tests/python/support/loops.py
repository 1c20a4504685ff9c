"""Event loops of both kinds, and what a test in one of them needs."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

import turbosqs
from turbosqs import aio
from turbosqs.local import Server

from support.libraries import KEYS

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
if importlib.util.find_spec("uvloop") is not None:  # there is none for Windows
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def client(server: Server, **options: Any) -> Any:
    """An asyncio client of the server."""
    settings = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS, **options}
    return aio.Session().client("sqs", **settings)


def everything(server: Server, url: str) -> list[str]:
    """The bodies of all messages in a queue, in the order in which they come."""
    sqs = turbosqs.Session().client("sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS)
    bodies: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in messages]
        entries = [{"Id": str(i), "ReceiptHandle": each["ReceiptHandle"]} for i, each in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return bodies


async def queue(sqs: Any, name: str = "q", **attributes: str) -> str:
    """The URL of a new queue."""
    url: str = (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
    return url
