"""Calls under way: those that somebody waits for, and a writer's entries."""

from __future__ import annotations

from time import perf_counter, time_ns

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind

from . import contexts, names, switch
from .spans import attributes_of, attributes_of_metric, error_type, fail, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from .. import _core
    from .recorder import Recorder

#: Set in a context whose calls are nobody's business, by exporters among others.
SUPPRESSED = "suppress_instrumentation"

#: What is recorded of the API's operations; others have nothing to do with messages.
OPERATIONS = {
    "SendMessage": names.SEND,
    "SendMessageBatch": names.SEND,
    "ReceiveMessage": names.RECEIVE,
    "DeleteMessage": names.SETTLE,
    "DeleteMessageBatch": names.SETTLE,
    "ChangeMessageVisibility": names.SETTLE,
    "ChangeMessageVisibilityBatch": names.SETTLE,
}


class Call:
    """A call under way: the span of it, and what is to be sent in place of its caller's arguments.

    It is a context manager around the call; ``answered`` is told the reply.

    Attributes:
        params: the arguments that are sent.
        tag: by what the core knows it.
        span: a receive's is made when it is over.
        is_answered_by_journal: nobody waits for its answer.
    """

    is_answered_by_journal = False

    def __init__(
        self, recorder: Recorder, core: _core.Client, operation: str, verb: str, params: dict[str, Any]
    ) -> None:
        """It begins."""
        self._recorder = recorder
        self._core = core
        self._operation = operation
        self._given = params
        self._attributes = attributes_of(verb, params.get("QueueUrl"), core)
        self._began = time_ns()
        self._clock = perf_counter()
        self._reply: dict[str, Any] | None = None
        self.tag = 0
        if verb == names.RECEIVE:
            self.params = contexts.asking(params)
            return
        kind = SpanKind.PRODUCER if verb == names.SEND else SpanKind.CLIENT
        details = dict(self._attributes)
        entries = params.get("Entries")
        if operation.endswith("Batch") and isinstance(entries, (list, tuple)):
            details[names.MESSAGE_COUNT] = len(entries)
        self.span = recorder.tracer.start_span(title(details), None, kind, details, start_time=self._began)
        sends = verb == names.SEND
        self.params = (
            contexts.with_context(operation, params, trace.set_span_in_context(self.span)) if sends else params
        )
        if not operation.endswith("Batch"):
            self.tag = recorder.tag(self)

    @property
    def verb(self) -> str:
        """``send``, ``receive`` or ``settle``."""
        return OPERATIONS[self._operation]

    def __enter__(self) -> Call:
        # Tools that look at the call further down see whose it is, and OpenTelemetry's own do not record it once more.
        span = None if self.verb == names.RECEIVE else trace.set_span_in_context(self.span)
        self._token = context.attach(context.set_value(SUPPRESSED, True, span))
        return self

    def answered(self, reply: dict[str, Any]) -> dict[str, Any]:
        """This is what it has come to."""
        self._reply = reply
        return reply

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        recorder, reply = self._recorder, self._reply or {}
        # The requests that it shared look for it.
        recorder.read(self._core)
        if self.tag:
            recorder.untag(self.tag)
        # Of whatever type it is: an error of the service has a reply.
        metadata = (reply if error is None else getattr(error, "response", None) or {}).get("ResponseMetadata", {})
        more: dict[str, Any] = {}
        if request_id := metadata.get("RequestId"):
            more[names.REQUEST_ID] = request_id
        if retries := metadata.get("RetryAttempts"):
            more[names.RETRIES] = retries
        failure = None if error is None else error_type(error)
        messages = 1
        if self.verb == names.RECEIVE:
            found = reply.get("Messages", [])
            is_batch = self._given.get("MaxNumberOfMessages", 1) != 1
            recorder._end_receive(self._attributes, self._began, found, is_batch, more, failure)
            if found:
                recorder.metrics.consumed.add(len(found), attributes_of_metric(self._attributes))
        else:
            if "MessageId" in reply:
                more[names.MESSAGE_ID] = reply["MessageId"]
                contexts.without_digests(reply, self._given)
            entries = self._given.get("Entries")
            if self._operation.endswith("Batch"):
                messages = len(entries) if isinstance(entries, (list, tuple)) else 0
            failed = reply.get("Failed", [])
            if failed:
                failure = str(failed[0].get("Code"))
            self._count(messages, [str(each.get("Code")) for each in failed], failure if error is not None else None)
            self.span.set_attributes(more)
            if failure is not None:
                fail(self.span, failure, f"{len(failed)} of {messages} entries" if failed else None)
            self.span.end()
        of_metric = attributes_of_metric(self._attributes, failure)
        recorder.metrics.duration.record(perf_counter() - self._clock, of_metric)

    def answered_by_journal(self, ended: int, message_id: str | None, failure: str | None) -> None:
        """Nobody has waited for its answer; here it is."""
        if message_id is not None:
            self.span.set_attribute(names.MESSAGE_ID, message_id)
        if failure is not None:
            fail(self.span, failure)
        self.span.end(ended)
        self._count(1, [], failure)
        of_metric = attributes_of_metric(self._attributes, failure)
        self._recorder.metrics.duration.record((ended - self._began) / 1e9, of_metric)

    def refused(self, error: BaseException) -> None:
        """It was never sent."""
        self._recorder.untag(self.tag)
        fail(self.span, error_type(error))
        self.span.end()

    def _count(self, messages: int, failed: list[str], failure: str | None) -> None:
        """Count what was to be sent, each with its own error."""
        if self.verb != names.SEND:
            return
        sent = self._recorder.metrics.sent
        for code in failed:
            sent.add(1, attributes_of_metric(self._attributes, code))
        if messages > len(failed):
            sent.add(messages - len(failed), attributes_of_metric(self._attributes, failure))


class WriterPut:
    """What puts entries into a writer: nobody waits for their answers, so their spans end when the journal has them."""

    def __init__(
        self, recorder: Recorder, core: _core.Client, put: Callable[..., Any], has_room: Callable[[Any], bool]
    ) -> None:
        """Wrap a writer's.

        Args:
            recorder: what records.
            core: of the client.
            put: of the operation, its arguments and a tag.
            has_room: whether what ``put`` returns says that the entry was taken.
        """
        self._recorder = recorder
        self._core = core
        self._plain = put
        self._has_room = has_room
        # Entries there was no room for, by their arguments, until they are put again.
        self._waiting: dict[int, tuple[dict[str, Any], Call]] = {}

    def __call__(self, operation: str, params: dict[str, Any]) -> Any:
        """Put an entry."""
        _, call = self._waiting.pop(id(params), (None, None))
        if call is None:
            call = self._recorder.begin(self._core, operation, params)
        if call is None:
            return self._plain(operation, params, switch.UNTOLD)
        call.is_answered_by_journal = True
        try:
            taken = self._plain(operation, call.params, call.tag)
        except BaseException as error:
            call.refused(error)
            raise
        if not self._has_room(taken):
            self._waiting[id(params)] = (params, call)
        self._recorder.read(self._core)
        return taken

    def read(self) -> None:
        """Record what has been answered by now; what never found room was never sent."""
        self._recorder.read(self._core)

    def close(self) -> None:
        """Nothing more is put."""
        self.read()
        while self._waiting:
            _, (_, call) = self._waiting.popitem()
            call.refused(TimeoutError("there was no room"))
