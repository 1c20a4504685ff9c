"""turbosqs at work, against the embedded SQS: create, send, receive and delete, with the same through boto3 beside it.

The third part sends one message a call from 32 threads, where turbosqs lets calls that overlap share requests.

python examples/demo.py [--messages 10000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import turbosqs
from tqdm import tqdm
from turbosqs.local import Server

TEN = 10
THREADS = 32
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


def send_one_by_one(sqs: Any, url: str, count: int, done: Callable[[int], object]) -> None:
    def send_one(number: int) -> None:
        sqs.send_message(QueueUrl=url, MessageBody=f"{number} {BODY}")
        done(1)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(send_one, range(count)))  # the list is what raises, if a call did


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


def run(name: str, module: Any, server: Server, count: int) -> dict[str, tuple[float, int]]:
    """The whole job through one library: messages a second, and requests made, by stage."""
    keys = {"aws_access_key_id": "demo", "aws_secret_access_key": "demo", "region_name": "us-east-1"}
    sqs = module.client("sqs", endpoint_url=server.endpoint_url, **keys)
    url = sqs.create_queue(QueueName=f"demo-{name}")["QueueUrl"]
    speed = {}
    stages = (
        ("send by tens", send, count),
        ("receive + delete", receive_and_delete, count),
        (f"send, {THREADS} threads", send_one_by_one, count // 5),
        ("and receive those", receive_and_delete, count // 5),
    )
    for stage, work, number in stages:
        label = f"{name:>9} {stage:<17}"
        # No bar (disable=None) into a file.
        with tqdm(total=number, desc=label, unit=" msg", mininterval=0.2, disable=None) as bar:
            before = sum(server.stats()["requests"].values())
            started = time.perf_counter()
            work(sqs, url, number, bar.update)
            took = time.perf_counter() - started
        speed[stage] = number / took, sum(server.stats()["requests"].values()) - before
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
    print(f"\n{count + count // 5:,} messages created, received and deleted by each library; all accounted for.")
    print(f"{'messages a second':18} {'turbosqs':>10} {'boto3':>8}                       requests: turbosqs    boto3")
    for stage, (speed, requests) in ours.items():
        their_speed, their_requests = theirs[stage]
        ratio = f"{speed / their_speed:.1f} times as fast"
        print(f"{stage:18} {speed:10,.0f} {their_speed:8,.0f}   {ratio:>20} {requests:18,} {their_requests:8,}")


if __name__ == "__main__":
    main()
