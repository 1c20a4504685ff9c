"""A function written for AWS Lambda, run as it is: the event, the batch, and the failures that it reports.

python examples/lambda_handler.py
"""

from __future__ import annotations

from typing import Any

import turbosqs
from turbosqs.local import Server

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

attempts: dict[str, int] = {}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """As Lambda calls it, with ReportBatchItemFailures."""
    failures = []
    for record in event["Records"]:
        attempts[record["body"]] = attempts.get(record["body"], 0) + 1
        if record["body"] == "order 3" and attempts["order 3"] == 1:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def main() -> None:
    attempts.clear()
    with Server() as server:
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)
        url = server.create_queue("orders")
        with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(10):
                batch.send_message(MessageBody=f"order {number}")
        while attempts.get("order 3") != 2:
            turbosqs.Consumer(
                sqs,
                QueueUrl=url,
                lambda_handler=handler,
                retry_delay=0,
                idle_timeout=0,
                on_error=lambda error, message: None,
            ).run()
    print(f"orders: {len(attempts)}; attempts at order 3: {attempts['order 3']}")


if __name__ == "__main__":
    main()
