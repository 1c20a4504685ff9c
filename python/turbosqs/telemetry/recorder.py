"""What records calls, messages and handlers in spans and metrics. Imported only when OpenTelemetry was asked for."""

from __future__ import annotations

from inspect import isawaitable
from itertools import count
from threading import RLock
from time import time_ns

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

from .._core import __version__
from . import contexts, names, switch
from .calls import OPERATIONS, SUPPRESSED, Call, WriterPut
from .handing import Process
from .metrics import Instruments
from .spans import attributes_of, attributes_of_metric, fail, links_to, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .. import _core

#: The numbers of calls, whoever records them.
_numbers = count(1)

_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"


class Recorder:
    """Spans and metrics by one pair of providers."""

    def __init__(self, tracer_provider: Any, meter_provider: Any, process_as_child: bool) -> None:
        """Have a tracer and a meter.

        Args:
            tracer_provider, meter_provider, process_as_child: see ``turbosqs.telemetry.instrument``.
        """
        self.tracer = trace.get_tracer("turbosqs", __version__, tracer_provider, _SCHEMA)
        self.metrics = Instruments(__version__, meter_provider, self._read_all)
        self.process_as_child = process_as_child
        # Reentrant: an exporter may make calls of its own.
        self._lock = RLock()
        # What is under way, by the tag that the core knows it by.
        self._tagged: dict[int, Call] = {}

    def end(self) -> None:
        """Nothing more is to be recorded."""
        self._read_all()
        for core in self.metrics.clients():
            core.keep_journal(False)
        self.metrics.end()
        with self._lock:
            left = [call for call in self._tagged.values() if call.is_answered_by_journal]
            self._tagged.clear()
        for call in left:
            call.span.end()

    def begin(self, core: _core.Client, operation: str, params: dict[str, Any]) -> Call | None:
        """A call is about to be made; None if it is not to be recorded.

        Args:
            core: of the client.
            operation: the API's name.
            params: the arguments, which may not fit.
        """
        verb = OPERATIONS.get(operation)
        if verb is None or context.get_value(SUPPRESSED):
            return None
        self._keep(core)
        return Call(self, core, operation, verb, params)

    def received(
        self, core: _core.Client, url: str, began: int, messages: Sequence[Mapping[str, Any]], is_batch: bool = False
    ) -> None:
        """Messages were handed over that somebody has waited for since ``began``, in nanoseconds since 1970."""
        attributes = attributes_of(names.RECEIVE, url, core)
        self._end_receive(attributes, began, messages, is_batch, {}, None)
        self.metrics.duration.record((time_ns() - began) / 1e9, attributes_of_metric(attributes))
        self.metrics.consumed.add(len(messages), attributes_of_metric(attributes))
        self.read(core)

    def _end_receive(
        self,
        attributes: dict[str, Any],
        began: int,
        messages: Sequence[Mapping[str, Any]],
        is_batch: bool,
        more: dict[str, Any],
        error: str | None,
    ) -> None:
        """A receive's span: it is made when its links are known."""
        details = {**attributes, **more}
        if is_batch:
            details[names.MESSAGE_COUNT] = len(messages)
        elif len(messages) == 1:
            details[names.MESSAGE_ID] = messages[0].get("MessageId", "")
        span = self.tracer.start_span(
            title(attributes), None, SpanKind.CLIENT, details, links_to(messages), start_time=began
        )
        if error is not None:
            fail(span, error)
        span.end()

    def handler(
        self, core: _core.Client, url: str, handler: Callable[..., Any], in_batches: bool, awaits: bool
    ) -> Callable[..., Any]:
        """A consumer's handler that is recorded."""
        self._keep(core)

        def handle(given: Any) -> Any:
            with Process(self, core, url, given if in_batches else [given], in_batches) as process:
                return process.returned(handler(given))

        async def handle_and_wait(given: Any) -> Any:
            with Process(self, core, url, given if in_batches else [given], in_batches) as process:
                result = handler(given)
                return process.returned(await result if isawaitable(result) else result)

        return handle_and_wait if awaits else handle

    def consumes(self, core: _core.Client, poller: _core.Poller) -> None:
        """Count what becomes of a poller's messages."""
        self._keep(core)
        self.metrics.add_poller(poller)

    def asking(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a poller that has contexts come with the messages."""
        return contexts.asking(arguments)

    def after_fork(self) -> None:
        """In a forked child: what is under way is the parent's to record."""
        self._lock = RLock()
        self._tagged.clear()
        for core in self.metrics.clients():
            core.read_journal()

    def writes(self, core: _core.Client, put: Callable[..., Any], has_room: Callable[[Any], bool]) -> WriterPut:
        """A writer's way of putting entries that is recorded."""
        self._keep(core)
        return WriterPut(self, core, put, has_room)

    def tag(self, call: Call) -> int:
        """The number by which the core knows a call."""
        number = next(_numbers)
        with self._lock:
            self._tagged[number] = call
        return number

    def untag(self, number: int) -> None:
        """The call is over."""
        with self._lock:
            self._tagged.pop(number, None)

    def _keep(self, core: _core.Client) -> None:
        if not self.metrics.has(core):
            self.metrics.add_client(core)
        # Another recorder may have ended it.
        core.keep_journal(True)

    def _read_all(self) -> None:
        for core in self.metrics.clients():
            self.read(core)

    def read(self, core: _core.Client) -> None:
        """Record the requests of a client that have returned: those that calls have shared."""
        # Whoever has been answered by one of them waits here until it is recorded: only then he takes his tag away.
        with self._lock:
            batches, repeated = core.read_journal()
            for batch in batches:
                self._record(core, *batch)
        if repeated:
            self.metrics.repeated.add(repeated, {names.SYSTEM: names.SQS})

    def _record(
        self,
        core: _core.Client,
        operation: str,
        url: str,
        reason: str,
        began: int,
        ended: int,
        attempts: int,
        status: int | None,  # noqa: ARG002 - the code says more
        request_id: str | None,
        error: str | None,
        entries: list[tuple[int, str, str | None]],
    ) -> None:
        attributes = attributes_of(OPERATIONS[operation], url, core)
        of_metric = {name: attributes[name] for name in (names.SYSTEM, names.OPERATION_NAME)}
        self.metrics.entries.record(len(entries), of_metric)
        self.metrics.flushes.add(1, {**of_metric, names.FLUSH_REASON: reason})
        calls = [self._tagged.get(tag) for tag, *_ in entries]
        # What a single caller has asked for, his own span tells of.
        if any(tag != switch.UNTOLD for tag, *_ in entries) and (len(entries) > 1 or calls == [None]):
            details: dict[str, Any] = {**attributes, names.FLUSH_REASON: reason}
            if len(entries) > 1:
                details[names.MESSAGE_COUNT] = len(entries)
            if request_id is not None:
                details[names.REQUEST_ID] = request_id
            if attempts > 1:
                details[names.RETRIES] = attempts - 1
            links = [Link(call.span.get_span_context()) for call in calls if call is not None]
            span = self.tracer.start_span(
                title(attributes), Context(), SpanKind.CLIENT, details, links, start_time=began
            )
            if error is not None:
                fail(span, error)
            span.end(ended)
        for (tag, outcome, detail), call in zip(entries, calls, strict=True):
            if call is not None and call.is_answered_by_journal and outcome != "again":
                del self._tagged[tag]
                has_failed = outcome == "failed"
                call.answered_by_journal(ended, None if has_failed else detail, detail if has_failed else None)
