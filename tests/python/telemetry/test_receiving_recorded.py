"""Spans and metrics of those who receive: nothing before a message is handed over, and a span around each handler."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import turbosqs
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from support.libraries import KEYS
from support.queues import client, consumer, send
from support.recorded import Recorded, attributes_of, context_of, linked, sender
from support.waiting import until
from turbosqs import aio, telemetry
from turbosqs.local import Server


def senders(recorded: Recorded) -> dict[str, tuple[int, int]]:
    """Who has sent a message, by its id."""
    spans = recorded.spans(kind=SpanKind.PRODUCER)
    return {str(attributes_of(span)["messaging.message.id"]): context_of(span) for span in spans}


def test_an_iterator_is_recorded_at_the_hand_over(recorded: Recorded, sqs: Any, url: str) -> None:
    send(sqs, url, 30)
    sent = senders(recorded)
    with sqs.poll_messages(QueueUrl=url) as messages:
        first = next(messages)
        until(lambda: messages.stats()["received"] > 5)
        [span] = recorded.spans("receive q")
        assert (span.kind, linked(span)) == (SpanKind.CLIENT, [sent[first["MessageId"]]])
        assert "messaging.batch.message_count" not in attributes_of(span)
        assert attributes_of(span)["messaging.message.id"] == first["MessageId"]
        rest = [next(messages) for _ in range(4)]
    spans = recorded.spans("receive q")
    assert [linked(span) for span in spans] == [[sent[message["MessageId"]]] for message in (first, *rest)]
    assert recorded.metric("messaging.client.consumed.messages") == {("receive",): 5}
    given_back = messages.stats()["received"] - 5
    assert recorded.metric("turbosqs.messages.given_back") == {(): given_back}


def test_an_iterator_of_an_event_loop(server: Server, recorded: Recorded, url: str) -> None:
    async def main() -> list[Any]:
        async with aio.Session().client("sqs", "us-east-1", endpoint_url=server.endpoint_url, **KEYS) as sqs:
            await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(n)) for n in range(5)))
            return [message async for message in sqs.poll_messages(QueueUrl=url, max_messages=5)]

    messages = asyncio.run(main())
    assert [linked(span)[0] for span in recorded.spans("receive q")] == [sender(message) for message in messages]


@pytest.mark.parametrize("way", ["threads", "asyncio"])
def test_a_handler_that_fails_and_is_tried_again(recorded: Recorded, sqs: Any, url: str, way: str) -> None:
    send(sqs, url, 3)
    seen: list[tuple[str, tuple[int, int]]] = []

    def handle(message: Any) -> None:
        current = trace.get_current_span().get_span_context()
        seen.append((message["MessageId"], (current.trace_id, current.span_id)))
        if message["Body"] == "1" and len([each for each, _ in seen if each == message["MessageId"]]) == 1:
            raise LookupError("not this time")

    async def handle_and_wait(message: Any) -> None:
        await asyncio.sleep(0)
        handle(message)

    if way == "threads":
        consumer(sqs, url, handle, retry_delay=0, concurrency=2, max_messages=4).run()
    else:

        async def main() -> None:
            options: dict[str, Any] = {"retry_delay": 0, "concurrency": 2, "max_messages": 4}
            await aio.Consumer(aio.SQS(sqs), QueueUrl=url, handler=handle_and_wait, **options).run()

        asyncio.run(main())
    spans = recorded.spans("process q")
    sent = senders(recorded)
    assert all(span.kind is SpanKind.CONSUMER and span.parent is None for span in spans)
    by_message = [(attributes_of(span)["messaging.message.id"], context_of(span)) for span in spans]
    assert sorted(by_message) == sorted(seen), "the handler runs within its span"
    assert all(linked(span) == [sent[str(attributes_of(span)["messaging.message.id"])]] for span in spans)
    [failed] = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert attributes_of(failed)["error.type"] == "LookupError"
    [event] = failed.events
    assert (event.attributes or {})["exception.message"] == "not this time"
    counted = {key: count for key, (count, _) in recorded.metric("messaging.process.duration").items()}
    assert counted == {("process",): 3, ("LookupError", "process"): 1}
    assert recorded.metric("messaging.client.consumed.messages") == {("process",): 4}
    # Its deletes, and the change of visibility, in whatever requests they left.
    entries = recorded.metric("turbosqs.request.entries")[("settle",)]
    assert entries[1] == 4
    settled = recorded.spans("settle q")
    assert sum(int(attributes_of(span).get("messaging.batch.message_count", 1)) for span in settled) == 4


def test_a_span_of_the_senders_own_trace(server: Server, url: str) -> None:
    recorded = Recorded()
    telemetry.instrument(**recorded.providers, process_as_child=True)
    try:
        sqs = client(server)
        send(sqs, url, 2)
        client(server, telemetry=False).send_message(QueueUrl=url, MessageBody="from elsewhere")
        consumer(sqs, url, lambda _: None, max_messages=3).run()
    finally:
        telemetry.uninstrument()
    sent = senders(recorded)
    spans = {str(attributes_of(span)["messaging.message.id"]): span for span in recorded.spans("process q")}
    children = [(span.parent.trace_id, span.parent.span_id) for span in spans.values() if span.parent is not None]
    assert sorted(children) == sorted(sent.values())
    assert len(spans) == 3
    assert not any(linked(span) for span in spans.values())
    recorded.shut_down()


def test_a_batch_is_one_span_with_a_link_for_each_message(recorded: Recorded, sqs: Any, url: str) -> None:
    send(sqs, url, 5)
    given: list[list[Any]] = []

    def handle(messages: list[Any]) -> Any:
        given.append(messages)
        if len(given) == 1:
            return {"batchItemFailures": [{"itemIdentifier": messages[0]["MessageId"]}]}
        return None

    consumer(sqs, url, handle, batch_size=5, batch_window=1, concurrency=1, retry_delay=0, max_messages=6).run()
    sent = senders(recorded)
    spans = recorded.spans("process q")
    assert [linked(span) for span in spans] == [[sent[message["MessageId"]] for message in batch] for batch in given]
    counts = [attributes_of(span)["messaging.batch.message_count"] for span in spans]
    assert counts == [len(batch) for batch in given]
    assert not any("messaging.message.id" in attributes_of(span) for span in spans)
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR, *[StatusCode.UNSET] * (len(spans) - 1)]
    assert attributes_of(spans[0])["error.type"] == "batchItemFailures"
    assert recorded.metric("messaging.client.consumed.messages") == {("process",): 6}


def test_message_groups(server: Server, recorded: Recorded, sqs: Any) -> None:
    url = server.create_queue("q.fifo")
    send(sqs, url, 20, groups=4)
    sent = senders(recorded)
    handled: list[str] = []
    consumer(sqs, url, lambda message: handled.append(message["MessageId"]), max_messages=20).run()
    spans = recorded.spans("process q.fifo")
    assert {str(attributes_of(span)["messaging.message.id"]): linked(span) for span in spans} == {
        message: [context] for message, context in sent.items()
    }
    assert sorted(handled) == sorted(sent)
    # Requests are of one group's order or of many groups; whatever they were, each caller is in one.
    shared = [context for span in recorded.spans("send q.fifo", SpanKind.CLIENT) for context in linked(span)]
    assert sorted(shared) == sorted(sent.values())


def test_a_consumer_that_was_there_before(server: Server, url: str) -> None:
    sqs = client(server)
    consuming = consumer(sqs, url, lambda _: None, max_messages=2)
    recorded = Recorded()
    telemetry.instrument(**recorded.providers)
    try:
        send(sqs, url, 2)
        consuming.run()
    finally:
        telemetry.uninstrument()
    assert sorted(linked(span)[0] for span in recorded.spans("process q")) == sorted(senders(recorded).values())
    recorded.shut_down()


def test_what_is_in_hand_and_in_flight(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    server.faults.add("delay", actions=["SendMessage"], seconds=0.5, times=1)
    ages: list[Any] = []

    def handle(_: Any) -> None:
        until(lambda: turbosqs_age(recorded) > 0)
        ages.append(recorded.metric("turbosqs.messages.oldest_in_hand"))

    with consumer(sqs, url, handle) as consuming, sqs.batch_writer(QueueUrl=server.create_queue("other")) as batch:
        until(lambda: consuming.stats()["handled"] == 1)
        batch.send_message(MessageBody="b")
        batch._writer.send()
        until(lambda: recorded.metric("turbosqs.requests.in_flight")[()] == 1)
    assert ages[0][()] > 0
    assert recorded.metric("turbosqs.requests.in_flight") == {(): 0}
    assert ("send", "flush") in recorded.metric("turbosqs.flushes")


def turbosqs_age(recorded: Recorded) -> float:
    return float(recorded.metric("turbosqs.messages.oldest_in_hand").get((), 0))


def test_a_lambda_handler(recorded: Recorded, sqs: Any, url: str) -> None:
    send(sqs, url, 2)
    records: list[Any] = []

    def handle(event: Any, _: Any) -> None:
        records.extend(event["Records"])

    turbosqs.Consumer(sqs, QueueUrl=url, lambda_handler=handle, max_messages=2).run()
    links = [context for span in recorded.spans("process q") for context in linked(span)]
    assert sorted(links) == sorted(senders(recorded).values())
    assert all("traceparent" in record["messageAttributes"] for record in records)
