"""OpenTelemetry's botocore instrumentation sees with the patch what it sees without: spans and headers.

It wraps ``BaseClient._make_api_call`` and ``Endpoint.prepare_request``. What the other tools see is in
``instrumentation``; here are the servers, and what becomes of the trace on the way.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier
from types import FunctionType
from typing import Any
from unittest import mock

import opentelemetry.instrumentation.botocore as opentelemetry_botocore
import pytest
import turbosqs
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.exceptions import ParamValidationError
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.fakes import Scripted, ok
from support.libraries import BOTO3, KEYS
from support.service import Service
from support.ways import gone

METHODS = ["CreateQueue", "SendMessage", "ReceiveMessage", "GetQueueUrl"]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = BotocoreInstrumentor()  # type: ignore[no-untyped-call]
    # Instrumented by the program, in its own time.
    exporter.instrument = lambda: instrumentor.instrument(tracer_provider=provider)  # type: ignore[attr-defined]
    exporter.uninstrument = instrumentor.uninstrument  # type: ignore[attr-defined]
    yield exporter
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def program(
    url: str, exporter: Any, instrumented_first: bool, is_patched: bool
) -> tuple[list[Any], dict[str, int], list[Any]]:
    """Calls before, under and after instrumentation. The spans, the ways, and the trace headers that arrived."""
    if instrumented_first:
        exporter.instrument()
    client = BOTO3.client(url)
    if not instrumented_first:
        queue = client.create_queue(QueueName="traced")["QueueUrl"]
        exporter.instrument()
    queue = client.create_queue(QueueName="traced")["QueueUrl"]
    client.send_message(QueueUrl=queue, MessageBody="b")
    found = client.receive_message(QueueUrl=queue, AttributeNames=["All"])["Messages"]
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.get_queue_url(QueueName="none")
    exporter.uninstrument()
    client.list_queues()
    spans = [
        (span.name, span.kind, span.status.status_code, span.status.description, comparable(span.attributes))
        for span in exporter.get_finished_spans()
    ]
    traced = ["AWSTraceHeader" in message["Attributes"] for message in found]
    return spans, gone(client) if is_patched else {}, traced


def comparable(attributes: Any) -> dict[str, Any]:
    """Without what is new with every message."""
    return {
        name: type(value) if name.endswith(("request_id", "message.id")) else value
        for name, value in attributes.items()
    }


@pytest.mark.parametrize("instrumented_first", [True, False], ids=["before the client", "after the client"])
def test_spans(service: Service, exporter: Any, instrumented_first: bool) -> None:
    results = []
    for is_patched in (False, True):
        service.reset()
        exporter.clear()
        with turbosqs.patched() if is_patched else nullcontext():
            results.append(program(service.url, exporter, instrumented_first, is_patched))
    (spans, _, traced), (our_spans, ways, ours_traced) = results
    assert [attributes["rpc.method"] for *_, attributes in spans] == METHODS
    assert our_spans == spans
    # moto does not heed the header that botocore's request has.
    assert ours_traced == [True]
    assert traced == [service.name == "embedded"]
    # Four calls under instrumentation, and the others.
    assert ways == {"fast": len(METHODS) + (1 if instrumented_first else 2), "traced": len(METHODS)}


# --- the trace -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tracing(exporter: Any) -> Iterator[Any]:
    """A span that a call is under, with botocore instrumented and patched."""
    exporter.instrument()
    with turbosqs.patched(), TracerProvider().get_tracer("test").start_as_current_span("caller") as span:
        yield span


def test_a_lone_request_keeps_its_header(tracing: Any, scripted: Scripted) -> None:
    """SQS heeds it for sends only, whose messages have it as an attribute; whatever else goes alone has it as well."""
    client = BOTO3.client(scripted.url)
    scripted.play(ok())
    client.delete_message(QueueUrl=f"{scripted.url}/q", ReceiptHandle="h")
    client.receive_message(QueueUrl=f"{scripted.url}/q", WaitTimeSeconds=1)
    client.list_queues()
    trace = f"{tracing.get_span_context().trace_id:032x}"
    root = f"Root=1-{trace[:8]}-{trace[8:]}"
    assert [root in request.headers["x-amzn-trace-id"] for request in scripted.requests] == [True] * 3


@pytest.mark.usefixtures("tracing")
def test_shared_requests_have_none(scripted: Scripted) -> None:
    client, url = BOTO3.client(scripted.url), f"{scripted.url}/q"
    entries = [{"Id": str(number), "MessageId": "m", "MD5OfMessageBody": "d"} for number in range(10)]
    scripted.play(ok(Successful=entries))
    barrier = Barrier(4)

    def delete(number: int) -> None:
        barrier.wait()
        for _ in range(5):
            client.delete_message(QueueUrl=url, ReceiptHandle=str(number))

    with ThreadPoolExecutor(4) as threads:
        context = [contextvars.copy_context() for _ in range(4)]
        for each in [threads.submit(one.run, delete, number) for number, one in enumerate(context)]:
            each.result()
    batches = [each for each in scripted.requests if each.headers["x-amz-target"].endswith("DeleteMessageBatch")]
    assert batches
    assert all("x-amzn-trace-id" not in each.headers for each in batches)


@pytest.mark.usefixtures("tracing")
def test_what_the_caller_gave_is_left_alone(embedded: Any) -> None:
    embedded.reset()
    client = BOTO3.client(embedded.endpoint_url)
    url = client.create_queue(QueueName="q")["QueueUrl"]
    own = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    entries = [{"Id": "a", "MessageBody": "b"}, {"Id": "c", "MessageBody": "d", "MessageSystemAttributes": own}]
    before = copy.deepcopy(entries)
    sent = client.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]
    assert entries == before
    assert ["MD5OfMessageSystemAttributes" in entry for entry in sent] == [False, True]
    sent = [
        client.send_message(QueueUrl=url, MessageBody="e", **given) for given in ({"MessageSystemAttributes": own}, {})
    ]
    assert ["MD5OfMessageSystemAttributes" in each for each in sent] == [True, False]
    found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["AWSTraceHeader"])["Messages"]
    traces = {each["Body"]: each["Attributes"]["AWSTraceHeader"] for each in found[:4]}
    assert traces["d"] == own["AWSTraceHeader"]["StringValue"]
    assert traces["b"] != traces["d"]


@pytest.mark.usefixtures("tracing")
def test_entries_that_do_not_fit(embedded: Any) -> None:
    """They are complained of as they are without a trace."""
    client = BOTO3.client(embedded.endpoint_url)
    for entries in (5, [5], [{"MessageBody": 5}], [{"Id": "a", "MessageBody": "b", "MessageSystemAttributes": 5}]):
        with pytest.raises(ParamValidationError) as ours:
            client.send_message_batch(QueueUrl="u", Entries=entries)
        with pytest.raises(ParamValidationError) as stock:
            BOTO3.client(embedded.endpoint_url)._convert_to_request_dict(
                {"QueueUrl": "u", "Entries": entries},
                client.meta.service_model.operation_model("SendMessageBatch"),
                "http://h",
                {},
            )
        assert str(ours.value) == str(stock.value)


def test_the_trace_of_a_lambda_function(exporter: Any, embedded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore adds it itself, and instrumentation leaves it as it is."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
    exporter.instrument()
    embedded.reset()
    traces = []
    for patch in (nullcontext(), turbosqs.patched()):
        with patch, TracerProvider().get_tracer("test").start_as_current_span("caller"):
            client = BOTO3.client(embedded.endpoint_url)
            url = client.create_queue(QueueName="q")["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody="b")
            [message] = client.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
            traces.append(message["Attributes"]["AWSTraceHeader"])
    assert traces[0] == traces[1] == "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


# --- who is not known ------------------------------------------------------------------------------------------------


def test_who_is_not_known_is_named(embedded: Any) -> None:
    with turbosqs.patched():
        client = BOTO3.client(embedded.endpoint_url)
        original = BaseClient._make_api_call

        def stranger(self: Any, operation_name: str, api_params: Any) -> Any:
            return original(self, operation_name, api_params)

        with mock.patch.object(BaseClient, "_make_api_call", stranger):
            client.list_queues()

        def listener(**_: Any) -> None: ...

        client.meta.events.register("before-call", listener)
        client.list_queues()
    name = f"{__name__}.test_who_is_not_known_is_named.<locals>"
    ways = {way: number for way, number in turbosqs.stats().items() if name in way}
    assert ways == {f"wrapped: {name}.stranger": 1, f"events: {name}.listener": 1}
    with pytest.raises(TypeError, match="patched"):
        turbosqs.stats(object())


def test_a_tool_that_hooks_lower_than_it_is_known_to(exporter: Any, embedded: Any) -> None:
    """It is known by what it wraps, not by its name."""
    exporter.instrument()
    with turbosqs.patched():
        client = BOTO3.client(embedded.endpoint_url)
        client.list_queues()
        lower = FunctionType(BotocoreInstrumentor._patched_api_call.__code__, vars(opentelemetry_botocore))
        lower.__qualname__ = "BotocoreInstrumentor._patched_send"
        with mock.patch.object(Endpoint, "_send", lower), contextlib.suppress(Exception):
            client.list_queues()
        assert gone(client) == {"fast": 1, "traced": 1, "wrapped": 1}


def test_powertools_names_itself_and_no_more(embedded: Any) -> None:
    """AWS Lambda Powertools has a handler in every session, which adds its name to the User-Agent."""
    from aws_lambda_powertools.shared.user_agent import register_feature_to_session

    with turbosqs.patched():
        session = BOTO3.session()
        register_feature_to_session(session, "test")  # type: ignore[no-untyped-call]
        client = session.client("sqs", region_name="us-east-1", endpoint_url=embedded.endpoint_url, **KEYS)
        client.list_queues()
        assert gone(client) == {"fast": 1}
