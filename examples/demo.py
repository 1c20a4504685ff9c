"""turbosqs at work, against the embedded SQS: create, send, receive and delete, with the same through boto3 beside it.

python examples/demo.py [--messages 10000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import turbosqs
from tqdm import tqdm
from turbosqs.local import Server

TEN = 10
BODY = "x" * 200


def tens(count: int) -> Iterator[range]:
    """The numbers below ``count``, ten at a time: as many as SQS takes in one request."""
    for start in range(0, count, TEN):
        yield range(start, min(start + TEN, count))


def send(sqs: Any, url: str, count: int, done: Callable[[int], object]) -> None:
    for numbers in tens(count):
        entries = [{"Id": str(number), "MessageBody": f"{number} {BODY}"} for number in numbers]
        reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        if "Failed" in reply:
            raise SystemExit(f"not sent: {reply['Failed']}")
        done(len(reply["Successful"]))


def receive_and_delete(sqs: Any, url: str, count: int, done: Callable[[int], object]) -> None:
    seen: set[str] = set()
    while len(seen) < count:
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=TEN, WaitTimeSeconds=1)
        messages = reply.get("Messages", [])
        if not messages:
            raise SystemExit(f"the queue is empty after {len(seen)} of {count} messages")
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        deleted = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        if "Failed" in deleted:
            raise SystemExit(f"not deleted: {deleted['Failed']}")
        seen.update(message["Body"].split()[0] for message in messages)
        done(len(messages))


def run(name: str, module: Any, server: Server, count: int) -> dict[str, float]:
    """The whole job through one library: messages a second, by stage."""
    keys = {"aws_access_key_id": "demo", "aws_secret_access_key": "demo", "region_name": "us-east-1"}
    sqs = module.client("sqs", endpoint_url=server.endpoint_url, **keys)
    url = sqs.create_queue(QueueName=f"demo-{name}")["QueueUrl"]
    speed = {}
    for stage, work in (("send", send), ("receive + delete", receive_and_delete)):
        with tqdm(total=count, desc=f"{name:>9} {stage:<16}", unit=" msg", mininterval=0.2) as bar:
            started = time.perf_counter()
            work(sqs, url, count, bar.update)
            speed[stage] = count / (time.perf_counter() - started)
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if left["ApproximateNumberOfMessages"] != "0" or left["ApproximateNumberOfMessagesNotVisible"] != "0":
        raise SystemExit(f"messages left in the queue: {left}")
    sqs.delete_queue(QueueUrl=url)
    return speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000, help="how many messages (default: %(default)s)")
    count = parser.parse_args().messages
    with Server() as server:
        print(f"the embedded SQS listens on {server.endpoint_url}")
        ours = run("turbosqs", turbosqs, server, count)
        theirs = run("boto3", boto3, server, count)
        requests = server.stats()["requests"]
    print(f"\n{count:,} messages created, received and deleted by each library; all accounted for.")
    print(f"{'':16} {'turbosqs':>12} {'boto3':>12}   messages a second")
    for stage, speed in ours.items():
        print(f"{stage:16} {speed:12,.0f} {theirs[stage]:12,.0f}   {speed / theirs[stage]:.1f} times as fast")
    print("requests:", ", ".join(f"{action} {number:,}" for action, number in sorted(requests.items())))


if __name__ == "__main__":
    main()
