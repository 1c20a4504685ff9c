"""A program under an instrumentation tool: ``program.py TOOL ORDER WAY`` prints as JSON what the tool recorded of it.

``ORDER``: ``tool`` sets the tool up before boto3's clients are patched, ``patch`` afterwards. ``WAY``: ``stock``
patches nothing; ``patched``; ``own`` uses turbosqs's own client. What is new with every run is masked.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import turbosqs
import turbosqs.local

#: Keys that stand nowhere in what is recorded.
KEYS = {
    "aws_access_key_id": "AKIDINUSE0000000",
    "aws_secret_access_key": "SECRETKEYINUSE0",
    "aws_session_token": "SESSIONTOKENINUSE0",
}
SETTINGS = {"region_name": "us-east-1", **KEYS}

#: What a tool has recorded, in the order in which it ended.
Spans = Callable[[], list[Any]]
#: Something that spans are under.
Under = Callable[[str], AbstractContextManager[Any]]


def opentelemetry(library: str = "botocore") -> tuple[Under, Spans]:
    from opentelemetry.instrumentation import botocore
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def requested(span: Any, service: str, operation: str, params: Any) -> None:
        span.set_attribute("requested", f"{service} {operation} {sorted(params)}")

    def responded(span: Any, service: str, operation: str, result: Any) -> None:
        span.set_attribute("responded", f"{service} {operation} {sorted(result or ())}")

    instrumentor = getattr(botocore, f"{library.capitalize()}Instrumentor")()
    instrumentor.instrument(tracer_provider=provider, request_hook=requested, response_hook=responded)

    def spans() -> list[Any]:
        found = exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in found}
        return [
            {
                "name": span.name,
                "kind": str(span.kind),
                "attributes": dict(span.attributes or {}),
                "status": [str(span.status.status_code), span.status.description],
                "parent": names.get(span.parent.span_id) if span.parent else None,
                "events": [[event.name, without_traceback(event.attributes)] for event in span.events],
            }
            for span in found
        ]

    return provider.get_tracer("program").start_as_current_span, spans


def sentry(library: str = "botocore") -> tuple[Under, Spans]:  # noqa: ARG001
    import sentry_sdk
    from sentry_sdk.transport import Transport

    events: list[Any] = []
    heads: list[Any] = []

    class Kept(Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: Any) -> None:
            found = [item.payload.json for item in envelope.items if item.payload.json]
            events.extend(found)
            heads.extend(envelope.headers.get("trace") for event in found if event.get("type") == "transaction")

    # Not on the host of the queue: to Sentry itself it sends no headers.
    sentry_sdk.init(dsn="http://key@sentry.invalid/1", traces_sample_rate=1.0, transport=Kept)

    @contextmanager
    def under(name: str) -> Iterator[None]:
        with sentry_sdk.start_transaction(name=name) as transaction:
            yield
            # What it is called by then stands in the envelope, unless a call has told it to others before.
            transaction.name = f"{name}, renamed"

    def spans() -> list[Any]:
        found: list[Any] = [{"told": {**head, "sample_rand": None}} for head in heads]
        # Others are of what boto3 logs, and of Python's HTTP library.
        crumbs = sentry_sdk.get_isolation_scope()._breadcrumbs
        found += [{"crumb": crumb["data"]} for crumb in crumbs if "aws.request.url" in crumb.get("data", {})]
        for event in (event for event in events if event.get("type") == "transaction"):
            names = {span["span_id"]: span["op"] for span in event.get("spans", ())}
            for span in event.get("spans", ()):
                # Those of Python's HTTP library are not there where it is not used.
                if span["op"] == "http.client" and span.get("origin") != "auto.http.boto3":
                    continue
                kept = {name: span.get(name) for name in ("op", "description", "origin", "status", "tags", "data")}
                found.append({**kept, "parent": names.get(span["parent_span_id"], "transaction")})
        return found

    return under, spans


def datadog(library: str = "botocore") -> tuple[Under, Spans]:
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    traces: list[Any] = []

    class Kept(TraceFilter):  # type: ignore[misc]
        def process_trace(self, trace: Any) -> Any:
            traces.append(trace)

    tracer.configure(trace_processors=[Kept()])
    patch(**{library: True})

    def spans() -> list[Any]:
        return [
            {
                "name": span.name,
                "resource": span.resource,
                "service": span.service,
                "type": span.span_type,
                "error": span.error,
                "tags": {
                    name: value
                    for name, value in {**span.get_tags(), **span.get_metrics()}.items()
                    # The stack has our frames in the place of botocore's.
                    if not name.startswith("_dd.") and name not in ("runtime-id", "process_id", "error.stack")
                },
                "parent": getattr(span._parent, "name", None),
            }
            for trace in traces
            for span in trace
        ]

    return tracer.trace, spans


def xray(library: str = "botocore") -> tuple[Under, Spans]:
    os.environ["AWS_XRAY_CONTEXT_MISSING"] = "IGNORE_ERROR"
    from aws_xray_sdk.core import patch, xray_recorder

    sent: list[Any] = []

    class Kept:
        def send_entity(self, entity: Any) -> None:
            sent.append(json.loads(entity.serialize()))

    if library == "aiobotocore":
        from aws_xray_sdk.core.async_context import AsyncContext

        xray_recorder.configure(context=AsyncContext(use_task_factory=False))
    xray_recorder.configure(service="program", sampling=False, emitter=Kept())
    patch([library])

    def walk(entity: Any, parent: str | None) -> Iterator[Any]:
        kept = {name: entity.get(name) for name in ("name", "namespace", "aws", "http", "error", "fault", "throttle")}
        cause = [exception["type"] for exception in (entity.get("cause") or {}).get("exceptions", ())]
        yield {**kept, "cause": cause, "parent": parent}
        for child in entity.get("subsegments", ()):
            yield from walk(child, entity["name"])

    return xray_recorder.in_segment, lambda: [span for entity in sent for span in walk(entity, None)]


def elastic(library: str = "botocore") -> tuple[Under, Spans]:  # noqa: ARG001
    import elasticapm

    sent: list[Any] = []

    class Kept(elasticapm.Client):  # type: ignore[misc]
        def queue(self, event_type: str, data: Any, flush: bool = False) -> None:  # noqa: ARG002
            if event_type in ("span", "transaction"):
                sent.append((event_type, data))

    client = Kept(
        service_name="program", disable_send=True, central_config=False, cloud_provider="none", metrics_interval="0s"
    )
    elasticapm.instrument()

    @contextmanager
    def under(name: str) -> Iterator[Any]:
        transaction = client.begin_transaction("program")
        try:
            yield transaction
        finally:
            client.end_transaction(name, "done")

    def spans() -> list[Any]:
        names = {data["id"]: data["name"] for _, data in sent}
        wanted = ("name", "type", "subtype", "action", "context", "outcome", "links", "otel")
        return [
            {**{name: data.get(name) for name in wanted}, "parent": names.get(data["parent_id"])}
            for event_type, data in sent
            if event_type == "span"
        ]

    return under, spans


def newrelic(library: str = "botocore") -> tuple[Under, Spans]:  # noqa: ARG001
    os.environ["NEW_RELIC_LICENSE_KEY"] = "0" * 40
    os.environ["NEW_RELIC_DEVELOPER_MODE"] = "true"
    os.environ["NEW_RELIC_APP_NAME"] = "program"
    import newrelic.agent
    from newrelic.core.application import Application

    newrelic.agent.initialize()
    nodes: list[Any] = []
    record = Application.record_transaction

    def kept(self: Any, data: Any) -> Any:
        nodes.append(data.root)
        return record(self, data)

    Application.record_transaction = kept
    application = newrelic.agent.register_application(timeout=10.0)

    def walk(node: Any, parent: str | None) -> Iterator[Any]:
        kind = type(node).__name__
        wanted = ("library", "url", "method", "name", "operation", "destination_type", "destination_name", "params")
        # Those of the HTTP libraries are not there where these are not used.
        if getattr(node, "library", None) not in ("urllib3", "aiohttp") and kind != "RootNode":
            kept = {name: getattr(node, name, None) for name in wanted}
            errors = [getattr(error, "fullname", None) for error in [getattr(node, "error", None)] if error]
            yield {"kind": kind, **kept, "attributes": dict(node.agent_attributes), "errors": errors, "parent": parent}
        for child in node.children:
            yield from walk(child, kind)

    return (
        lambda name: newrelic.agent.BackgroundTask(application, name),
        lambda: [span for node in nodes for span in walk(node, None)],
    )


TOOLS: dict[str, Callable[..., tuple[Under, Spans]]] = {
    "opentelemetry": opentelemetry,
    "sentry": sentry,
    "datadog": datadog,
    "xray": xray,
    "elastic": elastic,
    "newrelic": newrelic,
}


def without_traceback(attributes: Any) -> dict[str, Any]:
    """It has our frames in the place of botocore's."""
    return {name: value for name, value in (attributes or {}).items() if name != "exception.stacktrace"}


def masked(value: Any) -> Any:
    """Without ids, times and ports."""
    text = json.dumps(value, sort_keys=True, default=str)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "SERVER", text)
    text = re.sub(
        r'("(?:server\.port|network\.destination\.port|out\.port|port|net\.peer\.port)": "?)\d+', r"\g<1>0", text
    )
    text = re.sub(r"\brv:[0-9a-f]+", "rv:ID", text)
    return json.loads(re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b|\b[0-9]{15,40}\b", "ID", text))


#: How the calls of turbosqs's own clients went.
OWN: dict[str, int] = {}


def note(client: Any) -> None:
    """Add a client's counts to ``OWN``."""
    if type(client).__module__.startswith("turbosqs"):
        for way, number in client.stats()["botocore"].items():
            OWN[way] = OWN.get(way, 0) + number


def make(way: str, endpoint_url: str, **options: Any) -> Any:
    import boto3
    from botocore.config import Config

    module = turbosqs if way == "own" else boto3
    return module.client("sqs", endpoint_url=endpoint_url, config=Config(**options), **SETTINGS)


def play(way: str, server: turbosqs.local.Server, under: Under) -> dict[str, Any]:
    """Sends, single, in batches, failing and throttled; receives and deletes. What messages and replies have."""
    from botocore.exceptions import ClientError

    sqs = make(way, server.endpoint_url)
    impatient = make(way, server.endpoint_url, retries={"total_max_attempts": 1})
    url = f"{server.endpoint_url}/000000000000/q"
    replies: list[Any] = []

    def call(client: Any, operation: str, **arguments: Any) -> Any:
        try:
            reply = getattr(client, operation)(**arguments)
        except ClientError as error:
            replies.append([operation, type(error).__name__, error.response["Error"]["Code"]])
            return None
        metadata = reply["ResponseMetadata"]
        replies.append([operation, sorted(reply), metadata["HTTPStatusCode"], metadata["RetryAttempts"]])
        return reply

    attributes = {"mine": {"DataType": "String", "StringValue": "kept"}}
    with under("program"):
        sent = call(sqs, "send_message", QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
        replies.append(sorted(sent))
        batch = [{"Id": str(number), "MessageBody": str(number)} for number in range(3)]
        sent = call(sqs, "send_message_batch", QueueUrl=url, Entries=batch)
        replies.append([sorted(entry) for entry in sent["Successful"]])
        call(sqs, "send_message", QueueUrl=url + "-none", MessageBody="lost")
        server.faults.add("throttle", actions=["SendMessage"], times=1)
        call(sqs, "send_message", QueueUrl=url, MessageBody="late")
        server.faults.add("throttle", actions=["GetQueueAttributes"], times=1)
        call(impatient, "get_queue_attributes", QueueUrl=url)
        received = call(
            sqs,
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["AWSTraceHeader"],
        )["Messages"]
        messages = [
            [message["Body"], message.get("MessageAttributes"), bool(message.get("Attributes"))] for message in received
        ]
        call(sqs, "delete_message", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received[1:])]
        call(sqs, "delete_message_batch", QueueUrl=url, Entries=entries)
        call(sqs, "receive_message", QueueUrl=url)
    note(sqs)
    note(impatient)
    return {"replies": replies, "messages": messages}


def together(way: str, server: turbosqs.local.Server, under: Under) -> dict[str, Any]:
    """Threads that send at the same moment, each under a span of its own: how many traces arrive, in which requests."""
    threads = 32
    sqs, url = (
        make(way, server.endpoint_url, max_pool_connections=threads),
        f"{server.endpoint_url}/000000000000/together",
    )
    barrier = Barrier(threads)
    before = sum(server.stats()["requests"].get(name, 0) for name in ("SendMessage", "SendMessageBatch"))

    senders: dict[str, str] = {}

    def send(number: int) -> None:
        with under(f"thread-{number}") as span:
            senders[str(number)] = trace_of(span)
            barrier.wait()
            sqs.send_message(QueueUrl=url, MessageBody=str(number))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, range(threads)))
    traces, own = [], 0
    while found := sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["AWSTraceHeader"],
    ).get("Messages"):
        for message in found:
            traces.append([message.get("Attributes", {}).get("AWSTraceHeader"), message.get("MessageAttributes")])
            own += senders[message["Body"]] in json.dumps(traces[-1])
    note(sqs)
    different = {json.dumps(trace, sort_keys=True) for trace in traces}
    sends = ("SendMessage", "SendMessageBatch")
    requests = sum(server.stats()["requests"].get(name, 0) for name in sends) - before
    return {"sent": len(traces), "traces": len(different), "own": own, "requests": requests}


def functions_of_ours(way: str, server: turbosqs.local.Server, under: Under) -> int:
    """How many of turbosqs's functions in Python a send goes through, once the tool and the client have settled."""
    sqs, url = make(way, server.endpoint_url), f"{server.endpoint_url}/000000000000/q"
    package = str(Path(turbosqs.__file__).parent)
    found = 0

    def look(frame: Any, event: str, _: Any) -> None:
        nonlocal found
        found += event == "call" and frame.f_code.co_filename.startswith(package)

    counts = []
    with under("counted"):
        for _ in range(4):
            found = 0
            sys.setprofile(look)
            sqs.send_message(QueueUrl=url, MessageBody="b")
            sys.setprofile(None)
            counts.append(found)
    note(sqs)
    # A warning that waits to be logged is one more reason to go another way.
    return min(counts)


def trace_of(span: Any) -> str:
    """The trace of what a sender is under, as its message has it; where none has it, what no message has."""
    context = getattr(span, "get_span_context", None)
    if context is not None:
        trace = f"{context().trace_id:032x}"
        return f"Root=1-{trace[:8]}-{trace[8:]}"
    match type(span).__module__.partition(".")[0]:
        case "ddtrace":
            return f'x-datadog-trace-id\\": \\"{span.trace_id % 2**64}\\"'
        case "aws_xray_sdk":
            return f"Root={span.trace_id};"
        case "elasticapm":
            return f"00-{span.trace_parent.trace_id}-"
    return "none"


def main(tool: str, order: str, way: str) -> None:
    if order == "patch" and way == "patched":
        import boto3  # noqa: F401

        turbosqs.patch()
    under, spans = TOOLS[tool]()
    if order == "tool" and way == "patched":
        turbosqs.patch()
    with turbosqs.local.Server(queues=["q", "together"]) as server:
        played = play(way, server, under)
        recorded = masked(spans())
        shared = together(way, server, under)
        functions = functions_of_ours(way, server, under)
    result = {
        **played,
        "messages": masked(played["messages"]),
        "spans": recorded,
        "together": shared,
        "functions": functions,
        "stats": turbosqs.stats(),
        "own": OWN,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
