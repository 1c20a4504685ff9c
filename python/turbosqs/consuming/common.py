"""What consumers have in common: their options, when a message is tried again, who is told of what."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypedDict

from .. import _core
from .._core import Failure, Poller, masked_url
from .._listened import POLLED
from .._lock import lock
from .._signatures import takes
from ..errorfactory import exception
from ..polling import ask, count, make_poller, number, with_attribute
from ..telemetry import switch
from ..types import Message
from . import logs
from .backoff import LONGEST, Backoff
from .batches import failures_of
from .functions import check, check_done
from .lambdas import BATCH_SIZE, LambdaHandler, answer_of
from .workers import Worker, mark_lost, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..telemetry.recorder import Recorder
    from .options import Polling

RetryDelay = Callable[[Message, BaseException], "float | None"]

#: Somebody to be told: the option's name, a function and its arguments.
Call = tuple[str, Callable[..., Any], tuple[Any, ...]]

#: What the core has met with: a message, or None for a poll; what was asked for it (None: its deletion, seconds: a
#: visibility timeout, "lost": nothing, it is no longer ours); and why that has failed.
BackgroundError = tuple["Message | None", "int | str | None", Exception]


class ConsumerStats(TypedDict):
    """What a consumer has done since it was started last, and what it has at this moment."""

    received: int
    """Messages received."""
    handled: int
    """Messages whose handler returned."""
    failed: int
    """Messages whose handler raised, or that a batch handler named among its failures."""
    deleted: int
    """Deletes that the service has confirmed."""
    given_back: int
    """Messages returned to the queue without having been handled."""
    extended: int
    """Extensions of a message's visibility timeout."""
    lost: int
    """Messages whose visibility timeout ran out although they were held: they will be received again."""
    buffered: int
    """Messages that wait for a handler now."""
    in_progress: int
    """Messages that are being handled now."""
    polls: int
    """Long polls under way now."""
    oldest_in_hand: float
    """Seconds since the oldest message that is held now was received; 0 if there is none."""
    buffered_seconds: float
    """Seconds that messages have waited for a handler, all together."""
    waiting_seconds: float
    """Seconds that handlers' threads or tasks have waited for messages, all together. Next to nothing, while messages
    are waiting in the queue: more of them (``concurrency``) would get more done."""
    handling_seconds: float
    """Seconds that handlers have run, all together."""


class Run:
    """One run of a consumer, from a start to the end of a stop. What is left of an earlier one does not touch it.

    Attributes:
        poller: what messages come from.
        workers: who handles them.
        error: why it could not go on.
        draining: no more messages are handed to handlers.
        over: it has come to its end.
    """

    def __init__(self, poller: Poller, concurrency: int) -> None:
        """Nothing is asked for yet.

        Args:
            poller: a new one.
            concurrency: how many workers there are.
        """
        self.poller = poller
        self.workers = [Worker() for _ in range(concurrency)]
        self.error: BaseException | None = None
        self.draining = False
        self.over = False


class Base:
    """The part of a consumer that neither threads nor event loops have to do with."""

    #: Whether it works with an asyncio client, and awaits what its functions return.
    _awaits = False
    _name = "turbosqs.Consumer"

    _run: Any = None
    _recorder: Recorder | None = None

    def __init__(
        self,
        client: Any,
        *,
        QueueUrl: str,  # noqa: N803
        handler: Callable[..., Any] | None = None,
        lambda_handler: Callable[..., Any] | None = None,
        concurrency: int = 10,
        batch_size: int | None = None,
        batch_window: float = 0.0,
        retry_delay: float | RetryDelay | None = None,
        on_error: Callable[[BaseException, Message | None], Any] | None = None,
        on_delete_failed: Callable[[Exception, Message], Any] | None = None,
        on_lease_lost: Callable[[Message, Exception], Any] | None = None,
        max_per_second: float | None = None,
        shutdown_timeout: float = 30.0,
        **polling: Unpack[Polling],
    ) -> None:
        """Check the options; nothing is sent before the consumer is started.

        Functions are plain functions for ``turbosqs.Consumer``, which calls them in threads. For
        ``turbosqs.aio.Consumer`` they are coroutine functions, or plain ones that are called in the event loop;
        ``retry_delay`` is a plain one for both.

        Args:
            client: what ``turbosqs.client("sqs")`` makes. For ``turbosqs.aio.Consumer`` what ``turbosqs.aio.client``
                makes, or an SQS client of aiobotocore's or aioboto3's that is patched (``turbosqs.patch``): with its
                settings, and credentials from its providers, which are asked again while the consumer runs.
            QueueUrl: the queue.
            handler: called with a message as ``receive_message`` gives it; with ``batch_size``, with a list of them.
                If it returns, the message is deleted; if it raises, it is retried. From a batch it may return the
                failures as on Lambda: ``{"batchItemFailures": [{"itemIdentifier": message_id}]}``. What else it
                returns is passed over, unless it is work that is still to be done: a coroutine, a generator, a future.
            lambda_handler: instead of ``handler``, a function written for AWS Lambda: called with an event (a dict
                with up to ``batch_size`` ``"Records"``, 10 by default) and a context. It may return
                ``batchItemFailures``.
            concurrency: how many handlers run at a time, each in a thread or a task of its own.
            batch_size: how many messages a handler takes at most, in a list; None for one, and not in a list.
            batch_window: how long a batch waits to fill up, in seconds, up to 300; never longer than half
                of the visibility timeout.
            retry_delay: after how many seconds a message that failed is tried again, up to 43,200, or as long as the
                service still permits; a function of the message and the error that says so; a ``Backoff``; None: when
                its visibility timeout is over. A handler that has changed its message's visibility timeout by itself,
                with this client, has chosen already: that holds.
            on_error: called with the error and the message when a handler has raised, and with the error and None
                when a poll has failed and will be repeated. Without it they are logged.
            on_delete_failed: called with the error and the message when a message that was handled could not be
                deleted, so that it will be received again. Without it that is logged.
            on_lease_lost: called with the message and the error when the visibility timeout of a message that is being
                handled could not be extended, so that others may receive it. Without it that is logged. The handler
                itself can ask ``turbosqs.lease_lost(message)``.
            max_per_second: how many messages are handed to handlers in a second at most; None for no limit.
            shutdown_timeout: how long ``run`` and ``stop`` wait for handlers to finish, in seconds. The messages of
                those that have not finished by then become visible again; coroutines are cancelled.
            polling: ``poll_messages``' further arguments: ``VisibilityTimeout``, ``WaitTimeSeconds``,
                ``MessageAttributeNames``, ``max_messages``, ``idle_timeout``, ``min_life``, ``max_buffered``, ...

        Raises:
            TypeError, ValueError, ParamValidationError: an argument is not as described above.
            RuntimeError: somebody listens to the client's calls who would hear nothing of a consumer's (a mock, a stub,
                a handler); or a patched client stays on aiobotocore's own path.
        """
        client = self._taken(client)
        core = client._core_for("a consumer", POLLED)
        if (handler is None) is (lambda_handler is None):
            raise TypeError("a consumer needs either a handler or a lambda_handler")
        arguments: dict[str, Any] = {"QueueUrl": QueueUrl, **polling}
        self._handler_name = "handler" if lambda_handler is None else "lambda_handler"
        check(self._handler_name, handler if lambda_handler is None else lambda_handler, awaits=self._awaits)
        hooks = {"on_error": on_error, "on_delete_failed": on_delete_failed, "on_lease_lost": on_lease_lost}
        for name, hook in hooks.items():
            if hook is not None:
                check(name, hook, awaits=self._awaits)
        count("concurrency", concurrency)
        count("batch_size", batch_size, optional=True)
        number("batch_window", batch_window, most=300)
        number("max_per_second", max_per_second, optional=True, above=True)
        number("shutdown_timeout", shutdown_timeout)
        if callable(retry_delay):
            check("retry_delay", retry_delay, awaits=False)
        else:
            number("retry_delay", retry_delay, most=LONGEST, optional=True)
        most = arguments.get("max_buffered", 100)
        if lambda_handler is not None:
            batch_size = min(BATCH_SIZE, most) if batch_size is None else batch_size
            arguments.setdefault("MessageAttributeNames", ["All"])
            if "AttributeNames" not in arguments:
                arguments.setdefault("MessageSystemAttributeNames", ["All"])
        if batch_size is not None and batch_size > most:
            raise ValueError(f"batch_size must not exceed max_buffered, which is {most}")
        if isinstance(retry_delay, Backoff):
            with_attribute(arguments, "ApproximateReceiveCount")
        self._client = client
        # What is raised for a failure of the core's.
        self._exception: Callable[[Failure], Exception] = getattr(client, "_exception", exception)
        self._url = QueueUrl
        # In logs.
        self._shown = masked_url(str(QueueUrl))
        self._concurrency = concurrency
        self._in_batches = batch_size is not None
        self._retry_delay = retry_delay
        self._on_error = on_error
        self._on_delete_failed = on_delete_failed or partial(logs.not_deleted, self._shown)
        self._on_lease_lost = on_lease_lost or partial(logs.lease_lost, self._shown)
        self._shutdown_timeout = float(shutdown_timeout)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        # Nothing is fetched ahead before it is known how long a handler takes.
        self._arguments = arguments
        self._new_poller = partial(
            make_poller,
            core,
            ahead=0,
            rate=None if max_per_second is None else float(max_per_second),
            batch_size=batch_size,
            batch_window=float(batch_window),
        )
        self._poller, self._params = self._new_poller(arguments)
        self._handler: Any = handler if lambda_handler is None else LambdaHandler(lambda_handler, core, QueueUrl)
        # What workers call: the handler, as it is recorded at the moment.
        self._handle: Any = self._handler
        switch.follow(self, client)

    takes(__init__, "Polling", "turbosqs.consuming.options")

    @staticmethod
    def _taken(client: Any) -> Any:
        """The client, if it is one for consumers.

        Raises:
            TypeError: it is not.
        """
        if not isinstance(getattr(client, "_core", None), _core.Client) or iscoroutinefunction(client.close):
            kind = f"{type(client).__module__}.{type(client).__name__}"
            raise TypeError(f"this consumer needs what turbosqs.client makes, not {kind}")
        return client

    def stats(self) -> ConsumerStats:
        """What has been done since the latest start, and what there is at this moment.

        Raises:
            RuntimeError: in a forked child, where the consumer is the parent's.
        """
        counts: Any = dict(self._poller.stats())
        del counts["handed_over"]
        waiting, handling = times(() if self._run is None else self._run.workers)
        stats: Any = {"waiting_seconds": waiting, "handling_seconds": handling, **counts}
        return stats  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        if self._pid != os.getpid():
            return f"<{self._name} of {self._shown}: of another process>"
        stats, state = self.stats(), self._state()
        names = ("in_progress", "buffered", "handled", "failed", "lost")
        counts = ", ".join(f"{stats[name]} {name.replace('_', ' ')}" for name in names)  # type: ignore[literal-required]
        return f"<{self._name} of {self._shown}: {state}, {counts}>"

    def _state(self) -> str:
        run: Run | None = self._run
        if run is None:
            return "not started"
        if run.over:
            return "stopped"
        return "draining" if run.draining else "running"

    def _next_poller(self) -> Poller:
        """What a run begins with.

        Raises:
            RuntimeError: one is under way, or this is another process.
        """
        if self._pid != os.getpid():
            raise RuntimeError("a consumer belongs to the process that made it; make another after a fork")
        run: Run | None = self._run
        if run is not None and not run.over:
            raise RuntimeError("this consumer runs already; stop() it before it is started again")
        # Whether it is recorded must not change in between.
        with lock():
            if run is not None:
                self._poller, self._params = self._new_poller(self._arguments)
            if self._recorder is not None:
                ask(self._client._core, self._poller, self._params, self._recorder)
                self._recorder.consumes(self._client._core, self._poller)
        return self._poller

    def _record(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        core = self._client._core
        ask(core, self._poller, self._params, recorder)
        if recorder is None:
            self._handle = self._handler
            return
        self._handle = recorder.handler(core, self._url, self._handler, self._in_batches, self._awaits)
        run: Run | None = self._run
        if run is not None and not run.over:
            recorder.consumes(core, self._poller)

    def _delay(self, message: Message, error: BaseException) -> int | None:
        """After how many seconds a message that failed is to be visible; None: when its time is over."""
        delay = self._retry_delay
        if callable(delay):
            delay = delay(message, error)
            check_done("retry_delay", delay, awaits=False)
        if delay is None:
            return None
        number("the retry delay", delay, most=LONGEST)
        return math.ceil(delay)

    def _divide(self, result: Any, identifiers: Sequence[int], messages: Sequence[Message]) -> tuple[Any, Any, Any]:
        """Which of a batch are done, and which have failed: the numbers of both, and the messages of the latter."""
        failures = failures_of(answer_of(result) if self._handler_name == "lambda_handler" else result, messages)
        if not failures:
            return identifiers, (), ()
        pairs = list(zip(identifiers, messages, strict=True))
        failed, theirs = zip(*(pair for pair in pairs if pair[1].get("MessageId") in failures), strict=True)
        return [identifier for identifier, _ in pairs if identifier not in failed], failed, theirs

    def _retry(
        self, poller: Poller, identifiers: Sequence[int], messages: Sequence[Message], error: BaseException
    ) -> list[Call]:
        """Have messages retried that have failed; who is to be told."""
        calls: list[Call] = []
        for identifier, message in zip(identifiers, messages, strict=True):
            delay = None
            try:
                delay = self._delay(message, error)
            except Exception as wrong:  # noqa: BLE001 (it is told)
                calls += self._error(wrong, [message])
            poller.retry(identifier, delay)
        return calls + self._error(error, messages)

    def _error(self, error: BaseException, messages: Sequence[Message]) -> list[Call]:
        if self._on_error is None:
            return [("on_error", logs.not_handled, (self._shown, error, messages))]
        return [("on_error", self._on_error, (error, message)) for message in messages]

    def _calls(self, run: Run, background_errors: Sequence[BackgroundError]) -> list[Call]:
        """Who is to be told of what the core has met with."""
        calls: list[Call] = []
        for message, wanted, failure in background_errors:
            error = self._exception(failure) if isinstance(failure, Failure) else failure
            if message is None:
                calls.append(("on_error", self._on_error or partial(logs.poll_failed, self._shown), (error, None)))
            elif wanted == "lost":
                mark_lost(message, run.workers)
                calls.append(("on_lease_lost", self._on_lease_lost, (message, error)))
            elif wanted is None:
                calls.append(("on_delete_failed", self._on_delete_failed, (error, message)))
            else:
                calls.append(("on_error", self._on_error or partial(logs.not_delayed, self._shown), (error, message)))
        return calls

    def _check_done(self, result: Any, name: str | None = None) -> None:
        check_done(name or self._handler_name, result, awaits=self._awaits)
