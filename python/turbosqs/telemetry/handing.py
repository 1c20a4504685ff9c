"""Messages that are handed over to a consumer's handler."""

from __future__ import annotations

from time import perf_counter

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind

from . import contexts, names
from .spans import attributes_of, attributes_of_metric, error_type, fail, links_to, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from opentelemetry.trace import Link, Span

    from .. import _core
    from .recorder import Recorder


class Process:
    """A handler at work: its span, which is the current one meanwhile."""

    def __init__(
        self,
        recorder: Recorder,
        core: _core.Client,
        url: str,
        messages: Sequence[Mapping[str, Any]],
        in_batches: bool,
    ) -> None:
        """It is about to be called."""
        self._recorder = recorder
        self._core = core
        self._attributes = attributes_of(names.PROCESS, url, core)
        self._failure: str | None = None
        details: dict[str, Any] = dict(self._attributes)
        parent = None
        links: list[Link] = []
        if in_batches:
            details[names.MESSAGE_COUNT] = len(messages)
            links = links_to(messages)
        else:
            details[names.MESSAGE_ID] = messages[0].get("MessageId", "")
            sent = contexts.context_in(messages[0]) if recorder.process_as_child else None
            if sent is not None and contexts.sender_of(sent) is not None:
                parent = sent
            else:
                links = links_to(messages)
        recorder.metrics.consumed.add(len(messages), attributes_of_metric(self._attributes))
        self._clock = perf_counter()
        self._span: Span = recorder.tracer.start_span(
            title(details), parent, SpanKind.CONSUMER, details, links, record_exception=False
        )
        self._context = trace.set_span_in_context(self._span, parent)

    def __enter__(self) -> Process:
        self._token = context.attach(self._context)
        return self

    def returned(self, result: Any) -> Any:
        """What it has returned, which may name failures."""
        failures = result.get("batchItemFailures") if isinstance(result, dict) else None
        if failures:
            self._failure = "batchItemFailures"
            fail(self._span, self._failure, f"{len(failures)} messages")
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        if error is not None:
            self._failure = error_type(error)
            self._span.record_exception(error)
            fail(self._span, self._failure)
        self._span.end()
        of_metric = attributes_of_metric(self._attributes, self._failure)
        self._recorder.metrics.processed.record(perf_counter() - self._clock, of_metric)
        # Deletes and extensions of the consumer's own, which no call is about.
        self._recorder.read(self._core)
