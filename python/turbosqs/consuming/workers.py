"""What each of a consumer's workers has in hand, since when, and how its time has been spent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakSet

from .._core import monotonic
from .._lock import lock
from ..types import Message

#: Receipt handles of messages whose lease was lost and that are still being handled.
_lost: set[str] = set()

#: What keeps messages invisible that a program has received by itself.
_keepers: WeakSet[Any] = WeakSet()


def keeps(keeper: Any) -> None:
    """``lease_lost`` is to know of what a ``turbosqs.keeping.BaseKeeper`` has lost as well."""
    with lock():
        _keepers.add(keeper)


def lease_lost(message: Mapping[str, Any]) -> bool:
    """Whether a message that is being handled is no longer ours: its visibility timeout could not be extended.

    Somebody else may receive it, or has it already; what the handler comes to does not count any more, and nothing is
    deleted. A long handler asks now and then, and stops when there is no use in going on:

        def handle(message):
            for part in parts:
                if turbosqs.lease_lost(message):
                    return
                ...

    Args:
        message: as a consumer's handler was given it, or a record of a Lambda handler's event; or what a program has
            received by itself and keeps invisible with ``keep_invisible``.
    """
    handle = message.get("ReceiptHandle") or message.get("receiptHandle")
    if handle in _lost:
        return True
    if not handle or not _keepers:
        return False
    with lock():
        mine = [keeper for keeper in _keepers if keeper._pid == os.getpid()]
    return any(keeper.is_lost(str(handle)) for keeper in mine)


class Worker:
    """One thread or task that runs handlers.

    Attributes:
        held: the message or messages that it handles now; None while it waits.
        since: when it began to handle them, or to wait.
        waiting: how many seconds it has waited before.
        handling: how many seconds handlers have taken before.
    """

    __slots__ = ("handling", "held", "over", "since", "waiting")

    held: Message | Sequence[Message] | None

    def __init__(self) -> None:
        """It begins by waiting."""
        self.held = None
        self.waiting = self.handling = 0.0
        self.since = monotonic()
        self.over = False

    def begin(self, held: Message | Sequence[Message]) -> None:
        """A handler is given something."""
        now = monotonic()
        self.waiting += now - self.since
        self.since = now
        self.held = held

    def end(self) -> None:
        """The handler has returned or raised, and its messages are settled."""
        now = monotonic()
        self.handling += now - self.since
        self.since = now
        held, self.held = self.held, None
        # In this order: whoever marks one as lost looks once more whether it is held.
        if _lost:
            _lost.difference_update(_handles(held))

    def stop(self) -> None:
        """It does not take any more."""
        if self.held is not None:
            self.end()
        self.waiting += monotonic() - self.since
        self.over = True

    def handles(self) -> list[str]:
        """The receipt handles of what it handles now."""
        return _handles(self.held)


def _handles(held: Any) -> list[str]:
    if held is None:
        return []
    return [message["ReceiptHandle"] for message in ([held] if isinstance(held, dict) else held)]


def mark_lost(message: Message, workers: Iterable[Worker]) -> None:
    """A message's lease was lost; its handler, if one has it, can see that."""
    handle, workers = message["ReceiptHandle"], list(workers)
    if any(handle in worker.handles() for worker in workers):
        _lost.add(handle)
        # The handler may have ended in between, which looks for marks only then.
        if not any(handle in worker.handles() for worker in workers):
            _lost.discard(handle)


def times(workers: Iterable[Worker]) -> tuple[float, float]:
    """Seconds spent waiting and handling, all workers together."""
    now = monotonic()
    waiting = handling = 0.0
    for worker in workers:
        waiting += worker.waiting
        handling += worker.handling
        spent = now - worker.since
        if worker.held is not None:
            handling += spent
        elif not worker.over:
            waiting += spent
    return waiting, handling
