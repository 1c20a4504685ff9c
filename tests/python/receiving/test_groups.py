"""``Consumer`` with batches and with message groups."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
from support.queues import consumer, send
from support.waiting import until
from turbosqs.local import Server


def test_batches_and_their_failures(sqs: Any, url: str) -> None:
    """In Lambda's form: what is named is seen again, the rest is deleted."""
    send(sqs, url, 30)
    seen: Counter[str] = Counter()
    sizes: list[int] = []

    def handle(messages: list[Any]) -> dict[str, Any]:
        sizes.append(len(messages))
        seen.update(message["Body"] for message in messages)
        failed = [m for m in messages if int(m["Body"]) % 3 == 0 and seen[m["Body"]] == 1]
        return {"batchItemFailures": [{"itemIdentifier": message["MessageId"]} for message in failed]}

    options: dict[str, Any] = {"batch_size": 10, "retry_delay": 0, "on_error": lambda *_: None}
    with consumer(sqs, url, handle, **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 30)
    assert seen == {str(number): 1 + (number % 3 == 0) for number in range(30)}
    assert max(sizes) <= 10
    assert consuming.stats()["failed"] == 10


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"wrong": "key"}]},
        {"batchItemFailures": "all"},
        {"failures": []},
        ["id"],
        ZeroDivisionError(),
    ],
)
def test_a_bad_answer_fails_the_whole_batch(answer: Any, sqs: Any, url: str) -> None:
    """As on Lambda: better seen twice than lost."""
    send(sqs, url, 5)
    seen: Counter[str] = Counter()
    errors: list[BaseException] = []

    def handle(messages: list[Any]) -> Any:
        first = not seen
        seen.update(message["Body"] for message in messages)
        if first and isinstance(answer, Exception):
            raise answer
        return answer if first else {"batchItemFailures": None}

    options: dict[str, Any] = {"batch_size": 5, "batch_window": 1, "retry_delay": 0, "concurrency": 1}
    with consumer(sqs, url, handle, on_error=lambda error, _: errors.append(error), **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 5)
    assert set(seen.values()) == {2}
    assert len(errors) == 5
    assert len({type(error) for error in errors}) == 1


def test_a_batch_window(sqs: Any, url: str) -> None:
    sizes: list[int] = []
    options: dict[str, Any] = {"batch_size": 5, "batch_window": 0.4, "concurrency": 1}
    with consumer(sqs, url, lambda messages: sizes.append(len(messages)), **options):
        for number in range(3):
            send(sqs, url, 1, first=number)
        until(lambda: sum(sizes) == 3)
    assert sizes == [3]


def test_fifo_groups_in_order_and_in_parallel(server: Server, sqs: Any) -> None:
    """Fifty groups, slow and failing handlers: one of a group at a time, each in order, groups side by side."""
    url = server.create_queue("q.fifo")
    send(sqs, url, 500, groups=50)
    lock = threading.Lock()
    done: dict[str, list[int]] = {f"g{group}": [] for group in range(50)}
    running: set[str] = set()
    failed: set[str] = set()
    most = 0

    def handle(message: Any) -> None:
        nonlocal most
        group, body = message["Attributes"]["MessageGroupId"], message["Body"]
        with lock:
            assert group not in running
            running.add(group)
            most = max(most, len(running))
        try:
            time.sleep(0.03 if int(body) % 7 == 0 else 0.001)
            if int(body) % 11 == 0 and body not in failed:
                failed.add(body)
                raise ValueError(body)
            done[group].append(int(body))
        finally:
            with lock:
                running.remove(group)

    errors: list[BaseException] = []
    options: dict[str, Any] = {"concurrency": 20, "retry_delay": 0}
    with consumer(sqs, url, handle, on_error=lambda error, _: errors.append(error), **options) as consuming:
        until(lambda: consuming.stats()["deleted"] == 500, 40)
    assert done == {f"g{group}": list(range(group, 500, 50)) for group in range(50)}
    assert {type(error) for error in errors} == {ValueError}
    assert most > 1


def test_fifo_batches_hold_a_group_together(server: Server, sqs: Any) -> None:
    """A batch may have several of one group, in order; nobody else has any of it meanwhile."""
    url = server.create_queue("q.fifo")
    send(sqs, url, 100, groups=2)
    running: Counter[str] = Counter()
    done: dict[str, list[int]] = {"g0": [], "g1": []}

    def handle(messages: list[Any]) -> None:
        groups = {message["Attributes"]["MessageGroupId"] for message in messages}
        for group in groups:
            running[group] += 1
            assert running[group] == 1
        time.sleep(0.005)
        for message in messages:
            done[message["Attributes"]["MessageGroupId"]].append(int(message["Body"]))
        for group in groups:
            running[group] -= 1

    with consumer(sqs, url, handle, batch_size=10, concurrency=4) as consuming:
        until(lambda: consuming.stats()["handled"] == 100)
    assert done == {"g0": list(range(0, 100, 2)), "g1": list(range(1, 100, 2))}
