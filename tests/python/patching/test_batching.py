"""Calls made one at a time, from many threads, share requests on the core, patched clients' too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import turbosqs
from support.libraries import BOTO3
from support.ways import gone

THREADS, EACH = 32, 10


def test_acknowledging_from_many_threads(embedded: Any) -> None:
    """What a worker's threads do. It proves that deletes overlapping in time share DeleteMessageBatch requests, that
    each caller is answered, and that every message is gone."""
    embedded.reset()
    client = BOTO3.client(embedded.endpoint_url)
    url = client.create_queue(QueueName="q")["QueueUrl"]
    for first in range(0, THREADS * EACH, 10):
        entries = [{"Id": str(number), "MessageBody": f"{first + number}"} for number in range(10)]
        client.send_message_batch(QueueUrl=url, Entries=entries)
    handles = []
    while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        handles += [message["ReceiptHandle"] for message in found]
    assert len(handles) == THREADS * EACH
    barrier = Barrier(THREADS)
    # Replies that take a moment, as over a network: without, the first requests are back before the others are made.
    embedded.faults.add("delay", actions=["DeleteMessage", "DeleteMessageBatch"], seconds=0.005)

    def acknowledge(mine: list[str]) -> None:
        barrier.wait()
        for handle in mine:
            reply = client.delete_message(QueueUrl=url, ReceiptHandle=handle)
            assert reply["ResponseMetadata"]["HTTPStatusCode"] == 200

    before = embedded.stats()["requests"]
    with turbosqs.patched(), ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(acknowledge, [handles[number::THREADS] for number in range(THREADS)]))
        assert gone(client)["fast"] == len(handles)
    embedded.faults.clear()
    after = embedded.stats()["requests"]
    requests = sum(after.get(action, 0) - before.get(action, 0) for action in ("DeleteMessage", "DeleteMessageBatch"))
    assert requests <= len(handles) / 4
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == counts["ApproximateNumberOfMessages"] == "0"
