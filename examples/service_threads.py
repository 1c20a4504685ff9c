"""A producer and a consumer as services of one process: handlers run in threads, failures come again.

python examples/service_threads.py
"""

from __future__ import annotations

import threading
from typing import Any

import turbosqs
from turbosqs.local import Server
from turbosqs.types import Message

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

ORDERS = 100


def main() -> None:
    with Server() as server:
        url = server.create_queue("orders", {"VisibilityTimeout": "30"})
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)
        lock, handled, failed_once = threading.Lock(), set[str](), set[str]()
        done = threading.Event()

        def handle(message: Message) -> None:
            order = message["Body"]
            with lock:
                if order.endswith("7") and order not in failed_once:
                    failed_once.add(order)
                    raise RuntimeError(f"{order} fails the first time")
                handled.add(order)
                if len(handled) == ORDERS:
                    done.set()

        with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(ORDERS):
                batch.send_message(MessageBody=f"order {number}")
        print(f"sent: {ORDERS} orders in {sum(sqs.stats()['requests'].values())} requests")

        consumer = turbosqs.Consumer(
            sqs, QueueUrl=url, handler=handle, concurrency=8, retry_delay=0, on_error=lambda error, message: None
        )
        consumer.start()
        done.wait(20)
        consumer.stop()
        stats = consumer.stats()
        print(f"handled: {len(handled)} orders, after {stats['failed']} failures; left: {stats['in_progress']}")


if __name__ == "__main__":
    main()
