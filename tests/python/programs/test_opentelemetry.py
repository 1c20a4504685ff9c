"""OpenTelemetry's botocore instrumentation sees with the patch what it sees without: spans and headers.

It wraps ``BaseClient._make_api_call`` and ``Endpoint.prepare_request``: while it does, calls are botocore's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import turbosqs
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.libraries import BOTO3
from support.service import Service
from support.ways import gone

METHODS = ["CreateQueue", "SendMessage", "ReceiveMessage", "GetQueueUrl"]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = BotocoreInstrumentor()
    # Instrumented by the program, in its own time.
    exporter.instrument = lambda: instrumentor.instrument(tracer_provider=provider)  # type: ignore[attr-defined]
    exporter.uninstrument = instrumentor.uninstrument  # type: ignore[attr-defined]
    yield exporter
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def program(url: str, exporter: Any, instrumented_first: bool) -> tuple[list[Any], dict[str, int], list[Any]]:
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
    return spans, gone(client) if hasattr(client, "stats") else {}, traced


def comparable(attributes: Any) -> dict[str, Any]:
    """Without what is new with every message."""
    return {
        name: type(value) if name.endswith(("request_id", "message.id")) else value
        for name, value in attributes.items()
    }


@pytest.mark.parametrize("instrumented_first", [True, False], ids=["before the client", "after the client"])
def test_spans(service: Service, exporter: Any, instrumented_first: bool) -> None:
    results = []
    for patch in (nullcontext(), turbosqs.patched()):
        service.reset()
        exporter.clear()
        with patch:
            results.append(program(service.url, exporter, instrumented_first))
    (spans, _, traced), (our_spans, ways, ours_traced) = results
    assert [attributes["rpc.method"] for *_, attributes in spans] == METHODS
    assert (our_spans, ours_traced) == (spans, traced)
    # Four calls under instrumentation; the others are fast, the one after it too.
    assert ways == {"wrapped": len(METHODS), "fast": 1 if instrumented_first else 2}
