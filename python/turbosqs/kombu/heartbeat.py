"""Heartbeat: the visibility of what a worker holds is extended in batches for as long as it holds it.

So a short visibility timeout is enough for long tasks, and for tasks that wait for their ETA; those of a worker that
dies come back after one visibility timeout.
"""

from __future__ import annotations

import logging

from .._core import monotonic
from .failures import GONE, as_exception, code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .. import _core
    from .channel import Channel
    from .exchange import Exchange

_logger = logging.getLogger("turbosqs.kombu")

_CHANGE = "ChangeMessageVisibility"

#: The longest that SQS lets a message be invisible, in seconds, from when it was received.
LONGEST = 43_200


class Heartbeat:
    """The heartbeat of a channel. It beats three times in a visibility timeout, so that one beat may fail."""

    def __init__(self, channel: Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._exchange = exchange
        # By receipt handle: when it was received and when it was last extended, or may have been.
        self._held: dict[str, tuple[float, float]] = {}
        self._timer: Any = None
        self._is_beating = False

    @property
    def period(self) -> float:
        """Seconds between two beats."""
        return float(max(1, self._channel.visibility_timeout)) / 3

    def received(self, handles: list[str], since: float, core: _core.Client) -> None:
        """Messages have come.

        Args:
            handles: Their receipt handles.
            since: From when on they may have been invisible, by the core's clock.
            core: Whose clock tells when the next beat is due.
        """
        self._held.update(dict.fromkeys(handles, (since, since)))
        if not self._is_beating:
            self._is_beating = True
            hub = self._channel.watching
            if hub is None:
                self._exchange.after(core, self.period, lambda _: self._beat_again(core))
            else:
                # Celery has the hub's timers go on while its pool ends.
                self._timer = hub.call_repeatedly(self.period, self.beat)

    def beat(self) -> None:
        """Extend what was not extended for half a period."""
        qos, now = self._channel.qos, monotonic()
        delivered = {}
        for tag, message in qos._delivered.copy().items():
            info = message.delivery_info
            if tag not in qos._dirty and "sqs_message" in info:
                delivered[info["sqs_message"]["ReceiptHandle"]] = info
        for handle in [handle for handle in self._held if handle not in delivered]:
            self._held.pop(handle, None)
        for handle, info in delivered.items():
            since, extended = self._held.get(handle, (now, now - self.period))
            if now - extended >= self.period / 2 and handle not in self._channel.deletes:
                self._held[handle] = since, now
                self._extend(handle, info, int(LONGEST - 1 - (now - since)), extended)
        self._exchange.leave()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held.clear()
        # What is due by the exchange finds nothing.

    def _beat_again(self, core: _core.Client) -> None:
        self._is_beating = bool(self._held)
        if self._held:
            self.beat()
            self._exchange.after(core, self.period, lambda _: self._beat_again(core))

    def _extend(self, handle: str, info: dict[str, Any], most: int, extended: float) -> None:
        seconds = min(self._channel.visibility_timeout, most)
        queue = self._channel.canonical_queue_name(info["routing_key"]) if "routing_key" in info else None
        clients = self._channel.core_clients(queue)
        core = None if clients is None else clients.core(_CHANGE)
        if clients is None or core is None or seconds <= 0:
            return
        params = {"QueueUrl": info["sqs_queue"], "ReceiptHandle": handle, "VisibilityTimeout": seconds}
        self._exchange.call(
            core, _CHANGE, params, lambda answer: self._answered(handle, extended, answer), lingers=True
        )
        clients.count()
        self._exchange.leave()

    def _answered(self, handle: str, extended: float, answer: Any) -> None:
        if not isinstance(answer, BaseException) or handle not in self._held or handle in self._channel.deletes:
            return
        if code(answer) in GONE:
            # Never again: old receipt handles may act on what is another worker's.
            self._held[handle] = self._held[handle][0], float("inf")
            _logger.warning("a message is the worker's no more, and will be delivered again: %s", as_exception(answer))
        else:
            # The next beat tries again.
            self._held[handle] = self._held[handle][0], extended
            _logger.warning("a message's visibility could not be extended: %s", as_exception(answer))
