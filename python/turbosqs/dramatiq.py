"""dramatiq-sqs: a heartbeat for what a worker holds.

    broker = SQSBroker()
    broker.add_middleware(turbosqs.dramatiq.heartbeat(visibility_timeout=30))

The visibility of every message that the worker has received and not settled is extended by the core, so that long
messages are not done twice and those of a worker that dies come back after one visibility timeout.
"""

from __future__ import annotations

import logging

from dramatiq import Middleware

from ._core import Client, monotonic
from ._delegate import Owner
from .batching import Batching, as_argument
from .keeping import Keeper
from .patching.listeners import name_added
from .patching.settings import core_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["heartbeat"]

_logger = logging.getLogger("turbosqs.dramatiq")

#: With a visibility timeout beyond this there is little that a heartbeat could do, in seconds: dramatiq-sqs has twelve
#: hours by default, which is all that SQS allows.
_LONG = 12 * 3600 // 2


class heartbeat(Middleware):  # noqa: N801 - it is used as a function is
    """The middleware. It is for ``dramatiq_sqs.SQSBroker``, patched or not."""

    def __init__(self, visibility_timeout: int | None = None) -> None:
        """Choose the visibility timeout.

        Args:
            visibility_timeout: Seconds for which a message stays invisible after it was received or extended, from 1
                to 43,200: so long after a worker's death its messages come back. None: the broker's.

        Raises:
            ValueError: it is not as described above.
        """
        if visibility_timeout is not None and not 1 <= visibility_timeout <= 43_200:
            raise ValueError(f"visibility_timeout must be from 1 to 43200, not {visibility_timeout!r}")
        self._seconds = visibility_timeout
        self._core: tuple[Client, Owner] | None = None
        self._keepers: list[Keeper] = []

    def before_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        """Have the consumers that the worker makes keep what they receive.

        Raises:
            TypeError: the broker is none of dramatiq-sqs.
        """
        if not hasattr(broker, "sqs"):
            raise TypeError(f"turbosqs.dramatiq.heartbeat is for dramatiq_sqs.SQSBroker, not {type(broker).__name__}")
        seconds = self._seconds or broker.visibility_timeout
        if seconds is not None and seconds > _LONG:
            _logger.warning(
                "messages of a worker that dies are invisible for %d seconds: "
                "a heartbeat allows for less, SQSBroker(visibility_timeout=30)",
                seconds,
            )
        consume = type(broker).consume

        def kept(*arguments: Any, **options: Any) -> Any:
            consumer = consume(broker, *arguments, **options)
            if self._seconds is not None:
                consumer.visibility_timeout = self._seconds
            consumer.queue = _Queue(consumer.queue, self._keeper(broker, consumer))
            return consumer

        broker.consume = kept

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        """Keep nothing any more: what was not settled was given back."""
        broker.__dict__.pop("consume", None)
        while self._keepers:
            self._keepers.pop().close()
        self._core = None

    def _keeper(self, broker: Any, consumer: Any) -> Keeper:
        if self._core is None:
            client = broker.sqs.meta.client
            arguments = {**core_arguments(client, name_added(client)), "batching": as_argument(Batching())}
            self._core = Client(arguments, resolved=True), Owner(client)
        core, owner = self._core
        owner.hand_over(core)
        owner.keep_handing_over(core)
        keeper = Keeper(core, QueueUrl=consumer.queue.url, VisibilityTimeout=consumer.visibility_timeout)
        self._keepers.append(keeper)
        return keeper


class _Queue:
    """boto3's ``Queue``, of which what is received is kept until it is settled."""

    def __init__(self, queue: Any, keeper: Keeper) -> None:
        self._queue = queue
        self._keeper = keeper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def receive_messages(self, **options: Any) -> list[_Message]:
        begun = monotonic()
        messages = self._queue.receive_messages(**options)
        age = monotonic() - begun
        for message in messages:
            self._keeper.add(message.receipt_handle, age=age)
        return [_Message(message, self._keeper) for message in messages]

    def change_message_visibility_batch(self, **options: Any) -> Any:
        for entry in options["Entries"]:
            self._keeper.remove(entry["ReceiptHandle"])
        return self._queue.change_message_visibility_batch(**options)


class _Message:
    """boto3's ``Message``, which is kept until it is deleted."""

    def __init__(self, message: Any, keeper: Keeper) -> None:
        self._message = message
        self._keeper = keeper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def delete(self, **options: Any) -> Any:
        self._keeper.remove(self._message.receipt_handle)
        return self._message.delete(**options)
