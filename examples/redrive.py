"""A dead-letter queue: what fails three times goes there, and back once the handler has been mended.

python examples/redrive.py
"""

from __future__ import annotations

import json
from typing import Any

import turbosqs
from turbosqs.local import Server
from turbosqs.types import Message

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}


def main() -> None:
    # Its clock is moved by hand: nothing here waits for a visibility timeout.
    with Server(clock="manual") as server:
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)
        dead = server.create_queue("orders-dead")
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        url = server.create_queue("orders", {"RedrivePolicy": policy})
        sqs.send_message(QueueUrl=url, MessageBody="order 1")
        is_mended = False

        def handle(message: Message) -> None:
            if not is_mended:
                raise ValueError("cannot read this order")
            print(f"handled: {message['Body']}")

        def consume() -> int:
            consumer = turbosqs.Consumer(
                sqs, QueueUrl=url, handler=handle, retry_delay=0, idle_timeout=0, on_error=lambda error, message: None
            )
            consumer.run()
            return consumer.stats()["failed"]

        def waiting(queue: str) -> str:
            name = "ApproximateNumberOfMessages"
            count: str = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name]
            return count

        failures = 0
        while waiting(dead) == "0":
            failures += consume()
        # Twice or three times: what is fetched and given back unhandled counts as received too.
        print(f"failed: {failures} times; in the dead-letter queue: {waiting(dead)}")

        is_mended = True
        sqs.start_message_move_task(SourceArn=arn)
        while waiting(dead) != "0":
            server.advance(1)
        consume()


if __name__ == "__main__":
    main()
