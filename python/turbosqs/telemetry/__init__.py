"""Spans and metrics of our own clients, by OpenTelemetry's API and in the names of its semantic conventions.

    import turbosqs.telemetry

    turbosqs.telemetry.instrument()

OpenTelemetry is no dependency, and nothing of it is imported before somebody asks for it: here, with
``client(..., telemetry=True)``, or by running a program with ``opentelemetry-instrument``.
"""

from __future__ import annotations

from . import switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Instrumentor", "instrument", "uninstrument"]


def instrument(
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    process_as_child: bool = False,
) -> None:
    """Record the calls of all clients in spans and metrics, and send the spans' contexts along in messages.

    Clients that exist are included, asyncio's too, but for those made with ``telemetry=False``, and so are their
    writers, their iterators over messages and consumers that run. What long polls under way bring has no links yet.

    A message that is sent bears the context of its sender's span as the configured propagator writes it: in message
    attributes (``traceparent`` and ``tracestate``), unless it has ten already or would become larger than 1 MiB;
    X-Ray's in the system attribute ``AWSTraceHeader``. Messages that are received come with these attributes.
    To instrument twice is to replace the providers.

    Args:
        tracer_provider, meter_provider: OpenTelemetry's; None for the global ones.
        process_as_child: whether the span of a consumer's handler is a child of the span that has sent its message,
            so that both are of one trace, rather than linked to it. Spans of batches are always linked.

    Raises:
        ModuleNotFoundError: OpenTelemetry's API is not installed.
    """
    switch.turn_on(switch.make(tracer_provider, meter_provider, process_as_child))


def uninstrument() -> None:
    """Record nothing any more, but the calls of clients made with ``telemetry=True``."""
    switch.turn_off()


class Instrumentor:
    """What ``opentelemetry-instrument`` finds by the entry point ``opentelemetry_instrumentor``."""

    def instrument(self, **kwargs: Any) -> None:
        """See ``turbosqs.telemetry.instrument``; what is meant for other libraries is passed over."""
        known = ("tracer_provider", "meter_provider", "process_as_child")
        instrument(**{name: value for name, value in kwargs.items() if name in known})

    def uninstrument(self, **_: Any) -> None:
        """See ``turbosqs.telemetry.uninstrument``."""
        uninstrument()
