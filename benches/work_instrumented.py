"""boto3 under instrumentation tools: stock, patched, and what the tools cost by themselves."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

from benches import work_boto3
from benches.job import SETTINGS, Job, cpu
from benches.work_turbosqs import only_on_core

#: Something that the calls are under, by its name: a transaction, a segment.
Under = Callable[[str], AbstractContextManager[Any]]


def stock(job: Job, tool: str) -> None:
    with TOOLS[tool]()("bench"):
        work_boto3.send(job)


def patched(job: Job, tool: str) -> None:
    import turbosqs

    under = TOOLS[tool]()
    with turbosqs.patched(), under("bench"):
        work_boto3.send(job)
    only_on_core()


#: How many calls a turn is: some milliseconds.
TURN = 25
#: How many of the tool's own around nothing, in a loop: its code comes into the caches with the first ones.
LOOP = 8 * TURN


def in_turns(job: Job, tool: str) -> None:
    """A patched call under the tool, and what it costs beyond the call without the tool and the tool by itself.

    Three processes take turns, so that whatever else the machine does meets all of them; a figure is the median of the
    turns. The tool by itself stands around a ``_make_api_call`` that only answers, and is measured in two ways. Between
    two requests, where a program has it: what requests cost with it in between, beyond requests without it; its code is
    out of the caches there. And in a loop, where it costs half as much or less.
    """
    with ExitStack() as stack:
        plain, traced, beside = (stack.enter_context(_player(each, job, tool)) for each in (_plain, _traced, _beside))
        for each in (plain, traced, beside):
            each.recv()
        found: list[tuple[float, float, float]] = []
        with job.measured():
            for _ in range(job.messages // (4 * TURN)):
                call, both = _turn(plain, 0), _turn(traced, 0)
                between, in_a_loop = _turn(beside, 1) - _turn(beside, 0), _turn(beside, 2) * TURN / LOOP
                found.append((both, both - call - between, both - call - in_a_loop))
    cpu, beyond, beyond_loop = (statistics.median(each) / TURN * 1e6 for each in zip(*found, strict=True))
    job.figures |= {"cpu": cpu * job.messages, "beyond": beyond, "beyond_loop": beyond_loop}


#: What a process does in its turns: each sends so many messages.
Turns = list[Callable[[int], None]]


def _turn(player: Connection, which: int) -> float:
    player.send(which)
    used: float = player.recv()
    return used


@contextmanager
def _player(make: Callable[[Job, str, ExitStack], Turns], job: Job, tool: str) -> Iterator[Connection]:
    """A process that takes turns."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_play, args=(theirs, make, job, tool), daemon=True)
    process.start()
    yield ours
    ours.send(None)
    process.join()


def _play(connection: Connection, make: Callable[[Job, str, ExitStack], Turns], job: Job, tool: str) -> None:
    with ExitStack() as stack:
        turns = make(job, tool, stack)
        for turn in turns:
            turn(job.warm // 4)
        gc.collect()
        gc.freeze()
        connection.send(None)
        while (which := connection.recv()) is not None:
            before = cpu()
            turns[which](TURN)
            connection.send(cpu() - before)


def _plain(job: Job, tool: str, stack: ExitStack) -> Turns:  # noqa: ARG001
    import turbosqs

    stack.callback(only_on_core)
    stack.enter_context(turbosqs.patched())
    return [_sending(job, work_boto3.client(job))]


def _traced(job: Job, tool: str, stack: ExitStack) -> Turns:
    import turbosqs

    stack.callback(only_on_core)
    stack.enter_context(turbosqs.patched())
    stack.enter_context(TOOLS[tool]()("bench"))
    return [_sending(job, work_boto3.client(job))]


def _sending(job: Job, sqs: Any) -> Callable[[int], None]:
    def send(count: int) -> None:
        for _ in range(count):
            sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)

    return send


def _beside(job: Job, tool: str, stack: ExitStack) -> Turns:
    """Requests by the core itself; the same with a call of boto3's before each that comes to nothing; and such calls
    in a loop, with no requests."""
    import turbosqs
    from botocore.client import BaseClient

    BaseClient._make_api_call = answer
    stack.enter_context(TOOLS[tool]()("bench"))
    sqs, core = work_boto3.client(job), turbosqs.client("sqs", endpoint_url=job.endpoint_url, **SETTINGS)._core

    def without(count: int) -> None:
        for _ in range(count):
            core.call("SendMessage", {"QueueUrl": job.queue_url, "MessageBody": job.body})

    def with_tool(count: int) -> None:
        for _ in range(count):
            sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)
            core.call("SendMessage", {"QueueUrl": job.queue_url, "MessageBody": job.body})

    def in_a_loop(_: int) -> None:
        for _ in range(LOOP):
            sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body)

    return [without, with_tool, in_a_loop]


def answer(*_: Any) -> dict[str, Any]:
    """What stands for ``_make_api_call``: it makes no request, and returns what a call of the embedded SQS's does."""
    headers = {
        "x-amzn-requestid": "00000000-0000-0000-0000-000000000000",
        "content-type": "application/x-amz-json-1.0",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "content-length": "106",
    }
    metadata = {
        "RequestId": headers["x-amzn-requestid"],
        "HTTPStatusCode": 200,
        "HTTPHeaders": headers,
        "RetryAttempts": 0,
    }
    return {"MD5OfMessageBody": "0" * 32, "MessageId": headers["x-amzn-requestid"], "ResponseMetadata": metadata}


def around_nothing(job: Job, tool: str) -> None:
    """The tool's wrapper of ``_make_api_call`` around one that only answers, in a loop."""
    from botocore.client import BaseClient

    BaseClient._make_api_call = answer
    with TOOLS[tool]()("bench"):
        work_boto3.send(job)


def opentelemetry() -> Under:
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    BotocoreInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
    return provider.get_tracer("bench").start_as_current_span


def sentry() -> Under:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: Any) -> None: ...

    # Not on the host of the queue: to Sentry itself it sends no headers.
    sentry_sdk.init(dsn="http://key@sentry.invalid/1", traces_sample_rate=1.0, transport=Nowhere)
    return lambda name: sentry_sdk.start_transaction(name=name)


def datadog() -> Under:
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    class Nowhere(TraceFilter):  # type: ignore[misc]
        def process_trace(self, trace: Any) -> Any: ...

    tracer.configure(trace_processors=[Nowhere()])
    patch(botocore=True)
    under: Under = tracer.trace
    return under


def xray() -> Under:
    from aws_xray_sdk.core import patch, xray_recorder

    class Nowhere:
        def send_entity(self, entity: Any) -> None: ...

    xray_recorder.configure(service="bench", sampling=False, emitter=Nowhere())
    patch(["botocore"])
    under: Under = xray_recorder.in_segment
    return under


def elastic() -> Under:
    import elasticapm

    class Nowhere(elasticapm.Client):  # type: ignore[misc]
        def queue(self, event_type: str, data: Any, flush: bool = False) -> None: ...

    client = Nowhere(
        service_name="bench",
        disable_send=True,
        central_config=False,
        cloud_provider="none",
        metrics_interval="0s",
        transaction_max_spans=1_000_000,
    )
    elasticapm.instrument()

    @contextmanager
    def under(name: str) -> Any:
        client.begin_transaction("bench")
        yield
        client.end_transaction(name, "done")

    return under


def newrelic() -> Under:
    os.environ["NEW_RELIC_LICENSE_KEY"] = "0" * 40
    os.environ["NEW_RELIC_DEVELOPER_MODE"] = "true"
    os.environ["NEW_RELIC_APP_NAME"] = "bench"
    import newrelic.agent

    newrelic.agent.initialize()
    application = newrelic.agent.register_application(timeout=10.0)
    return lambda name: newrelic.agent.BackgroundTask(application, name)


TOOLS: dict[str, Callable[[], Under]] = {
    "OpenTelemetry": opentelemetry,
    "Sentry": sentry,
    "Datadog": datadog,
    "X-Ray": xray,
    "Elastic": elastic,
    "New Relic": newrelic,
}
