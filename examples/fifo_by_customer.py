"""A FIFO queue with a message group for each customer: orders of one customer in order, customers side by side.

python examples/fifo_by_customer.py
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import turbosqs
from turbosqs.local import Server
from turbosqs.types import Message

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

CUSTOMERS, ORDERS = 5, 20


def main() -> None:
    with Server() as server:
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)
        url = server.create_queue("orders.fifo", {"ContentBasedDeduplication": "true"})
        with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(ORDERS):
                for customer in range(CUSTOMERS):
                    batch.send_message(MessageBody=f"{customer} {number}", MessageGroupId=f"customer-{customer}")

        seen: defaultdict[str, list[int]] = defaultdict(list)
        done = threading.Event()

        def handle(message: Message) -> None:
            customer, number = message["Body"].split()
            # No lock: one message of a group at a time.
            seen[customer].append(int(number))
            if sum(map(len, seen.values())) == CUSTOMERS * ORDERS:
                done.set()

        with turbosqs.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=CUSTOMERS):
            done.wait(20)
        in_order = all(numbers == list(range(ORDERS)) for numbers in seen.values())
        print(f"customers: {len(seen)}; orders of each: {ORDERS}; in order: {in_order}")


if __name__ == "__main__":
    main()
