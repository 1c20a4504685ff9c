"""Writers, iterators and consumers that exist are recorded once recording begins, and not any more when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from support.queues import client, consumer, send
from support.recorded import Recorded, attributes_of, linked
from support.waiting import until, until_awaiting
from turbosqs import aio, telemetry
from turbosqs.local import Server


@pytest.fixture
def sqs(server: Server) -> Any:
    return client(server)


@contextmanager
def recording() -> Iterator[Recorded]:
    recorded = Recorded()
    telemetry.instrument(**recorded.providers)
    try:
        yield recorded
    finally:
        telemetry.uninstrument()


def ids(recorded: Recorded, name: str) -> list[Any]:
    return [attributes_of(span)["messaging.message.id"] for span in recorded.spans(name)]


def sent(recorded: Recorded) -> list[tuple[str, bool]]:
    """What is known of the messages sent: their ids, and whether their spans have ended."""
    spans = recorded.spans("send q", SpanKind.PRODUCER)
    return [(str(attributes_of(span)["messaging.message.id"]), span.end_time is not None) for span in spans]


def test_a_writer(sqs: Any, url: str) -> None:
    with sqs.batch_writer(QueueUrl=url) as batch:
        batch.send_message(MessageBody="before")
        batch.flush()
        with recording() as recorded:
            batch.send_message(MessageBody="meanwhile")
            batch.flush()
            assert len(recorded.spans("send q", SpanKind.PRODUCER)) == 1
            with recording() as other:
                batch.send_message(MessageBody="for others")
                batch.flush()
            # Nothing is recorded any more, by neither.
            batch.send_message(MessageBody="after")
            batch.flush()
        batch.send_message(MessageBody="at last")
    by_body = {message["Body"]: message for message in receive(sqs, url, 5)}
    assert [identifier for identifier, _ in sent(recorded)] == [by_body["meanwhile"]["MessageId"]]
    assert [identifier for identifier, _ in sent(other)] == [by_body["for others"]["MessageId"]]
    bearing = {body for body, message in by_body.items() if "traceparent" in message.get("MessageAttributes", {})}
    assert bearing == {"meanwhile", "for others"}


def receive(sqs: Any, url: str, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
    return found


def test_a_writer_of_an_event_loop(sqs: Any, url: str) -> None:
    recordings: list[Recorded] = []

    async def main() -> None:
        async with aio.SQS(sqs).batch_writer(QueueUrl=url) as batch:
            await batch.send_message(MessageBody="before")
            with recording() as recorded:
                recordings.append(recorded)
                for number in range(3):
                    await batch.send_message(MessageBody=str(number))
                await batch.flush()
            await batch.send_message(MessageBody="after")

    asyncio.run(main())
    by_id = {message["MessageId"]: message["Body"] for message in receive(sqs, url, 5)}
    assert sorted(by_id[identifier] for identifier, _ in sent(recordings[0])) == ["0", "1", "2"]


def test_an_entry_under_way_when_recording_ends(server: Server, sqs: Any, url: str) -> None:
    """Its span ends there: nobody will hear of its answer."""
    server.faults.add("delay", actions=["SendMessage"], seconds=0.2, times=1)
    with sqs.batch_writer(QueueUrl=url) as batch:
        with recording() as recorded:
            batch.send_message(MessageBody="b")
        assert len(recorded.spans("send q", SpanKind.PRODUCER)) == 1
    assert len(recorded.spans()) == 1


@pytest.mark.parametrize("way", ["for", "next"])
def test_an_iterator(sqs: Any, url: str, way: str) -> None:
    send(sqs, url, 1)
    with sqs.poll_messages(QueueUrl=url) as messages, ThreadPoolExecutor(1) as thread:
        source = iter(messages) if way == "for" else messages
        next(source)
        waiting = thread.submit(next, source)
        with recording() as recorded:
            sqs.send_message(QueueUrl=url, MessageBody="meanwhile")
            # Somebody has waited for it since before; and polls that were under way bring it without its context.
            handed_over = [waiting.result()["MessageId"]]
            until(lambda: len(recorded.spans("receive q")) == 1)
            while not linked(recorded.spans("receive q")[-1]):
                sqs.send_message(QueueUrl=url, MessageBody="meanwhile")
                handed_over.append(next(source)["MessageId"])
            assert ids(recorded, "receive q") == handed_over
            assert "turbosqs.messages.oldest_in_hand" in metrics(recorded)
            waiting = thread.submit(next, source)
        sqs.send_message(QueueUrl=url, MessageBody="after")
        waiting.result()
        sqs.send_message(QueueUrl=url, MessageBody="at last")
        assert "traceparent" not in next(source).get("MessageAttributes", {})
    assert ids(recorded, "receive q") == handed_over


def metrics(recorded: Recorded) -> set[str]:
    names = ("turbosqs.messages.oldest_in_hand", "messaging.client.consumed.messages")
    return {name for name in names if recorded.metric(name)}


def test_an_iterator_of_an_event_loop(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    handed_over: list[Any] = []
    recordings: list[Recorded] = []

    async def main() -> None:
        awaited = aio.SQS(sqs)
        async with awaited.poll_messages(QueueUrl=url) as messages:
            await anext(messages)
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            with recording() as recorded:
                recordings.append(recorded)
                await awaited.send_message(QueueUrl=url, MessageBody="meanwhile")
                handed_over.append((await waiting)["MessageId"])
                while not linked(recorded.spans("receive q")[-1]):
                    await awaited.send_message(QueueUrl=url, MessageBody="meanwhile")
                    handed_over.append((await anext(messages))["MessageId"])
            await awaited.send_message(QueueUrl=url, MessageBody="after")
            await anext(messages)

    asyncio.run(main())
    assert ids(recordings[0], "receive q") == handed_over


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_consumer_that_runs(sqs: Any, url: str, batch_size: int | None) -> None:
    handled: list[str] = []

    def handle(given: Any) -> None:
        handled.append((given if batch_size is None else given[0])["MessageId"])

    with consumer(sqs, url, handle, batch_size=batch_size, concurrency=2):
        sqs.send_message(QueueUrl=url, MessageBody="before")
        until(lambda: len(handled) == 1)
        with recording() as recorded:
            before = len(handled)
            while not any(map(linked, recorded.spans("process q"))):
                identifier = sqs.send_message(QueueUrl=url, MessageBody="meanwhile")["MessageId"]
                until(lambda identifier=identifier: identifier in handled)  # type: ignore[misc]
                until(lambda: len(recorded.spans("process q")) == len(handled) - before)
            meanwhile = len(handled) - before
        sqs.send_message(QueueUrl=url, MessageBody="after")
        until(lambda: len(handled) == before + meanwhile + 1)
    assert len(recorded.spans("process q")) == meanwhile


def test_a_consumer_that_runs_in_an_event_loop(sqs: Any, url: str) -> None:
    handled: list[str] = []
    recordings: list[Recorded] = []

    async def handle(message: Any) -> None:
        await asyncio.sleep(0)
        handled.append(message["MessageId"])

    async def main() -> None:
        awaited = aio.SQS(sqs)
        async with aio.Consumer(awaited, QueueUrl=url, handler=handle):
            await awaited.send_message(QueueUrl=url, MessageBody="before")
            await until_awaiting(lambda: len(handled) == 1)
            with recording() as recorded:
                recordings.append(recorded)
                await awaited.send_message(QueueUrl=url, MessageBody="meanwhile")
                await until_awaiting(lambda: len(recorded.spans("process q")) == 1)
            await awaited.send_message(QueueUrl=url, MessageBody="after")
            await until_awaiting(lambda: len(handled) == 3)

    asyncio.run(main())
    assert ids(recordings[0], "process q") == [handled[1]]


def test_a_consumer_that_is_started_again(sqs: Any, url: str) -> None:
    """It has a new poller, which is recorded as the first was."""
    with recording() as recorded:
        consuming = consumer(sqs, url, lambda _: None, max_messages=1)
        for _ in range(2):
            sqs.send_message(QueueUrl=url, MessageBody="b")
            consuming.run()
        assert [len(linked(span)) for span in recorded.spans("process q")] == [1, 1]
    sqs.send_message(QueueUrl=url, MessageBody="b")
    consuming.run()
    assert len(recorded.spans("process q")) == 2


def test_a_client_that_is_never_recorded(server: Server, url: str) -> None:
    sqs = client(server, telemetry=False)
    with sqs.batch_writer(QueueUrl=url) as batch, recording() as recorded:
        batch.send_message(MessageBody="b")
        batch.flush()
        assert not recorded.spans()
