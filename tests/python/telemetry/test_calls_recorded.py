"""Spans of calls: one for each caller, one for the request that several share, and who sent a message stands in it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import turbosqs
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode
from support.libraries import KEYS
from support.queues import client
from support.recorded import Recorded, attributes_of, context_of, linked, sender
from turbosqs import aio, telemetry
from turbosqs.local import Server
from turbosqs.sqs import SQS


def common(server: Server, url: str, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": "aws_sqs",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": "q",
        "aws.sqs.queue.url": url,
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }


def receive(server: Server, url: str) -> list[Any]:
    """All messages with all that they bear, by a client that is not recorded."""
    plain = client(server, telemetry=False)
    found: list[Any] = []
    while more := plain.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
    ).get("Messages"):
        found += more
    return found


def test_a_message_from_its_sender_to_its_end(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    with recorded.tracer.start_as_current_span("program") as program:
        reply = sqs.send_message(QueueUrl=url, MessageBody="b")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=60)
    deleted = sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.list_queues()
    sent, received, changed, settled = recorded.spans()
    assert [span.name for span in (sent, received, changed, settled)] == ["send q", "receive q", "settle q", "settle q"]
    kinds = [SpanKind.PRODUCER, *[SpanKind.CLIENT] * 3]
    assert [span.kind for span in (sent, received, changed, settled)] == kinds
    ids = {"messaging.message.id": reply["MessageId"]}
    request = {"aws.request_id": reply["ResponseMetadata"]["RequestId"]}
    assert attributes_of(sent) == {**common(server, url, "send"), **ids, **request}
    assert sent.parent is not None
    assert sent.parent.span_id == program.get_span_context().span_id
    of_receive = {**common(server, url, "receive"), **ids}
    assert {**(received.attributes or {}), "aws.request_id": None} == {**of_receive, "aws.request_id": None}
    assert linked(received) == [context_of(sent)] == [sender(message)]
    assert dict(received.links[0].attributes or {}) == ids
    request = {"aws.request_id": deleted["ResponseMetadata"]["RequestId"]}
    assert attributes_of(settled) == {**common(server, url, "settle"), **request}
    assert all(span.status.status_code is StatusCode.UNSET for span in recorded.spans())
    # What its caller has not asked for is not in the reply.
    assert "MD5OfMessageAttributes" not in reply


def test_a_thousand_coroutines_keep_a_thousand_traces(server: Server, recorded: Recorded, url: str) -> None:
    async def main() -> None:
        async with aio.Session().client("sqs", "us-east-1", endpoint_url=server.endpoint_url, **KEYS) as sqs:

            async def send(number: int) -> None:
                with recorded.tracer.start_as_current_span(f"coroutine {number}"):
                    await sqs.send_message(QueueUrl=url, MessageBody=str(number))

            await asyncio.gather(*map(send, range(1_000)))

    asyncio.run(main())
    callers = recorded.spans("send q", SpanKind.PRODUCER)
    requests = recorded.spans("send q", SpanKind.CLIENT)
    assert len(callers) == len({context_of(span) for span in callers}) == 1_000
    assert all(span.parent is not None and span.parent.trace_id == context_of(span)[0] for span in callers)
    shared = [context for span in requests for context in linked(span)]
    counts = [attributes_of(span)["messaging.batch.message_count"] for span in requests]
    assert counts == [len(span.links) for span in requests]
    # Each caller's entry left in one request. Those that had one to themselves need no other span.
    assert len(shared) == len(set(shared)) == sum(counts)
    assert sum(counts) >= 900
    assert len(requests) == server.stats()["requests"]["SendMessageBatch"] <= 200
    assert set(shared) <= set(map(context_of, callers))
    for span in requests:
        attributes = attributes_of(span)
        assert span.parent is None
        assert attributes["turbosqs.flush.reason"] in ("idle", "full", "returned", "linger")
        assert len(attributes["aws.request_id"]) == 36
    by_body = {message["Body"]: message for message in receive(server, url)}
    assert len(by_body) == 1_000
    ids = {attributes_of(span)["messaging.message.id"]: context_of(span) for span in callers}
    assert all(sender(message) == ids[message["MessageId"]] for message in by_body.values())


def test_threads_share_requests_and_keep_their_traces(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    server.faults.add("delay", actions=["SendMessage", "SendMessageBatch"], seconds=0.02)
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda number: sqs.send_message(QueueUrl=url, MessageBody=str(number)), range(200)))
    callers = recorded.spans("send q", SpanKind.PRODUCER)
    ids = {attributes_of(span)["messaging.message.id"]: context_of(span) for span in callers}
    assert set(ids) == {reply["MessageId"] for reply in replies}
    shared = [context for span in recorded.spans("send q", SpanKind.CLIENT) for context in linked(span)]
    assert len(shared) == len(set(shared)) > 20
    assert all(sender(message) == ids[message["MessageId"]] for message in receive(server, url))


def test_an_entry_that_is_asked_for_again(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    server.faults.add("partial_failure", actions=["SendMessageBatch"], entries=[1, 2], times=1)
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(3):
            batch.send_message(MessageBody=str(number))
    callers = recorded.spans("send q", SpanKind.PRODUCER)
    first, again = recorded.spans("send q", SpanKind.CLIENT)
    assert sorted(linked(first)) == sorted(map(context_of, callers))
    assert len(linked(again)) == 2
    assert set(linked(again)) < set(linked(first))
    assert all(span.status.status_code is StatusCode.UNSET for span in recorded.spans())
    assert {sender(message) for message in receive(server, url)} == set(map(context_of, callers))
    assert recorded.metric("turbosqs.attempts.repeated") == {(): 2}


def test_a_batch_of_the_callers_own_is_one_span(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    entries = [{"Id": str(number), "MessageBody": "b"} for number in range(3)]
    server.faults.add("partial_failure", actions=["SendMessageBatch"], entries=[1], times=1, sender_fault=True)
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert entries[0] == {"Id": "0", "MessageBody": "b"}, "what a caller has given is not touched"
    code = reply["Failed"][0]["Code"]
    [span] = recorded.spans()
    assert (span.kind, span.status.status_code) == (SpanKind.PRODUCER, StatusCode.ERROR)
    assert span.status.description == "1 of 3 entries"
    attributes = attributes_of(span)
    assert (attributes["messaging.batch.message_count"], attributes["error.type"]) == (3, code)
    assert [sender(message) for message in receive(server, url)] == [context_of(span)] * 2
    assert recorded.metric("messaging.client.sent.messages") == {("send",): 2, (code, "send"): 1}


@pytest.mark.parametrize("way", ["sync", "aio"])
def test_calls_that_fail(server: Server, recorded: Recorded, sqs: Any, url: str, way: str) -> None:
    def call(method: str, **arguments: Any) -> Any:
        if way == "sync":
            return getattr(sqs, method)(**arguments)

        async def main() -> Any:
            return await getattr(aio.SQS(sqs), method)(**arguments)

        return asyncio.run(main())

    gone = url.replace("/q", "/gone")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        call("send_message", QueueUrl=gone, MessageBody="b")
    with pytest.raises(turbosqs.exceptions.ParamValidationError):
        call("send_message", QueueUrl=url, MessageBody=1)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        call("receive_message", QueueUrl=gone)
    with pytest.raises(turbosqs.exceptions.ParamValidationError):
        call("receive_message", QueueUrl=url, MessageAttributeNames=1)
    server.faults.add("server_error", times=1)
    call("send_message", QueueUrl=url, MessageBody="b")
    refused, unfit, unfound, unasked, retried = recorded.spans()
    code = "AWS.SimpleQueueService.NonExistentQueue"
    for span, kind in ((refused, code), (unfit, "ParamValidationError"), (unfound, code)):
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, kind)
        assert attributes_of(span)["error.type"] == kind
    assert attributes_of(unasked)["error.type"] == "ParamValidationError"
    assert attributes_of(refused)["messaging.destination.name"] == "gone"
    assert len(str(attributes_of(refused)["aws.request_id"])) == 36
    assert attributes_of(retried)["turbosqs.retries"] == 1
    duration = recorded.metric("messaging.client.operation.duration")
    assert {key: count for key, (count, _) in duration.items()} == {
        (code, "send"): 1,
        ("ParamValidationError", "send"): 1,
        (code, "receive"): 1,
        ("ParamValidationError", "receive"): 1,
        ("send",): 1,
    }


def test_no_room_for_a_context(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    ten = {f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(10)}
    full = "é" * (1 << 19)
    own = {"traceparent": {"DataType": "String", "StringValue": "mine"}}
    sqs.send_message(QueueUrl=url, MessageBody="ten", MessageAttributes=ten)
    sqs.send_message(QueueUrl=url, MessageBody="nine", MessageAttributes=dict(list(ten.items())[1:]))
    sqs.send_message(QueueUrl=url, MessageBody="own", MessageAttributes=own)
    sqs.send_message(QueueUrl=url, MessageBody=full)
    # name, type and value of traceparent take 11 + 6 + 55 bytes.
    sqs.send_message(QueueUrl=url, MessageBody="x" * ((1 << 20) - 72))
    sqs.send_message(QueueUrl=url, MessageBody="x" * ((1 << 20) - 71))
    half = {"MessageBody": "x" * (1 << 19)}
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "0", **half}, {"Id": "1", **half}])
    with_context = {
        (message["Body"][:4], len(message["Body"])): "traceparent" in message.get("MessageAttributes", ())
        for message in receive(server, url)
    }
    assert with_context == {
        ("ten", 3): False,
        ("nine", 4): True,
        ("own", 3): True,
        ("éééé", 1 << 19): False,
        ("xxxx", (1 << 20) - 72): True,
        ("xxxx", (1 << 20) - 71): False,
        ("xxxx", 1 << 19): False,
    }
    assert all(span.status.status_code is StatusCode.UNSET for span in recorded.spans())


@pytest.mark.usefixtures("xray")
def test_xrays_context_travels_in_its_own_attribute(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    ten = {f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(10)}
    reply = sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes=ten)
    assert "MD5OfMessageSystemAttributes" not in reply
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "0", "MessageBody": "c"}])
    messages = [*sqs.receive_message(QueueUrl=url)["Messages"], *sqs.receive_message(QueueUrl=url)["Messages"]]
    senders = recorded.spans("send q")
    for message, span in zip(messages, senders, strict=True):
        trace_id, span_id = (f"{part:0{width}x}" for part, width in zip(context_of(span), (32, 16), strict=True))
        expected = f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span_id};Sampled=1"
        assert message["Attributes"] == {"AWSTraceHeader": expected}
    assert [linked(span) for span in recorded.spans("receive q")] == [[context_of(span)] for span in senders]
    [message] = receive(server, server.create_queue("other")) or [None]
    assert message is None


def test_a_writers_entries_end_when_they_are_answered(server: Server, recorded: Recorded, sqs: Any, url: str) -> None:
    def write() -> None:
        with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(25):
                batch.send_message(MessageBody=str(number), **({"DelaySeconds": 1000} if number == 7 else {}))
            with pytest.raises(turbosqs.exceptions.ParamValidationError):
                batch.send_message(MessageBody=1)

    program = recorded.tracer.start_span("program")
    with trace.use_span(program), pytest.raises(turbosqs.exceptions.BatchWriterError) as raised:
        write()
    [failure] = raised.value.failures
    assert failure.params["MessageBody"] == "7"
    spans = recorded.spans("send q", SpanKind.PRODUCER)
    assert len(spans) == 26
    parent = program.get_span_context().span_id
    assert all(span.parent is not None and span.parent.span_id == parent for span in spans)
    errors = [attributes_of(span).get("error.type") for span in spans]
    assert [place for place, error in enumerate(errors) if error] == [7, 25]
    ids = {attributes_of(span).get("messaging.message.id"): context_of(span) for span in spans}
    assert all(sender(message) == ids[message["MessageId"]] for message in receive(server, url))
    sent = recorded.metric("messaging.client.sent.messages")
    assert sent == {("send",): 24, (errors[7], "send"): 1}


def test_a_writer_on_an_event_loop(server: Server, recorded: Recorded, url: str) -> None:
    async def main() -> None:
        batching = turbosqs.Batching(max_waiting=20)
        sqs = aio.Session().client("sqs", "us-east-1", endpoint_url=server.endpoint_url, batching=batching, **KEYS)
        async with sqs, sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(300):
                await batch.send_message(MessageBody=str(number))

    asyncio.run(main())
    spans = recorded.spans("send q", SpanKind.PRODUCER)
    ids = {attributes_of(span)["messaging.message.id"]: context_of(span) for span in spans}
    messages = receive(server, url)
    assert len(spans) == len(ids) == len(messages) == 300
    assert all(sender(message) == ids[message["MessageId"]] for message in messages)


def test_who_is_recorded(server: Server, url: str) -> None:
    before = SQS._make_api_call
    existing, excepted = client(server), client(server, telemetry=False)
    recorded, other = Recorded(), Recorded()

    def calls() -> list[str]:
        for number, each in enumerate((existing, excepted)):
            each.send_message(QueueUrl=url, MessageBody=str(number))
        names = [span.name for span in (*recorded.spans(), *other.spans())]
        recorded.clear()
        other.clear()
        return names

    assert calls() == []
    try:
        telemetry.instrument(**recorded.providers)
        assert calls() == ["send q"]
        # The later providers count.
        telemetry.instrument(**other.providers)
        existing.send_message(QueueUrl=url, MessageBody="b")
        assert (len(recorded.spans()), len(other.spans())) == (0, 1)
        token = context.attach(context.set_value("suppress_instrumentation", True))
        other.clear()
        assert calls() == []
        context.detach(token)
    finally:
        telemetry.uninstrument()
    assert calls() == []
    telemetry.uninstrument()
    assert SQS._make_api_call is before


def test_telemetry_of_one_client(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    monkeypatch.setattr(telemetry.switch, "_single", None)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorded.tracer_provider)
    plain, chosen = client(server), client(server, telemetry=True)
    plain.send_message(QueueUrl=url, MessageBody="b")
    assert not recorded.spans()
    chosen.send_message(QueueUrl=url, MessageBody="b")
    aio_client = aio.SQS(chosen)

    async def main() -> None:
        await aio_client.send_message(QueueUrl=url, MessageBody="b")

    asyncio.run(main())
    assert [span.name for span in recorded.spans()] == ["send q"] * 2
    with pytest.raises(TypeError, match="telemetry must be a bool or None, not int"):
        client(server, telemetry=1)
    with pytest.raises(TypeError, match="telemetry is for SQS clients on the Rust core"):
        turbosqs.Session().client("s3", telemetry=True)
    monkeypatch.undo()
    telemetry.uninstrument()
    telemetry.switch._settle()
