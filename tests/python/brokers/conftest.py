"""A broker for kombu: the embedded SQS, and connections to it whose messages the core moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous import Hub, set_event_loop
from support.queues import client, counts
from support.waiting import until
from turbosqs.kombu import receiving
from turbosqs.local import Server

OPTIONS = {"region": "us-east-1", "is_secure": False, "wait_time_seconds": 1, "polling_interval": 0.01}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are repeated without much of a pause."""
    monkeypatch.setattr(receiving, "FIRST", 0.01)
    monkeypatch.setattr(receiving, "LAST", 0.05)


class Broker:
    """A worker's side of kombu: connections, consumers, and what drives them."""

    def __init__(self, server: Server, hub: Hub | None) -> None:
        self.server = server
        self.hub = hub
        self.connections: list[Connection] = []
        self._producer: Producer | None = None
        self._observer = client(server)

    def connect(self, transport: str = "turbosqs.kombu:Transport", **options: Any) -> Connection:
        url = self.server.endpoint_url.replace("http://", "sqs://key:secret@")
        connection = Connection(url, transport=transport, transport_options={**OPTIONS, **options})
        self.connections.append(connection)
        return connection

    def publish(self, queue: str, count: int, **properties: Any) -> None:
        if self._producer is None:
            self._producer = Producer(self.connect().channel())
        for number in range(count):
            self._producer.publish(number, routing_key=queue, declare=[Queue(queue)], **properties)

    def consume(
        self,
        queues: list[str],
        on_message: Callable[[Any, Any], None],
        limit: int = 0,
        no_ack: bool = False,
        **options: Any,
    ) -> Any:
        """A channel that consumes, and its consumer."""
        channel = self.connect(**options).channel()
        channel.basic_qos(0, limit, False)
        consumer = Consumer(channel, [Queue(queue) for queue in queues], callbacks=[on_message], no_ack=no_ack)
        consumer.consume()
        return channel, consumer

    def turn(self, connection: Any) -> None:
        """One turn of the loop that a worker runs."""
        if self.hub is not None:
            self.hub.run_once()
            return
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.05)

    def drive(self, channel: Any, condition: Callable[[], Any]) -> None:
        """Run the worker until the condition holds."""

        def holds() -> bool:
            if not condition():
                self.turn(channel.connection.client)
            return bool(condition())

        until(holds)

    def counts(self, queue: str) -> tuple[int, int]:
        """How many messages are visible, and how many in flight."""
        return counts(self._observer, self._observer.get_queue_url(QueueName=queue)["QueueUrl"])


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Celery's event loop, by hand."""
    hub = Hub()
    set_event_loop(hub)
    # It sleeps while it watches nothing.
    hub.call_soon(lambda: None)
    yield hub
    set_event_loop(None)
    hub.close()


@pytest.fixture(params=["hub", "drain_events"])
def broker(request: pytest.FixtureRequest, server: Server) -> Iterator[Broker]:
    """Driven by a hub, as Celery's worker is, and by ``drain_events``, as programs of kombu's own are."""
    broker = Broker(server, request.getfixturevalue("hub") if request.param == "hub" else None)
    yield broker
    server.faults.clear()
    for connection in broker.connections:
        connection.release()
