"""dramatiq-sqs, unchanged: what it promises its users holds with the patch on.

Its sdist has no tests, so these go by its documentation: messages are worked on and acknowledged, retried, delayed, put
into a dead-letter queue, given back when a worker stops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import turbosqs
import turbosqs.dramatiq
from dramatiq.brokers import stub
from dramatiq_sqs import SQSBroker
from dramatiq_sqs.exceptions import MessageDelayTooLong, MessageTooLarge
from support.libraries import KEYS
from support.service import Service
from support.waiting import until
from support.ways import gone

OPTIONS = {"region_name": "us-east-1", **KEYS}


@pytest.fixture
def make(service: Service) -> Iterator[Callable[..., SQSBroker]]:
    """Makes brokers, whose every call must go to the core."""
    service.reset()
    brokers = []

    def make(**options: Any) -> SQSBroker:
        broker = SQSBroker(namespace="tests", endpoint_url=service.url, **OPTIONS, **options)
        brokers.append(broker)
        return broker

    with turbosqs.patched():
        yield make
        for broker in brokers:
            assert set(gone(broker.sqs.meta.client)) == {"fast"}


def messages(broker: SQSBroker, queue: str, kind: str = "") -> int:
    """How many messages SQS holds."""
    holder = broker.queues[queue] if not kind else broker.dead_letter_queues[queue]
    holder.reload()
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(int(holder.attributes[name]) for name in names)


@pytest.fixture
def working() -> Iterator[Callable[..., dramatiq.Worker]]:
    workers: list[dramatiq.Worker] = []

    def working(broker: SQSBroker, threads: int = 4) -> dramatiq.Worker:
        worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=threads)
        workers.append(worker)
        worker.start()
        return worker

    yield working
    for worker in workers:
        worker.stop()


def test_messages_are_worked_on_once_and_acknowledged(make: Any, working: Any) -> None:
    broker = make(tags={"owner": "tests"})
    seen: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="jobs")
    def job(number: int) -> None:
        seen.append(number)

    for number in range(100):
        job.send(number)
    working(broker)
    until(lambda: len(seen) >= 100 and messages(broker, "jobs") == 0)
    assert sorted(seen) == list(range(100))
    assert broker.sqs.meta.client.list_queue_tags(QueueUrl=broker.queues["jobs"].url)["Tags"] == {"owner": "tests"}


def test_what_fails_is_tried_again(make: Any, working: Any) -> None:
    broker = make()
    tries: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="flaky", min_backoff=10, max_backoff=20, max_retries=3)
    def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")

    flaky.send()
    working(broker)
    until(lambda: len(tries) == 3 and messages(broker, "flaky") == 0)


def test_what_goes_on_failing_ends_in_the_dead_letter_queue(make: Any, working: Any) -> None:
    broker = make(dead_letter=True)

    @dramatiq.actor(broker=broker, queue_name="bad", max_retries=0)
    def bad() -> None:
        raise RuntimeError("never")

    bad.send()
    working(broker)
    until(lambda: "bad" in broker.dead_letter_queues and messages(broker, "bad", "dead") == 1)
    until(lambda: messages(broker, "bad") == 0)


def test_delays(make: Any, working: Any) -> None:
    broker = make()
    seen: list[float] = []

    @dramatiq.actor(broker=broker, queue_name="later")
    def later() -> None:
        seen.append(time.monotonic())

    working(broker)
    sent = time.monotonic()
    later.send_with_options(delay=1000)
    until(lambda: seen)
    # SQS counts in whole seconds of its own.
    assert seen[0] - sent > 0.5
    with pytest.raises(MessageDelayTooLong):
        later.send_with_options(delay=16 * 60 * 1000)


def test_what_is_too_large_is_refused(make: Any) -> None:
    broker = make(max_message_size=2000)

    @dramatiq.actor(broker=broker, queue_name="large")
    def large(body: str) -> None: ...

    large.send("x" * 100)
    with pytest.raises(MessageTooLarge):
        large.send("x" * 2000)
    assert messages(broker, "large") == 1


def test_a_heartbeat_keeps_what_a_worker_has(service: Service, working: Any) -> None:
    """What is being worked on, and what waits for a thread; by boto3's own client as well."""
    service.reset()
    middleware = [turbosqs.dramatiq.heartbeat(visibility_timeout=1)]
    broker = SQSBroker(namespace="tests", endpoint_url=service.url, middleware=middleware, **OPTIONS)
    begun: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="long")
    def long(number: int) -> None:
        begun.append(number)
        # By the time at which it is over, the others would have come back several times.
        keeper = middleware[0]._keepers[0]
        until(lambda: keeper.stats()["extended"] >= 12 * (number == 0))

    for number in range(4):
        long.send(number)
    worker = working(broker, threads=1)
    until(lambda: len(begun) == 4 and messages(broker, "long") == 0, 30)
    worker.stop()
    assert sorted(begun) == [0, 1, 2, 3]
    assert not middleware[0]._keepers
    assert "consume" not in vars(broker)


def test_a_heartbeat_is_for_sqs_and_tells_of_long_visibility_timeouts(service: Service, caplog: Any) -> None:
    heartbeat = turbosqs.dramatiq.heartbeat()
    with pytest.raises(TypeError, match="SQSBroker"):
        heartbeat.before_worker_boot(stub.StubBroker(), None)
    with pytest.raises(ValueError, match="visibility_timeout"):
        turbosqs.dramatiq.heartbeat(0)
    heartbeat.before_worker_boot(SQSBroker(endpoint_url=service.url, **OPTIONS), None)
    assert "invisible for 43200 seconds" in caplog.text


def test_a_worker_that_stops_gives_back_what_it_has_not_begun(make: Any, working: Any) -> None:
    broker = make()
    begun, may_end = threading.Event(), threading.Event()

    @dramatiq.actor(broker=broker, queue_name="slow")
    def slow(_: int) -> None:
        begun.set()
        may_end.wait(10)

    for number in range(5):
        slow.send(number)
    worker = working(broker, threads=1)
    assert begun.wait(10)
    may_end.set()
    worker.stop()
    broker.queues["slow"].reload()
    assert broker.queues["slow"].attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
