"""kombu's SQS transport with its messages moved by the core: consumers and channels, on the embedded SQS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import turbosqs.kombu
from kombu.transport.SQS.exceptions import AccessDeniedQueueException
from support.waiting import until
from turbosqs.kombu import ReceiveError

DELETES = ["DeleteMessage", "DeleteMessageBatch"]


def requests(broker: Any, *actions: str) -> int:
    return sum(broker.server.stats()["requests"].get(action, 0) for action in actions)


def acknowledge(_: Any, message: Any) -> None:
    message.ack()


def collect(seen: list[Any]) -> Callable[[Any, Any], None]:
    """A consumer's callback that keeps what came, and acknowledges it."""

    def on_message(body: Any, message: Any) -> None:
        seen.append(body)
        message.ack()

    return on_message


def test_all_is_delivered_once_and_acknowledged_in_batches(broker: Any) -> None:
    seen: list[int] = []

    def work(body: Any, message: Any) -> None:
        seen.append(body)
        message.ack()

    broker.publish("jobs", 95)
    before = turbosqs.stats()["fast"]
    channel, _ = broker.consume(["jobs"], work, limit=40)
    broker.drive(channel, lambda: len(seen) == 95 and not channel.deletes)
    channel.close()
    assert sorted(seen) == list(range(95))
    assert broker.counts("jobs") == (0, 0)
    # How many share one is up to how busy the machine is: the next tests have the rule.
    assert requests(broker, *DELETES) <= 95
    assert turbosqs.stats()["fast"] - before >= 95 + 10


def test_deletes_leave_together_and_at_once_when_none_can_join_them(
    broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the worker has: it has nothing to do before the next poll, which waits for their answer."""
    monkeypatch.setattr(turbosqs.kombu.acknowledging, "LINGER", 3600)
    broker.publish("jobs", 16)
    seen: list[Any] = []
    channel, _ = broker.consume(["jobs"], lambda _, message: seen.append(message), limit=8)
    for times in (1, 2):
        broker.drive(channel, lambda times=times: len(seen) == 8 * times)
        for message in seen[-8:-1]:
            message.ack()
        assert requests(broker, *DELETES) == times - 1, "the eighth is to come"
        seen[-1].ack()
    broker.drive(channel, lambda: not channel.deletes)
    assert (requests(broker, *DELETES), broker.counts("jobs")) == (2, (0, 0))


@pytest.mark.parametrize("limit", [1, 8, 40])
def test_no_more_is_in_flight_than_the_prefetch_limit(broker: Any, limit: int) -> None:
    """Counted by the server, with deletes that take their time to be answered: they count until they are."""
    seen: list[Any] = []
    broker.publish("jobs", 40)
    broker.server.faults.add("delay", seconds=0.02, actions=DELETES)
    channel, _ = broker.consume(["jobs"], lambda _, message: seen.append(message), limit=limit)
    most = 0

    def look() -> bool:
        nonlocal most
        most = max(most, broker.counts("jobs")[1])
        for message in seen:
            if not message.acknowledged:
                message.ack()
        return len(seen) == 40 and not channel.deletes

    broker.drive(channel, look)
    assert 0 < most <= limit


def test_an_acknowledgement_waits_for_nobody(broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbosqs.kombu.channel, "TIMEOUT", 0.1)
    broker.publish("jobs", 3)
    broker.server.faults.add("delay", seconds=3600, actions=DELETES, times=1)
    seen: list[Any] = []
    channel, _ = broker.consume(["jobs"], lambda _, message: seen.append(message), limit=4)
    broker.drive(channel, lambda: len(seen) == 3)
    for message in seen:
        message.ack()
    assert len(channel.deletes) == 3
    assert channel.qos.can_consume_max_estimate() == 1, "they have their places until they are answered"


def test_what_is_not_acknowledged_goes_back_when_the_channel_closes(broker: Any) -> None:
    broker.publish("jobs", 30)
    seen: list[Any] = []
    channel, consumer = broker.consume(["jobs"], lambda _, message: seen.append(message), limit=20)
    broker.drive(channel, lambda: len(seen) == 20)
    for message in seen[:5]:
        message.ack()
    consumer.cancel()
    channel.close()
    assert broker.counts("jobs") == (25, 0)
    assert requests(broker, "ChangeMessageVisibility", "ChangeMessageVisibilityBatch") <= 8


def test_what_a_poll_brings_for_nobody_goes_back(broker: Any) -> None:
    channel, consumer = broker.consume(["jobs"], acknowledge, limit=10, wait_time_seconds=20)
    broker.drive(channel, lambda: channel._receiving.polls == 1)
    until(lambda: requests(broker, "ReceiveMessage") == 1)
    broker.publish("jobs", 4)
    # The poll has come back by now, or is about to; nobody has looked.
    consumer.cancel()
    channel.close()
    assert broker.counts("jobs") == (4, 0)


def test_a_consumer_that_fails_leaves_nothing_invisible_behind(broker: Any) -> None:
    broker.publish("jobs", 8)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    channel, _ = broker.consume(["jobs"], fail, limit=8)
    with pytest.raises(ZeroDivisionError):
        broker.drive(channel, lambda: False)
    channel.close()
    assert broker.counts("jobs") == (8, 0)


@pytest.mark.parametrize("fault", ["reset", "throttle"])
def test_what_may_pass_is_waited_for(broker: Any, fault: str, caplog: Any) -> None:
    """More often than the core repeats a request by itself; kombu's own worker stops for good."""
    broker.publish("jobs", 20)
    seen: list[int] = []
    attempts = {"client-config": {"retries": {"mode": "standard", "total_max_attempts": 1}}}
    channel, _ = broker.consume(["jobs"], collect(seen), **attempts)
    broker.server.faults.add(fault, actions=["ReceiveMessage", *DELETES], times=8)
    with caplog.at_level(logging.WARNING, "turbosqs.kombu"):
        broker.drive(channel, lambda: len(set(seen)) == 20 and not channel.deletes)
    channel.close()
    assert broker.counts("jobs") == (0, 0)
    assert any("again" in record.message or "next attempt" in record.message for record in caplog.records)


def test_what_does_not_pass_is_an_error_that_a_worker_connects_anew_for(broker: Any) -> None:
    channel, _ = broker.consume(["jobs"], acknowledge)
    broker.server.faults.add("access_denied", actions=["ReceiveMessage"])
    with pytest.raises(ReceiveError, match=r"cannot be received from.*AccessDenied") as raised:
        broker.drive(channel, lambda: False)
    assert isinstance(raised.value, channel.connection.client.connection_errors)
    assert raised.value.__cause__ is not None
    channel.close()
    # The new connection may be refused as well, by credentials that are no good any more: that is to be tried again.
    broker.server.faults.add("access_denied", actions=["ListQueues"])
    with pytest.raises(ReceiveError):
        broker.connect().transport.establish_connection()


def test_what_cannot_be_deleted_is_told_by_the_next_acknowledgement(broker: Any, caplog: Any) -> None:
    broker.publish("jobs", 2)
    seen: list[Any] = []
    channel, _ = broker.consume(["jobs"], lambda _, message: seen.append(message), limit=2)
    broker.drive(channel, lambda: len(seen) == 2)
    broker.server.faults.add("access_denied", actions=DELETES, times=1)
    seen[0].ack()
    broker.drive(channel, lambda: not channel.deletes)
    assert channel.qos.can_consume(), "its place is free again"
    assert "could not be deleted" in caplog.text
    with pytest.raises(AccessDeniedQueueException):
        seen[1].ack()
    broker.drive(channel, lambda: not channel.deletes)
    assert broker.counts("jobs") == (0, 1), "the second one is deleted all the same"


def test_without_acknowledgements_messages_are_deleted_as_they_come(broker: Any) -> None:
    broker.publish("jobs", 12)
    seen: list[int] = []
    channel, _ = broker.consume(["jobs"], lambda body, _: seen.append(body), no_ack=True)
    broker.drive(channel, lambda: len(seen) == 12 and not channel.deletes)
    channel.close()
    assert (sorted(seen), broker.counts("jobs")) == (list(range(12)), (0, 0))


def test_many_queues_with_a_small_limit_all_have_their_turn(broker: Any) -> None:
    names = [f"q{number}" for number in range(5)]
    seen: list[int] = []
    for name in names:
        broker.publish(name, 3)
    channel, _ = broker.consume(names, collect(seen), limit=2)
    broker.drive(channel, lambda: len(seen) == 15 and not channel.deletes)
    channel.close()
    assert [broker.counts(name) for name in names] == [(0, 0)] * 5


def test_groups_of_a_fifo_queue_come_in_order(broker: Any) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for number in range(10):
        for group in seen:
            broker.publish("jobs.fifo", 1, MessageGroupId=group, headers={"number": number, "group": group})

    def work(_: Any, message: Any) -> None:
        seen[message.headers["group"]].append(message.headers["number"])
        message.ack()

    channel, _ = broker.consume(["jobs.fifo"], work, limit=4)
    broker.drive(channel, lambda: sum(map(len, seen.values())) == 20 and not channel.deletes)
    channel.close()
    assert seen == {"a": list(range(10)), "b": list(range(10))}


def test_predefined_queues_have_clients_of_their_own(broker: Any) -> None:
    urls = {name: broker.server.create_queue(name) for name in ("one", "two")}
    keys = {name: {"access_key_id": f"key-{name}", "secret_access_key": "secret"} for name in urls}
    predefined = {name: {"url": url, "region": "us-east-1", **keys[name]} for name, url in urls.items()}
    for name in urls:
        broker.publish(name, 5)
    seen: list[int] = []
    channel, _ = broker.consume(list(urls), collect(seen), predefined_queues=predefined)
    broker.drive(channel, lambda: len(seen) == 10 and not channel.deletes)
    cores = {channel.core_clients(name).core("DeleteMessage").credentials()[0] for name in urls}
    assert cores == {"key-one", "key-two"}
    channel.close()
    assert [broker.counts(name) for name in urls] == [(0, 0)] * 2


def test_who_listens_to_the_client_hears_what_there_is_to_hear(broker: Any, caplog: Any) -> None:
    """A handler of an event: the messages move by kombu's own code then, and a line in the log says so."""
    if broker.hub is not None:
        pytest.skip("on a hub kombu itself receives past the client")
    broker.publish("jobs", 3)
    heard: list[str] = []
    seen: list[int] = []
    channel, _ = broker.consume(["jobs"], collect(seen))
    channel.sqs().meta.events.register("before-call.sqs", lambda model, **_: heard.append(model.name))
    broker.drive(channel, lambda: len(seen) == 3)
    assert heard.count("DeleteMessage") == 3
    assert "ReceiveMessage" in heard
    assert "kombu's own transport: somebody listens to its calls (events: " in caplog.text
