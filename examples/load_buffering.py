"""Load buffering: a burst goes to the queue at once, and a slow backend is asked no faster than it bears.

python examples/load_buffering.py
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import turbosqs
from turbosqs.local import Server
from turbosqs.types import Message

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

BURST, PER_SECOND = 200, 100


def main() -> None:
    with Server() as server:
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)
        url = server.create_queue("burst")
        # 32 threads of a web server, say; their calls share requests.
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda number: sqs.send_message(QueueUrl=url, MessageBody=str(number)), range(BURST)))
        print(f"the burst: {BURST} messages in fewer requests: {sum(sqs.stats()['requests'].values()) < BURST}")

        handled: list[float] = []
        done = threading.Event()

        def ask_backend(message: Message) -> None:
            handled.append(time.monotonic())
            if len(handled) == BURST:
                done.set()

        with turbosqs.Consumer(sqs, QueueUrl=url, handler=ask_backend, max_per_second=PER_SECOND):
            done.wait(20)
        rate = (len(handled) - 1) / (handled[-1] - handled[0])
        print(f"the backend: {len(handled)} messages; within its rate: {rate < PER_SECOND * 1.2}")


if __name__ == "__main__":
    main()
