"""Heartbeat of a kombu channel: what is delivered stays the worker's, on clocks that the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from turbosqs.kombu import heartbeat

CHANGES = ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The heartbeat's clock: it stands until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(heartbeat, "monotonic", lambda: now[0])
    return now


def requests(broker: Any) -> int:
    return sum(broker.server.stats()["requests"].get(action, 0) for action in CHANGES)


def holding(broker: Any, count: int, **options: Any) -> tuple[Any, list[Any]]:
    """A channel that has been delivered so many messages."""
    broker.publish("jobs", count)
    held: list[Any] = []
    options = {"visibility_timeout": 30, "heartbeat": True, **options}
    channel, _ = broker.consume(["jobs"], lambda _, message: held.append(message), limit=count, **options)
    broker.drive(channel, lambda: len(held) == count)
    return channel, held


def beat(broker: Any, channel: Any, clock: list[float], seconds: float) -> None:
    """So much time passes, then the heart beats; what it asks for is answered."""
    clock[0] += seconds
    broker.server.advance(seconds)
    answered: list[Any] = []
    original = channel.heartbeat._answered

    def count(*arguments: Any) -> None:
        original(*arguments)
        answered.append(arguments)

    channel.heartbeat._answered = count
    expected = sum(message.delivery_tag not in channel.qos._dirty for message in channel.qos._delivered.values())
    channel.heartbeat.beat()
    broker.drive(channel, lambda: len(answered) == expected)
    channel.heartbeat._answered = original


def test_what_is_held_stays_the_workers_and_what_is_not_comes_back(broker: Any, clock: list[float]) -> None:
    channel, held = holding(broker, 12)
    for _ in range(5):
        beat(broker, channel, clock, 10)
        assert broker.counts("jobs") == (0, 12)
    assert requests(broker) < 5 * 12, "in batches"
    for message in held[:10]:
        message.ack()
    broker.drive(channel, lambda: not channel.deletes)
    before = requests(broker)
    beat(broker, channel, clock, 10)
    assert (requests(broker) - before, broker.counts("jobs")) in [(1, (0, 2)), (2, (0, 2))]
    # Nothing beats any more, and nothing receives.
    for tag in list(channel._consumers):
        channel.basic_cancel(tag)
    broker.server.advance(31)
    assert broker.counts("jobs") == (2, 0)


def test_a_beat_that_fails_is_made_up_for_by_the_next(broker: Any, clock: list[float], caplog: Any) -> None:
    attempts = {"client-config": {"retries": {"mode": "standard", "total_max_attempts": 1}}}
    channel, _ = holding(broker, 3, **attempts)
    beat(broker, channel, clock, 10)
    broker.server.faults.add("server_error", actions=CHANGES)
    beat(broker, channel, clock, 10)
    assert "could not be extended" in caplog.text
    broker.server.faults.clear()
    beat(broker, channel, clock, 9)
    broker.server.advance(20)
    assert broker.counts("jobs") == (0, 3)


def test_what_is_lost_is_told_and_left_alone(broker: Any, clock: list[float], caplog: Any) -> None:
    channel, _ = holding(broker, 1)
    broker._observer.purge_queue(QueueUrl=broker._observer.get_queue_url(QueueName="jobs")["QueueUrl"])
    beat(broker, channel, clock, 10)
    assert "is the worker's no more" in caplog.text
    before = requests(broker)
    clock[0] += 1
    channel.heartbeat.beat()
    assert requests(broker) == before


def test_twelve_hours_are_the_most_that_there_are(broker: Any, clock: list[float]) -> None:
    channel, [message] = holding(broker, 1)
    since = channel.heartbeat._held[message.delivery_tag][0]
    asked: list[int] = []
    channel._exchange.call = lambda *arguments, **_: asked.append(arguments[2]["VisibilityTimeout"])
    for after in (10.0, 43_180.0, 43_199.5):
        channel.heartbeat._held[message.delivery_tag] = since, since
        clock[0] = since + after
        channel.heartbeat.beat()
    assert asked == [30, 19]


def test_without_the_option_nothing_is_extended(broker: Any) -> None:
    channel, _ = holding(broker, 1, heartbeat=False)
    assert not channel.heartbeat._held
    assert channel.heartbeat._timer is None
    assert requests(broker) == 0
