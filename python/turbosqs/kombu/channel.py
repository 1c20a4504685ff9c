"""kombu's SQS channel, its messages moved by the core.

Everything else is inherited from ``kombu.transport.SQS``: queues and their names, clients and their credentials, what
is in a message and what it becomes.
"""

from __future__ import annotations

import logging
from queue import Empty

from botocore.exceptions import ClientError
from kombu.transport import SQS, virtual

from .._core import monotonic
from ..polling import track
from .acknowledging import Acknowledging
from .clients import core_clients
from .exchange import Exchange
from .failures import as_exception
from .heartbeat import Heartbeat
from .publishing import put
from .receiving import GRACE, Receiving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .clients import CoreClients

_logger = logging.getLogger("turbosqs.kombu")

#: How long closing waits for what is under way, in seconds.
TIMEOUT = 5.0

_RECEIVE, _CHANGE = "ReceiveMessage", "ChangeMessageVisibility"


class QoS(SQS.QoS):  # type: ignore[misc]
    """kombu's, but that what is given back when a channel ends is given back at once, in batches."""

    def restore_unacked(self) -> list[Any]:
        """Make what was delivered and not acknowledged visible again.

        Returns:
            Nothing: what could not be given back becomes visible when its visibility timeout is over, and a line in
            the log says so.
        """
        if not self.channel.is_on_core:
            return super().restore_unacked()  # type: ignore[no-any-return]
        self.channel.settle()
        self._flush()
        messages: list[tuple[str | None, str, str]] = []
        while self._delivered:
            _, message = self._delivered.popitem()
            info = message.delivery_info
            if "sqs_message" in info and info["sqs_message"]["ReceiptHandle"] not in self.channel.deletes:
                messages.append((info.get("routing_key"), info["sqs_queue"], info["sqs_message"]["ReceiptHandle"]))
        self.channel.give_back(messages, wait=True)
        return []


class Channel(SQS.Channel):  # type: ignore[misc]
    """A channel of ``turbosqs.kombu.Transport``.

    Attributes:
        deletes: acknowledgements that have no answer yet.
        heartbeat: keeps what is delivered, if ``transport_options`` ask for it.
        watching: the hub that watches for answers.
    """

    QoS = QoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._exchange = Exchange()
        self._receiving = Receiving(self, self._exchange)
        self.deletes = Acknowledging(self, self._exchange)
        self.heartbeat = Heartbeat(self, self._exchange)
        self.watching: Any = None
        # Whether anything was ever the core's to move.
        self.is_on_core = False
        self._given_back = 0
        super().__init__(*args, **kwargs)

    # What moves messages in.

    def _schedule_queue(self, queue: str) -> None:
        """Called on the hub, first when the queue is consumed from."""
        if queue not in self._active_queues:
            return
        if self._is_received_by_core(queue):
            self._watch()
            self.follow()
        else:
            super()._schedule_queue(queue)

    def follow(self) -> None:
        """Let polls leave, as many as the prefetch limit has room for."""
        if self.closed or not self._active_queues:
            return
        queues = []
        for queue in dict.fromkeys(self._active_queues):
            if self._is_received_by_core(queue):
                queues.append(queue)
            elif self.watching is not None:
                self.watching.call_soon(self._schedule_queue, queue)
        self._receiving.follow(queues)

    def deliver(self, queue: str, url: str, messages: list[Any]) -> int:
        """Give messages to the queue's consumer; back to the queue, if there is none any more.

        Returns:
            How many the consumer was given.
        """
        callback = self.connection._callbacks.get(queue)
        if callback is None:
            _logger.info("the consumer of queue %r is gone, %d messages go back", queue, len(messages))
            self.give_back([(queue, url, message["ReceiptHandle"]) for message in messages])
            return 0
        for position, message in enumerate(messages):
            try:
                callback(self._message_to_python(message, queue, url))
            except BaseException:
                self.give_back([(queue, url, other["ReceiptHandle"]) for other in messages[position + 1 :]])
                raise
        return len(messages)

    def give_back(self, messages: list[tuple[str | None, str, str]], wait: bool = False) -> None:
        """Make messages visible again, in batches.

        Args:
            messages: The queue's name, its URL and the message's receipt handle, each.
            wait: Whether to wait for the answers.
        """
        for queue, url, handle in messages:
            clients = self.core_clients(None if queue is None else self.canonical_queue_name(queue))
            core = None if clients is None else clients.core(_CHANGE)
            self.heartbeat.over(handle)
            params = {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0}
            if clients is None or core is None:
                try:
                    self.sqs(queue).change_message_visibility(**params)
                except ClientError as error:
                    _logger.warning("a message of %s did not go back: %s", url, error)
                continue
            self._given_back += 1

            def answered(answer: Any, url: str = url) -> None:
                self._gave_back(url, answer)

            self._exchange.call(core, _CHANGE, params, answered, lingers=True)
            clients.count()
        self._exchange.leave()
        deadline = monotonic() + TIMEOUT
        while wait and self._given_back and (left := deadline - monotonic()) > 0:
            self._exchange.wait(left)
            self._exchange.drain()

    def _gave_back(self, url: str, answer: Any) -> None:
        self._given_back -= 1
        if isinstance(answer, BaseException):
            _logger.warning(
                "a message of %s did not go back, and is visible when its visibility timeout is over: %s",
                url,
                as_exception(answer),
            )

    def drain_events(self, timeout: float | None = None, callback: Any = None, **kwargs: Any) -> None:
        """Deliver what has come.

        Raises:
            Empty: nothing has come within ``timeout`` seconds.
        """
        if not self.is_driven_by_core:
            super().drain_events(timeout=timeout, callback=callback, **kwargs)
            return
        if not self._consumers:
            raise Empty
        if not self.pump():
            self._exchange.wait(timeout or 0.0)
            if not self.pump():
                raise Empty

    @property
    def is_driven_by_core(self) -> bool:
        """Whether all queues that are consumed from are the core's to receive from."""
        return all(map(self._is_received_by_core, self._active_queues))

    @property
    def descriptor(self) -> int:
        """Readable while there are answers of the core."""
        return self._exchange.descriptor

    def pump(self) -> int:
        """Do what is to be done with answers that have come, and let polls leave.

        Returns:
            How many messages were delivered.
        """
        before = self._receiving.delivered
        try:
            self._exchange.drain()
        finally:
            self.follow()
        return self._receiving.delivered - before

    def _is_received_by_core(self, queue: str) -> bool:
        clients = self.core_clients(self.canonical_queue_name(queue))
        found = clients is not None and clients.core(_RECEIVE) is not None
        if found and not self.is_on_core:
            self.is_on_core = True
            # A program may end without closing it.
            track(self)
        return found

    def core_clients(self, queue: str | None) -> CoreClients | None:
        """The core behind the client of a queue, by its name in SQS; None if that client is none of boto3's."""
        return core_clients(self.sqs(queue=queue)) if self._exchange.is_mine else None

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        """Publish a message."""
        put(self, queue, message, kwargs)

    # The hub.

    def _watch(self) -> None:
        """Have the hub watch for answers."""
        if self.watching is self.hub:
            return
        self.watching = self.hub
        self.hub.add_reader(self._exchange.descriptor, self.pump)
        self.hub.on_close.add(self._unwatched)

    def _unwatched(self, hub: Any) -> None:
        """The hub watches for nothing any more: it is closed, or reset."""
        hub.on_close.discard(self._unwatched)
        self.watching = None

    def _unwatch(self) -> None:
        if self.watching is not None:
            hub = self.watching
            self._unwatched(hub)
            hub.remove(self._exchange.descriptor)

    # What settles messages.

    def basic_ack(self, delivery_tag: Any, multiple: bool = False) -> None:
        """Begin to delete the message.

        Raises:
            AccessDeniedQueueException, botocore.exceptions.BotoCoreError: an earlier acknowledgement has failed; this
                one is under way all the same.
        """
        try:
            info = self.qos.get(delivery_tag).delivery_info
            handle, url = info["sqs_message"]["ReceiptHandle"], info["sqs_queue"]
        except KeyError:
            super().basic_ack(delivery_tag, multiple)
            return
        queue = self.canonical_queue_name(info["routing_key"]) if "routing_key" in info else None
        if not self.deletes.delete(delivery_tag, queue, url, handle):
            super().basic_ack(delivery_tag, multiple)
            return
        self.is_on_core = True
        self.deletes.raise_failure()

    def basic_reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """As kombu's; what has become free of the prefetch limit is polled for at once."""
        # A delivery's tag is its receipt handle.
        self.heartbeat.over(delivery_tag)
        super().basic_reject(delivery_tag, requeue=requeue)
        if self.watching is not None:
            self.watching.call_soon(self.follow)

    def settle_rejected(self, delivery_tag: Any) -> None:
        """A delivery whose message stays in the queue: it is the worker's no more, and a backoff policy applies."""
        virtual.Channel.basic_reject(self, delivery_tag)

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Change the prefetch limit."""
        super().basic_qos(prefetch_size, prefetch_count, apply_global)
        if self.watching is not None:
            self.watching.call_soon(self.follow)

    def _delete_message(self, queue_name: str, message: Any) -> None:
        """Delete a message of a queue that is consumed from without acknowledgements."""
        url, handle = self._new_queue(queue_name), message["ReceiptHandle"]
        if not self.deletes.delete(None, self.canonical_queue_name(queue_name), url, handle):
            super()._delete_message(queue_name, message)

    # The end.

    def basic_cancel(self, consumer_tag: str) -> None:
        """Cancel a consumer. With the last one, polls have a second to come back; what they bring goes back."""
        super().basic_cancel(consumer_tag)
        if not self._consumers and self._receiving.polls and self._exchange.is_mine:
            self._receiving.await_polls(monotonic() + GRACE)

    def settle(self) -> None:
        """See to the end of what is under way: polls, acknowledgements."""
        if not self._exchange.is_mine:
            return
        self._receiving.await_polls(monotonic() + GRACE)
        if not self.deletes.flush(monotonic() + TIMEOUT):
            _logger.error("%d acknowledgements had no answer when their channel was closed", len(self.deletes))

    def close(self) -> None:
        """Close the channel: acknowledgements are flushed, and what was not acknowledged goes back."""
        if not self.closed and self.is_on_core and self._exchange.is_mine:
            for tag in list(self._consumers):
                self.basic_cancel(tag)
            self._unwatch()
            self.settle()
            self.heartbeat.stop()
        super().close()
