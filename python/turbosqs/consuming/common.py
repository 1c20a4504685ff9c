"""What consumers have in common: their settings, when a message is tried again, what a batch handler's answer means."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, TypedDict

from .. import _core
from .._core import Failure
from ..errorfactory import exception
from ..polling import count, make_poller, number, with_attribute
from ..types import Message

#: Where failures are told of that no hook takes.
log = logging.getLogger("turbosqs.consumer")

#: The longest visibility timeout, in seconds.
LONGEST = 43_200

RetryDelay = Callable[[Message, BaseException], "float | None"]


class ConsumerStats(TypedDict):
    """What a consumer has done so far, and what it has at this moment."""

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


class Backoff:
    """A retry delay that grows with each receive of a message: ``first``, ``first * factor``, ... up to ``limit``.

    Its messages come with ``ApproximateReceiveCount``. A part of each delay is left to chance, so that messages that
    failed together do not come back together.
    """

    def __init__(self, first: float = 1.0, *, factor: float = 2.0, limit: float = 900.0, jitter: float = 0.5) -> None:
        """Check the figures and keep them.

        Arguments:
            first: the delay after the first receive, in seconds, up to 43,200.
            factor: by how much each delay is longer than the one before; 1 or more.
            limit: the longest delay, in seconds, up to 43,200.
            jitter: the part of a delay that is left to chance, from 0 to 1: a delay of 8 seconds with jitter 0.5
                takes from 4 to 8.

        Raises:
            TypeError: an argument is no number.
            ValueError: a number out of range.
        """
        number("first", first, most=LONGEST)
        number("factor", factor)
        number("limit", limit, most=LONGEST)
        number("jitter", jitter, most=1.0)
        if factor < 1:
            raise ValueError(f"factor must be 1 or more, not {factor!r}")
        self.first, self.factor, self.limit, self.jitter = first, factor, limit, jitter

    def __call__(self, message: Message, error: BaseException) -> float:  # noqa: ARG002
        """The delay in seconds for a message that has failed.

        Arguments:
            message: with its ``ApproximateReceiveCount``.
            error: what its handler raised.
        """
        receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
        try:
            delay = min(self.limit, self.first * self.factor ** max(receives - 1, 0))
        except OverflowError:
            delay = self.limit
        return delay * (1 - self.jitter * random.random())

    def __repr__(self) -> str:
        return f"Backoff({self.first!r}, factor={self.factor!r}, limit={self.limit!r}, jitter={self.jitter!r})"


class BadBatchResultError(ValueError):
    """A batch handler returned what is no answer: all its messages count as failed."""


class Base:
    """The part of a consumer that neither threads nor event loops have to do with."""

    #: Whether it works with an asyncio client.
    _awaits = False

    def __init__(
        self,
        client: Any,
        arguments: dict[str, Any],
        *,
        handler: Callable[..., Any],
        concurrency: int,
        batch_size: int | None,
        batch_window: float,
        retry_delay: float | RetryDelay | None,
        on_error: Callable[..., Any] | None,
        on_delete_failed: Callable[..., Any] | None,
        max_per_second: float | None,
        shutdown_timeout: float,
    ) -> None:
        core = getattr(client, "_core", None)
        if not isinstance(core, _core.Client) or iscoroutinefunction(client.close) is not self._awaits:
            kind = "turbosqs.aio.client" if self._awaits else "turbosqs.client"
            raise TypeError(
                f"this consumer needs what {kind} makes, not {type(client).__module__}.{type(client).__name__}"
            )
        for name, value in (("handler", handler), ("on_error", on_error), ("on_delete_failed", on_delete_failed)):
            if not callable(value) and (name == "handler" or value is not None):
                raise TypeError(f"{name} must be callable, not {type(value).__name__}")
        count("concurrency", concurrency)
        count("batch_size", batch_size, optional=True)
        number("batch_window", batch_window, most=300)
        number("max_per_second", max_per_second, optional=True, above=True)
        number("shutdown_timeout", shutdown_timeout)
        if not callable(retry_delay):
            number("retry_delay", retry_delay, most=LONGEST, optional=True)
        if batch_size is not None and batch_size > arguments.get("max_buffered", 100):
            raise ValueError(f"batch_size must not exceed max_buffered, which is {arguments.get('max_buffered', 100)}")
        if isinstance(retry_delay, Backoff):
            with_attribute(arguments, "ApproximateReceiveCount")
        self._handler = handler
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._retry_delay = retry_delay
        self._on_error = on_error
        self._on_delete_failed = on_delete_failed
        self._shutdown_timeout = shutdown_timeout
        # Nothing is fetched ahead before it is known how long a handler takes.
        self._poller = make_poller(
            core,
            arguments,
            ahead=0,
            rate=None if max_per_second is None else float(max_per_second),
            batch_size=batch_size or 1,
            batch_window=float(batch_window),
        )

    def stats(self) -> ConsumerStats:
        """What has been done so far, and what there is at this moment.

        Raises:
            RuntimeError: in a forked child, where the consumer is the parent's.
        """
        stats: Any = dict(self._poller.stats())
        del stats["handed_over"]
        result: ConsumerStats = stats
        return result

    def _delay(self, message: Message, error: BaseException) -> int | None:
        """After how many seconds a message that failed is to be visible; None: when its time is over."""
        delay = self._retry_delay(message, error) if callable(self._retry_delay) else self._retry_delay
        if delay is None:
            return None
        number("the retry delay", delay, most=LONGEST)
        return math.ceil(delay)

    def _failures(self, result: Any, messages: Sequence[Message]) -> set[str]:
        """The ids of the messages that a batch handler says have failed, in Lambda's form.

        Raises:
            BadBatchResultError: it says so in no such form, or of a message that it was not given.
        """
        if not result:
            return set()
        listed = result.get("batchItemFailures") if isinstance(result, Mapping) else 0
        if listed is None and "batchItemFailures" in result:
            return set()
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise BadBatchResultError(
                f"a batch handler returns None or a dict with 'batchItemFailures', not {result!r}"
            )
        failed = {item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in listed}
        unknown = failed - {message.get("MessageId") for message in messages}
        if unknown:
            raise BadBatchResultError(
                f"a batch handler names messages that it was not given: {sorted(map(repr, unknown))}"
            )
        return {str(identifier) for identifier in failed}

    def _outcomes(
        self, result: Any, identifiers: Sequence[int], messages: Sequence[Message]
    ) -> list[tuple[int, Message, BaseException | None]]:
        """What a batch handler's answer means for each message; an error where it has failed."""
        failures = self._failures(result, messages)
        failed = HandlerFailure("the batch handler names it among its failures")
        return [
            (identifier, message, failed if message.get("MessageId") in failures else None)
            for identifier, message in zip(identifiers, messages, strict=True)
        ]

    def _hooks(
        self, troubles: Sequence[tuple[Message | None, int | None, Exception]]
    ) -> list[tuple[Callable[..., Any], BaseException, Message | None]]:
        """Who is to be told of what the core has met with, and what."""
        calls: list[tuple[Callable[..., Any], BaseException, Message | None]] = []
        for message, seconds, failure in troubles:
            error = exception(failure) if isinstance(failure, Failure) else failure
            if message is None or seconds is not None:
                calls.append((self._on_error or log_error, error, message))
            else:
                calls.append((self._on_delete_failed or log_delete, error, message))
        return calls


def log_error(error: BaseException, message: Message | None) -> None:
    """What there is for ``on_error`` if there is none."""
    if message is None:
        log.error("a poll has failed and will be repeated: %s", error, exc_info=error)
    else:
        log.error("a message was not handled: %s", message.get("MessageId"), exc_info=error)


def log_delete(error: BaseException, message: Message) -> None:
    """What there is for ``on_delete_failed`` if there is none."""
    log.error("a message was handled and could not be deleted: %s", message.get("MessageId"), exc_info=error)


class HandlerFailure(Exception):  # noqa: N818 (it is a report, not an error of its own)
    """What stands for the error of a message that a batch handler named among its failures."""
