"""What OpenTelemetry's in-memory exporters have got."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind


class Recorded:
    """Providers, and what came to them."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._metrics = InMemoryMetricReader()
        self._meter_provider = MeterProvider([self._metrics])
        self.tracer = self.tracer_provider.get_tracer("tests")

    @property
    def providers(self) -> dict[str, Any]:
        return {"tracer_provider": self.tracer_provider, "meter_provider": self._meter_provider}

    def spans(self, name: str | None = None, kind: SpanKind | None = None) -> list[ReadableSpan]:
        """Those that have ended, the first first."""
        every = sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)
        wanted = [span for span in every if name in (None, span.name) and kind in (None, span.kind)]
        return [span for span in wanted if span.instrumentation_scope.name == "turbosqs"]  # type: ignore[union-attr]

    def clear(self) -> None:
        self._spans.clear()

    def metric(self, name: str) -> dict[tuple[Any, ...], Any]:
        """A metric's points by the attributes that not all have: a number, or how often and how much."""
        data = self._metrics.get_metrics_data()
        points: dict[tuple[Any, ...], Any] = {}
        for resource in data.resource_metrics if data is not None else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name == name:
                    for point in metric.data.data_points:
                        points[_key(point.attributes)] = (
                            (point.count, point.sum) if hasattr(point, "count") else point.value  # type: ignore[union-attr]
                        )
        return points

    def shut_down(self) -> None:
        self._meter_provider.shutdown()
        self.tracer_provider.shutdown()


#: What says nothing in a test of one queue on one server.
_EVERYWHERE = {"messaging.system", "messaging.operation.type", "messaging.destination.name"}


def _key(attributes: Any) -> tuple[Any, ...]:
    own = {name: value for name, value in attributes.items() if name not in _EVERYWHERE and "server." not in name}
    return tuple(value for _, value in sorted(own.items()))


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def context_of(span: ReadableSpan) -> tuple[int, int]:
    """Trace and span."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def sender(message: Any) -> tuple[int, int]:
    """The trace and the span that a message's ``traceparent`` names."""
    _, trace, span, _ = message["MessageAttributes"]["traceparent"]["StringValue"].split("-")
    return int(trace, 16), int(span, 16)
