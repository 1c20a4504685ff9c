"""Heartbeat of a kombu channel: what is delivered stays the worker's for as long as it has it.

It goes by the machine's clock, in the core: its timing is tested there, and here that the right messages are kept.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from support.waiting import until
from turbosqs.kombu import clients, heartbeat

CHANGES = ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"]

#: The shortest, so that extensions fall due soon: a second, by the machine's clock.
SHORT = 1


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


def keeper(channel: Any) -> Any:
    [(_, _, keeper)] = channel.heartbeat._keepers.values()
    return keeper


def test_what_is_held_is_kept_though_nobody_drives_the_channel(broker: Any) -> None:
    """As with ``-P solo``, whose hub runs the task."""
    _, held = holding(broker, 12, visibility_timeout=SHORT)
    channel = held[0].channel
    until(lambda: keeper(channel).stats()["extended"] >= 3 * 12)
    assert (keeper(channel).stats()["lost"], broker.counts("jobs")) == (0, (0, 12))
    assert requests(broker) < 3 * 12, "in batches"
    # Nothing is kept any more once the channel is closed, and all goes back.
    channel.close()
    assert (len(channel.heartbeat), broker.counts("jobs")) == (0, (12, 0))


def test_what_is_settled_is_kept_no_longer(broker: Any) -> None:
    channel, held = holding(broker, 6)
    assert keeper(channel).stats()["held"] == 6
    for message in held[:3]:
        message.ack()
        assert message.delivery_tag not in channel.heartbeat._held
    held[3].reject()
    assert (len(channel.heartbeat), keeper(channel).stats()["held"]) == (2, 2)
    broker.drive(channel, lambda: not channel.deletes)
    channel.give_back([("jobs", held[4].delivery_info["sqs_queue"], held[4].delivery_tag)], wait=True)
    assert held[4].delivery_tag not in channel.heartbeat._held, "it may have come again, by another receipt handle"


def test_another_client_takes_over_what_is_held(broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu makes one when a role's credentials are about to expire."""
    monkeypatch.setattr(heartbeat, "PERIOD", 0.01)
    channel, _ = holding(broker, 4)
    before = keeper(channel)
    channel._sqs = None
    broker.drive(channel, lambda: keeper(channel) is not before)
    assert (before.stats()["held"], keeper(channel).stats()["held"], len(channel.heartbeat)) == (0, 4, 4)


def test_without_credentials_messages_are_delivered_and_the_worker_goes_on(
    broker: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    core = clients.CoreClients.core

    def refuse(self: Any, operation: str, unheard: bool = False) -> Any:
        if operation == "ChangeMessageVisibility":
            raise NoCredentialsError
        return core(self, operation, unheard)

    monkeypatch.setattr(heartbeat, "PERIOD", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(clients.CoreClients, "core", refuse)
        channel, _ = holding(broker, 2)
        assert "is not kept invisible: Unable to locate credentials" in caplog.text
        assert len(channel.heartbeat) == 0
    broker.publish("jobs", 1)
    other, _ = broker.consume(["jobs"], lambda *_: None, limit=1, heartbeat=True, visibility_timeout=30)
    broker.drive(other, lambda: len(other.heartbeat) == 1)
    monkeypatch.setattr(clients.CoreClients, "core", refuse)
    broker.drive(other, lambda: "is kept with older credentials" in caplog.text)
    assert keeper(other).stats()["held"] == 1


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_credentials_are_handed_over_by_a_thread_where_the_hub_is_busy(
    broker: Any, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forks want no thread."""
    kept: list[str] = []
    monkeypatch.setattr(clients.CoreClients, "keep_handing_over", lambda _, operation: kept.append(operation))
    monkeypatch.setitem(heartbeat.sys.modules, f"celery.concurrency.{pool}", heartbeat)  # type: ignore[attr-defined]
    if pool == "solo":
        monkeypatch.delitem(heartbeat.sys.modules, "celery.concurrency.prefork", raising=False)  # type: ignore[attr-defined]
    holding(broker, 1)
    assert kept == ([] if pool == "prefork" else ["ChangeMessageVisibility"])


def test_without_the_option_nothing_is_kept(broker: Any) -> None:
    channel, _ = holding(broker, 1, heartbeat=False)
    assert (len(channel.heartbeat), channel.heartbeat._keepers, requests(broker)) == (0, {}, 0)
