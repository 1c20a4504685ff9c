"""boto3 under instrumentation tools: stock, patched, and what the tools cost by themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from benches import work_boto3
from benches.job import Job
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


def around_nothing(job: Job, tool: str) -> None:
    """The tool's wrapper of ``_make_api_call`` around one that only answers."""
    from botocore.client import BaseClient

    reply = {
        "MessageId": "00000000-0000-0000-0000-000000000000",
        "MD5OfMessageBody": "0" * 32,
        "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0},
    }

    def answer(self: Any, operation_name: str, api_params: Any) -> Any:  # noqa: ARG001
        return reply

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
