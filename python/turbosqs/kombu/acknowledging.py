"""Acknowledgements: deletes that leave in batches while the worker goes on.

A delivery counts against the prefetch limit until its delete is answered. What fails for a reason that may pass is
asked for again; what fails for good is logged, and raised from the next acknowledgement.
"""

from __future__ import annotations

import logging

from kombu.transport.SQS.exceptions import AccessDeniedQueueException

from .._core import monotonic
from .failures import GONE, as_exception, code, may_pass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .. import _core
    from .channel import Channel
    from .exchange import Exchange

_logger = logging.getLogger("turbosqs.kombu")

#: How long a delete waits for others, in seconds; and the most that share a request.
LINGER, MOST = 0.02, 10

#: Between two attempts, in seconds: at first, and at most.
FIRST, LAST = 0.1, 5.0

_DELETE = "DeleteMessage"


class _Delete:
    """A delete without an answer."""

    __slots__ = ("handle", "pause", "queue", "tag", "until", "url")

    def __init__(self, tag: str | None, queue: str | None, url: str, handle: str, until: float) -> None:
        self.tag = tag
        self.queue = queue
        self.url = url
        self.handle = handle
        self.until = until
        self.pause = FIRST


class Acknowledging:
    """The deletes of a channel."""

    def __init__(self, channel: Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._exchange = exchange
        self._unanswered: dict[str, _Delete] = {}
        self._failures: list[BaseException] = []
        # Since when the first of those that linger does so, and whether it is seen to that they leave.
        self._since = 0.0
        self._is_timed = False

    def __len__(self) -> int:
        return len(self._unanswered)

    def __contains__(self, handle: str) -> bool:
        """Whether the delete of a receipt handle has no answer yet."""
        return handle in self._unanswered

    def delete(self, tag: str | None, queue: str | None, url: str, handle: str) -> bool:
        """Begin to delete a message.

        Args:
            tag: The delivery that is settled with it; None if there is none (``no_ack``).
            queue: The queue's name, as ``Channel.sqs`` takes it.
            url: The queue's URL.
            handle: The message's receipt handle.

        Returns:
            Whether it is the core's to delete; if not, kombu's own way is the way.
        """
        if handle in self._unanswered:
            return True
        # It would be extended after it was deleted.
        self._channel.heartbeat.over(handle)
        until = monotonic() + self._channel.visibility_timeout
        entry = self._unanswered[handle] = _Delete(tag, queue, url, handle, until)
        try:
            begun = self._begin(entry)
        except BaseException:
            del self._unanswered[handle]
            raise
        if not begun:
            del self._unanswered[handle]
        return begun

    def raise_failure(self) -> None:
        """Raise what has failed since the last time; of several the first, the others are in the log."""
        if self._failures:
            failures, self._failures = self._failures, []
            raise failures[0]

    def flush(self, deadline: float) -> bool:
        """Wait for all answers, until the core's clock says so much; whether they have come."""
        self._exchange.leave()
        while self._unanswered:
            left = deadline - monotonic()
            if left <= 0:
                return False
            self._exchange.wait(left)
            self._exchange.drain()
        return True

    def _begin(self, entry: _Delete) -> bool:
        clients = self._channel.core_clients(entry.queue)
        core = None if clients is None else clients.core(_DELETE)
        if clients is None or core is None:
            return False
        params = {"QueueUrl": entry.url, "ReceiptHandle": entry.handle}
        self._exchange.call(core, _DELETE, params, lambda answer: self._answered(entry, answer), lingers=True)
        clients.count()
        self._leave(core)
        return True

    def _leave(self, core: _core.Client) -> None:
        """Let what lingers leave: now if nothing can join it or nobody would do it later, else soon."""
        qos, waiting = self._channel.qos, self._exchange.lingering
        undone = len(qos._delivered) - len(qos._dirty) - len(self._unanswered)
        if waiting >= MOST or undone <= 0 or not self._channel._consumers:
            self._exchange.leave()
            return
        if waiting == 1:
            self._since = monotonic()
        if not self._is_timed:
            self._is_timed = True
            self._exchange.after(core, LINGER, lambda _: self._on_time(core))

    def _on_time(self, core: _core.Client) -> None:
        left = self._since + LINGER - monotonic()
        if self._exchange.lingering and left > 0:
            # Those that it was for have left already, with others.
            self._exchange.after(core, left, lambda _: self._on_time(core))
            return
        self._is_timed = False
        self._exchange.leave()

    def _again(self, entry: _Delete) -> None:
        try:
            begun = self._begin(entry)
        except Exception as error:  # noqa: BLE001 - of any kind that credentials have; it is told below
            self._failed(entry, error)
        else:
            if not begun:
                self._failed(entry, RuntimeError("somebody listens to the calls of its client now"))

    def _answered(self, entry: _Delete, answer: Any) -> None:
        if not isinstance(answer, BaseException):
            self._settled(entry)
        elif may_pass(answer) and monotonic() + entry.pause < entry.until:
            self._retry(entry, answer)
        else:
            self._failed(entry, answer)

    def _retry(self, entry: _Delete, failure: BaseException) -> None:
        clients = self._channel.core_clients(entry.queue)
        core = None if clients is None else clients.core(_DELETE)
        if core is None:
            self._failed(entry, failure)
            return
        if entry.pause == FIRST:
            _logger.warning(
                "a message of %s could not be deleted, and will be tried again: %s", entry.url, as_exception(failure)
            )
        self._exchange.after(core, entry.pause, lambda _: self._again(entry))
        entry.pause = min(LAST, entry.pause * 2)

    def _settled(self, entry: _Delete) -> None:
        self._unanswered.pop(entry.handle, None)
        if entry.tag is not None:
            self._channel.qos.ack(entry.tag)

    def _failed(self, entry: _Delete, failure: BaseException) -> None:
        """As kombu's own channel has it: the delivery is settled all the same, lest its place is taken for ever."""
        error = as_exception(failure)
        _logger.error("a message of %s could not be deleted; SQS will deliver it again: %s", entry.url, error)
        self._unanswered.pop(entry.handle, None)
        refusal = code(failure)
        if refusal in ("AccessDenied", "AccessDeniedException"):
            denied = AccessDeniedQueueException(failure.args[1]["Error"]["Message"])
            denied.__cause__ = error
            self._failures.append(denied)
        elif refusal is None:
            self._failures.append(error)
        elif refusal not in GONE and entry.tag is not None:
            # It stays in the queue, so a backoff policy applies.
            self._channel.settle_rejected(entry.tag)
            return
        if entry.tag is not None:
            self._channel.qos.ack(entry.tag)
