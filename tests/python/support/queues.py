"""What tests of receiving do to queues."""

from __future__ import annotations

from typing import Any

import turbosqs
from turbosqs.local import Server

from support.libraries import KEYS


def client(server: Server, **options: Any) -> Any:
    settings = {"region_name": "us-east-1", **KEYS, "endpoint_url": server.endpoint_url, **options}
    return turbosqs.Session().client("sqs", **settings)


def consumer(sqs: Any, url: str, handler: Any, **options: Any) -> turbosqs.Consumer:
    return turbosqs.Consumer(sqs, QueueUrl=url, handler=handler, **options)


def send(sqs: Any, url: str, count: int, groups: int | None = None, first: int = 0) -> list[str]:
    """So many messages, numbered; with groups, by turns."""
    bodies = [str(number) for number in range(first, first + count)]
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number, body in enumerate(bodies):
            more = {} if groups is None else {"MessageGroupId": f"g{number % groups}", "MessageDeduplicationId": body}
            batch.send_message(MessageBody=body, **more)
    return bodies


def counts(sqs: Any, url: str) -> tuple[int, int]:
    """How many messages are visible, and how many in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(attributes[names[0]]), int(attributes[names[1]])
