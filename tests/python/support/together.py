"""Calls that are made to share requests, and what a queue holds afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import turbosqs
from turbosqs.exceptions import BatchWriterError
from turbosqs.sqs import SQS

from support.libraries import KEYS
from support.observe import Outcome, outcome
from support.relay import Relay
from support.waiting import until

Call = Callable[[], Any]


def connect(url: str, **options: Any) -> SQS:
    """A client of turbosqs."""
    settings = {**KEYS, "region_name": "us-east-1", "endpoint_url": url, **options}
    client: SQS = turbosqs.Session().client("sqs", **settings)
    return client


def patient(url: str, attempts: int = 3, **options: Any) -> SQS:
    """A client that makes so many attempts."""
    return connect(url, config=turbosqs.Config(retries={"total_max_attempts": attempts, "mode": "standard"}), **options)


def given(sqs: SQS) -> int:
    """How many calls the client has taken that may share a request."""
    return sum(sqs.stats()["messages"].values())


def in_threads(calls: Sequence[Call]) -> list[Outcome]:
    """What each came to, all made at the same time."""
    return start(calls)()


def start(calls: Sequence[Call]) -> Callable[[], list[Outcome]]:
    """Make each call in a thread of its own; what comes back waits for all of them."""
    results: list[Any] = [None] * len(calls)

    def make(place: int, call: Call) -> None:
        results[place] = outcome(call)

    threads = [threading.Thread(target=make, args=each, daemon=True) for each in enumerate(calls)]
    for thread in threads:
        thread.start()

    def join() -> list[Outcome]:
        deadline = time.monotonic() + 45
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in threads), "calls hang"
        return results

    return join


def one_by_one(sqs: SQS, calls: Iterable[Call]) -> list[Callable[[], list[Outcome]]]:
    """Start each call in a thread of its own, the next when the client has taken the last."""
    joins = []
    for call in calls:
        count = given(sqs)
        joins.append(start([call]))
        until(lambda count=count: given(sqs) > count)  # type: ignore[misc]
    return joins


def together(relay: Relay, sqs: SQS, first: Call, calls: Sequence[Call]) -> list[Outcome]:
    """What the calls come to while ``first`` keeps a request in flight: up to ten of them share one, in their order.

    The client must linger longer than a test lasts.
    """
    relay.hold()
    joins = one_by_one(sqs, [first])
    until(lambda: relay.passed)
    joins += one_by_one(sqs, calls)
    relay.release()
    results = [join()[0] for join in joins]
    return results[1:]


def write(sqs: SQS, url: str, give: Callable[[Any], object], **options: Any) -> None:
    """All that there is to a writer's block, but for what it is given."""
    with sqs.batch_writer(QueueUrl=url, **options) as batch:
        give(batch)


def refused(sqs: SQS, url: str, give: Callable[[Any], object], **options: Any) -> BatchWriterError:
    """What a writer's block ends with."""
    with pytest.raises(BatchWriterError) as caught:
        write(sqs, url, give, **options)
    return caught.value


def held(sqs: Any, url: str) -> Counter[str]:
    """The bodies in a queue, by how often they are there, received and deleted."""
    return Counter(message["Body"] for message in drain(sqs, url))


def drain(sqs: Any, url: str) -> list[dict[str, Any]]:
    """All messages that can be received from a queue, in the order in which they come; they are deleted."""
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
    ).get("Messages"):
        found += messages
        entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found
