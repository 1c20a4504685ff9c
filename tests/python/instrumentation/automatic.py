"""What ``opentelemetry-instrument`` runs, which knows nothing of it: ``automatic.py own|patched ENDPOINT``."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import turbosqs

SETTINGS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


def main(way: str, endpoint_url: str) -> None:
    sqs: Any
    if way == "own":
        sqs = turbosqs.client("sqs", endpoint_url=endpoint_url, **SETTINGS)
    else:
        import boto3

        turbosqs.patch()
        sqs = boto3.client("sqs", endpoint_url=endpoint_url, **SETTINGS)
    url = f"{endpoint_url}/000000000000/q"
    start = threading.Barrier(8)

    def send(number: int) -> None:
        start.wait()
        sqs.send_message(QueueUrl=url, MessageBody=str(number))

    threads = [threading.Thread(target=send, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.list_queues()
    if way == "own":
        turbosqs.Consumer(sqs, QueueUrl=url, handler=lambda _: None, max_messages=2).run()
    print(json.dumps(turbosqs.stats()), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
