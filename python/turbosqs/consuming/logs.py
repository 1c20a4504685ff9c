"""What a consumer writes to its log, ``turbosqs.consumer``: its course, and each failure that no hook takes, once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .._logs import consumes
from ..types import Message
from .batches import HandlerFailure

log = logging.getLogger("turbosqs.consumer")


def not_handled(url: str, error: BaseException, messages: Sequence[Message]) -> None:
    """A handler has raised, or has named messages among its failures. One entry for all of a batch."""
    ids = ", ".join(str(message.get("MessageId")) for message in messages)
    # Only what was raised has a way to show.
    cause = None if isinstance(error, HandlerFailure) else error
    what = "a message was" if len(messages) == 1 else f"{len(messages)} messages were"
    log.error("%s: %s not handled: %s: %s", url, what, ids, error or type(error).__name__, exc_info=cause)


def poll_failed(url: str, error: BaseException, _: None) -> None:
    """A poll has failed for a reason that may pass, or the question for the queue's settings: a line each time."""
    if getattr(error, "operation_name", None) == "GetQueueAttributes":
        log.error("%s: the queue's visibility timeout could not be read: %s", url, _line(error))
    else:
        log.error("%s: a poll has failed and will be repeated: %s", url, _line(error))


def not_delayed(url: str, error: BaseException, message: Message) -> None:
    """A message's retry delay could not be set."""
    log.error(
        "%s: a message that was not handled will be retried when its visibility timeout is over, since its retry delay "
        "could not be set: %s: %s",
        url,
        message.get("MessageId"),
        _line(error),
    )


def not_deleted(url: str, error: BaseException, message: Message) -> None:
    """A message was handled and will come again."""
    log.error(
        "%s: a message was handled and could not be deleted, so it will be received again: %s: %s",
        url,
        message.get("MessageId"),
        _line(error),
    )


def lease_lost(url: str, message: Message, error: BaseException) -> None:
    """A message that is being handled is no longer ours."""
    log.error(
        "%s: the visibility timeout of a message that is being handled could not be extended, so others may receive it:"
        " %s: %s",
        url,
        message.get("MessageId"),
        _line(error),
    )


def hook_failed(name: str) -> None:
    """A hook has raised, just now."""
    log.exception("%s has failed", name)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def started(url: str, concurrency: int) -> None:
    """A run has begun."""
    consumes(1)
    log.info("%s: consuming, %d handlers at a time", url, concurrency)


def draining(url: str, in_progress: int, buffered: int) -> None:
    """A run is coming to its end."""
    log.info("%s: draining, %d messages are being handled and %d go back", url, in_progress, buffered)


def stopped(url: str, handled: int, failed: int, unfinished: int) -> None:
    """A run has ended."""
    consumes(-1)
    rest = f"; {unfinished} handlers have not finished in time, their messages go back" if unfinished else ""
    log.info("%s: stopped, %d messages handled, %d failed%s", url, handled, failed, rest)


def ended(url: str, error: BaseException) -> None:
    """A run cannot go on."""
    log.error("%s: cannot go on: %s", url, _line(error))
