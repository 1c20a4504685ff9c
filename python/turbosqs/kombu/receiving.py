"""Receiving: long polls of a channel's queues that share its prefetch limit."""

from __future__ import annotations

import logging
from uuid import uuid4

from .._core import Failure, monotonic
from .failures import ReceiveError, as_exception, may_pass, note_failure
from .sharing import Poll, PrefetchShares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .channel import Channel
    from .exchange import Exchange

_logger = logging.getLogger("turbosqs.kombu")

_RECEIVE = "ReceiveMessage"

#: Between two attempts of a queue that fails, in seconds: at first, and at most.
FIRST, LAST = 0.5, 10.0

#: How long polls that nobody wants any more have to come back, in seconds: SQS may be about to answer them, and what it
#: answers to nobody is invisible for the whole visibility timeout.
GRACE = 1.0


class Receiving:
    """The polls of a channel."""

    def __init__(self, channel: Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._exchange = exchange
        self._shares = PrefetchShares()
        self._polls: dict[int, Poll] = {}
        #: How long the next attempt of a queue that fails waits.
        self._pauses: dict[str, float] = {}
        self._wake: tuple[int, float] | None = None
        #: How many messages were delivered so far.
        self.delivered = 0

    @property
    def polls(self) -> int:
        """How many polls are under way."""
        return len(self._polls)

    def follow(self, queues: list[str]) -> None:
        """Let as many polls leave as there is room for.

        Args:
            queues: Those that are consumed from, and whose messages are the core's to move.
        """
        qos, now = self._channel.qos, monotonic()
        if not queues or not qos.can_consume():
            return
        held = len(qos._delivered) - len(qos._dirty)
        polls, wake = self._shares.plan(queues, qos.prefetch_count, held, now)
        for position, poll in enumerate(polls):
            try:
                self._leave(poll)
            except BaseException as error:
                for other in polls[position:]:
                    self._shares.failed(other, now + FIRST)
                if isinstance(error, Failure):
                    raise as_exception(error) from None
                raise
        if wake is not None:
            self._wake_at(wake, now, queues[0])

    def await_polls(self, deadline: float) -> None:
        """Give polls that nobody wants any more the time to come back, then give them up.

        Args:
            deadline: By the core's clock.
        """
        while self._polls and (left := deadline - monotonic()) > 0:
            self._exchange.wait(left)
            self._exchange.drain()
        for number, poll in list(self._polls.items()):
            del self._polls[number]
            self._exchange.abandon(number)
            self._shares.given_up(poll)

    def _leave(self, poll: Poll) -> None:
        channel = self._channel
        url = channel._new_queue(poll.queue)
        clients = channel.core_clients(channel.canonical_queue_name(poll.queue))
        core = None if clients is None else clients.core(_RECEIVE)
        if clients is None or core is None:
            # Since a moment ago.
            self._shares.failed(poll, monotonic())
            return
        wait = channel.wait_time_seconds
        params: dict[str, Any] = {
            "QueueUrl": url,
            "MaxNumberOfMessages": poll.count,
            "WaitTimeSeconds": min(wait, 1) if poll.is_brief else wait,
        }
        for name, wanted in channel.get_message_attributes.items():
            if wanted:
                params[name] = ["All" if each == "ALL" else each for each in wanted]
        if channel.heartbeat.is_wanted:
            # Whatever the queue's own is.
            params["VisibilityTimeout"] = channel.heartbeat.seconds
        if url.endswith(".fifo"):
            # An attempt that is repeated after a lost reply brings the same messages.
            params["ReceiveRequestAttemptId"] = uuid4().hex
        begun = monotonic()
        number = self._exchange.call(
            core, _RECEIVE, params, lambda answer: self._returned(number, poll, url, begun, answer)
        )
        self._polls[number] = poll
        clients.count()

    def _returned(self, number: int, poll: Poll, url: str, begun: float, answer: Any) -> None:
        del self._polls[number]
        now = monotonic()
        if isinstance(answer, BaseException):
            self._failed(poll, now, answer)
            return
        self._pauses.pop(poll.queue, None)
        messages = answer.get("Messages") or []
        self._shares.returned(poll, len(messages), now, self._channel.connection.polling_interval or 0.0)
        if not messages:
            return
        if now - begun > self._channel.wait_time_seconds + self._channel.visibility_timeout:
            # Nobody looked for so long that they are somebody else's by now.
            _logger.warning("%d messages of %s have waited for too long; SQS delivers them again", len(messages), url)
            return
        if self._channel.heartbeat.is_wanted:
            queue = self._channel.canonical_queue_name(poll.queue)
            self._channel.heartbeat.received(queue, url, [message["ReceiptHandle"] for message in messages], begun)
        self.delivered += self._channel.deliver(poll.queue, url, messages)

    def _failed(self, poll: Poll, now: float, failure: BaseException) -> None:
        error = as_exception(failure)
        if not may_pass(failure):
            self._shares.failed(poll, now + LAST)
            if poll.queue not in self._channel._active_queues:
                return
            note_failure()
            raise ReceiveError(f"queue {poll.queue!r} cannot be received from: {error}") from error
        pause = self._pauses.get(poll.queue, FIRST)
        self._pauses[poll.queue] = min(LAST, pause * 2)
        self._shares.failed(poll, now + pause)
        _logger.warning("receiving from queue %r failed, the next attempt is in %g s: %s", poll.queue, pause, error)

    def _wake_at(self, time: float, now: float, queue: str) -> None:
        if self._wake is not None:
            number, earlier = self._wake
            if earlier <= time:
                return
            self._exchange.abandon(number)
        clients = self._channel.core_clients(self._channel.canonical_queue_name(queue))
        core = None if clients is None else clients.core(_RECEIVE)
        if core is not None:
            self._wake = (self._exchange.after(core, max(0.0, time - now), self._woken), time)

    def _woken(self, _: object) -> None:
        # Whoever drains follows up.
        self._wake = None
