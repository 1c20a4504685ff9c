"""Publishing by the core: one after another, overlapping, in a batch with an end, and in batches without one."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import ClientError
from celery import Celery
from kombu import Connection, Producer, Queue
from support.waiting import until
from turbosqs.kombu import PublishError, batch_publishing

from .conftest import OPTIONS, Broker

SENDS = ["SendMessage", "SendMessageBatch"]


@pytest.fixture
def app(server: Any) -> Any:
    app = Celery("app", broker=server.endpoint_url.replace("http://", "sqs://key:secret@"), set_as_current=False)
    app.conf.update(broker_transport="turbosqs.kombu:Transport", broker_transport_options=OPTIONS)
    # The first publishing of an application declares its queue.
    with app.connection_for_write() as connection:
        app.amqp.queues["celery"].bind(connection.default_channel).declare()
    yield app
    app.close()


def sends(server: Any) -> int:
    return sum(server.stats()["requests"].get(action, 0) for action in SENDS)


def test_one_after_another(server: Any, app: Any) -> None:
    before = turbosqs.stats()["fast"]
    for number in range(5):
        app.send_task("work", (number,))
    assert (sends(server), turbosqs.stats()["fast"] - before) == (5, 5)


def test_sends_that_overlap_share_requests(server: Any) -> None:
    connection = Broker(server, None).connect()
    channels = [connection.channel() for _ in range(20)]
    Queue("jobs", channel=channels[0]).declare()
    server.faults.add("delay", seconds=0.2, actions=SENDS)
    together = Barrier(len(channels))

    def publish(channel: Any) -> None:
        together.wait()
        Producer(channel).publish("hello", routing_key="jobs")

    with ThreadPoolExecutor(len(channels)) as pool:
        # What the first one of each channel needs is found by then.
        list(pool.map(publish, channels))
        before = sends(server)
        list(pool.map(publish, channels))
    connection.release()
    assert sends(server) - before < 15


def test_a_refusal_is_boto3s(server: Any, app: Any) -> None:
    server.faults.add("access_denied", actions=SENDS)
    with pytest.raises(ClientError, match="AccessDenied"):
        app.send_task("work", retry=False)


def test_a_block_sends_full_batches_and_ends_when_all_is_answered(server: Any, app: Any) -> None:
    with batch_publishing(app):
        for number in range(100):
            app.send_task("work", (number,))
    # One or two more where the machine has stood still for longer than a batch waits.
    made = sends(server)
    assert 10 <= made <= 12
    # Outside of it nothing waits.
    app.send_task("work")
    assert sends(server) == made + 1


def test_all_that_failed_is_told_with_its_task(server: Any, app: Any) -> None:
    server.faults.add("access_denied", actions=SENDS, times=1)
    ids: list[str] = []
    with pytest.raises(PublishError, match=r"messages? w[a-z]+ not published, the first one: <work ") as raised:  # noqa: SIM117
        with batch_publishing(app):
            ids.extend(app.send_task("work", (number,)).id for number in range(30))
    failures = raised.value.failures
    assert str(raised.value).startswith(f"{len(failures)} message")
    assert {failure.task for failure in failures} == {"work"}
    # The first batch: ten, or fewer where the machine has stood still.
    assert [failure.id for failure in failures] == ids[: min(len(failures), 10)]
    assert all(isinstance(failure.error, ClientError) for failure in failures)


def test_an_exception_that_ends_the_block_goes_on(server: Any, app: Any, caplog: Any) -> None:
    server.faults.add("access_denied", actions=SENDS)
    with pytest.raises(ZeroDivisionError), batch_publishing(app):
        app.send_task(f"work{1 // len(app.send_task('work').id[:0])}")
    assert "not published: <work " in caplog.text


def test_a_block_for_another_transport_is_refused() -> None:
    with pytest.raises(TypeError, match=r"kombu\.transport\.memory, and not by turbosqs\.kombu"):
        batch_publishing(Connection("memory://"))


def test_batches_without_an_end(server: Any, caplog: Any) -> None:
    broker = Broker(server, None)
    connection = broker.connect(publish_batching=True)
    producer = Producer(connection.channel())
    for number in range(50):
        producer.publish(number, routing_key="jobs", declare=[Queue("jobs")])
    until(lambda: broker.counts("jobs")[0] == 50)
    assert sends(server) <= 6
    server.faults.add("access_denied", actions=SENDS)
    producer.publish(0, routing_key="jobs", headers={"task": "work", "id": "7"})
    with caplog.at_level(logging.ERROR, "turbosqs.kombu"):
        connection.release()
    assert "not published: <work 7: " in caplog.text
