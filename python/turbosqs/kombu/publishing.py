"""Publishing: sends that overlap share requests, and batches for those who publish one task after another.

What a send is made of is kombu's own ``_put``: it runs on a stand-in for the channel, whose client is one that sends
by the core.
"""

from __future__ import annotations

import logging
import sys
from base64 import b64decode
from contextvars import ContextVar

from kombu.transport import SQS
from kombu.utils.json import loads

from .._core import Failure
from .._green import GreenClient, find_select
from ..polling import track
from ..writer import BatchWriter
from .clients import core_clients
from .failures import as_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from .. import _core
    from .._own_exceptions import FailedEntry
    from .channel import Channel

_logger = logging.getLogger("turbosqs.kombu")

_SEND = "SendMessage"

#: As kombu's channel publishes.
_PUT = SQS.Channel._put


class FailedPublish:
    """A message that was not published.

    Attributes:
        task: The task's name, as Celery has it in the message's headers; None if it is no task's.
        id: The task's id, likewise.
        params: The arguments of ``send_message``.
        error: boto3's exception.
    """

    def __init__(self, entry: FailedEntry) -> None:
        headers = _headers(entry.params)
        self.task = headers.get("task")
        self.id = headers.get("id")
        self.params = entry.params
        self.error = entry.error

    def __repr__(self) -> str:
        return f"<{self.task or 'a message'} {self.id or ''}: {self.error}>"


class PublishError(Exception):
    """Messages that were published in a batch and not accepted.

    Attributes:
        failures: Each of them, in the order in which they were published.
    """

    failures: list[FailedPublish]

    def __init__(self, failures: list[FailedPublish]) -> None:
        super().__init__(f"{len(failures)} messages were not published, the first one: {failures[0]}")
        self.failures = failures


class Publishing:
    """Messages that leave in batches, while who publishes them goes on."""

    def __init__(self) -> None:
        self._writers: dict[tuple[int, str], BatchWriter] = {}

    def give(self, core: _core.Client, params: dict[str, Any]) -> None:
        """Take a message; it waits only while too much is unanswered."""
        url = params.pop("QueueUrl")
        writer = self._writers.get((id(core), url))
        if writer is None:
            writer = self._writers[id(core), url] = BatchWriter(core, url)
        writer.send_message(**params)

    def flush(self) -> list[FailedPublish]:
        """Wait until all is answered.

        Returns:
            What was not accepted since the last time.
        """
        from .._own_exceptions import BatchWriterError

        failures: list[FailedPublish] = []
        for writer in list(self._writers.values()):
            try:
                writer.flush()
            except BatchWriterError as error:
                failures += map(FailedPublish, error.failures)
        return failures


class batch_publishing:  # noqa: N801 - it is used as a function is
    """``with turbosqs.kombu.batch_publishing(app):`` has ``delay()`` and ``apply_async()`` return at once.

    What this thread (or coroutine) publishes within the block leaves in batches of ten; the end of the block waits for
    all answers.
    """

    def __init__(self, app: Any) -> None:
        """Look at the application.

        Args:
            app: The Celery application whose tasks are published, or a ``kombu.Connection``.

        Raises:
            TypeError: its broker is reached by another transport than ours.
        """
        from .transport import Transport

        connection = app.connection_for_write() if hasattr(app, "connection_for_write") else app
        if not isinstance(connection.transport, Transport):
            raise TypeError(
                f"the broker is reached by {type(connection.transport).__module__}, and not by turbosqs.kombu: "
                'turbosqs.patch(), or broker_transport="turbosqs.kombu:Transport"'
            )

    def __enter__(self) -> Self:
        self._publishing = Publishing()
        self._token = _batch.set(self._publishing)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for all answers.

        Raises:
            PublishError: messages were not accepted. Where the block has ended by an exception, that one goes on, and
                this is a line in the log.
        """
        _batch.reset(self._token)
        failures = self._publishing.flush()
        if failures and error is None:
            raise PublishError(failures)
        _tell(failures)


_batch: ContextVar[Publishing | None] = ContextVar("turbosqs_batch_publishing", default=None)


class LatePublishing(Publishing):
    """``publish_batching``: batches without an end, whose failures are told in the log."""

    def __init__(self) -> None:
        super().__init__()
        track(self)
        if "billiard.util" in sys.modules:
            # Celery's children end without Python's own exit functions.
            sys.modules["billiard.util"].Finalize(self, self.close, exitpriority=10)

    def give(self, core: _core.Client, params: dict[str, Any]) -> None:
        """Take a message, and tell what has become of earlier ones."""
        from .._own_exceptions import BatchWriterError

        try:
            super().give(core, params)
            for writer in self._writers.values():
                writer._raise_failures()
        except BatchWriterError as error:
            _tell([FailedPublish(entry) for entry in error.failures])

    def close(self) -> None:
        """Wait until all is answered."""
        _tell(self.flush())


def put(channel: Channel, queue: str, message: dict[str, Any], options: dict[str, Any]) -> None:
    """Publish a message, as kombu's channel does."""
    standin: Any = _Standin(channel)
    _PUT(standin, queue, message, **options)


class _Standin:
    """A channel whose clients send by the core."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def sqs(self, queue: str | None = None) -> _Sender:
        return _Sender(self._channel, self._channel.sqs(queue=queue))


class _Sender:
    """A client that sends by the core, and otherwise is kombu's."""

    def __init__(self, channel: Channel, client: Any) -> None:
        self._channel = channel
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, **params: Any) -> Any:
        batch = _batch.get()
        if batch is None and self._channel.transport_options.get("publish_batching"):
            batch = self._channel.connection.late_publishing
        clients = core_clients(self._client)
        core = None if clients is None else clients.core(_SEND, unheard=batch is None)
        if clients is None or core is None:
            return self._client.send_message(**params)
        clients.count()
        if batch is not None:
            batch.give(core, params)
            return None
        select = find_select()
        try:
            return (core if select is None else GreenClient(core, select)).call(_SEND, params)
        except Failure as failure:
            error = as_exception(failure)
        raise error


def _headers(params: dict[str, Any]) -> dict[str, Any]:
    """The headers of a message, as far as it is one of kombu's."""
    body: Any = params.get("MessageBody", "")
    try:
        found = loads(body if body.startswith("{") else b64decode(body))["headers"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _tell(failures: list[FailedPublish]) -> None:
    for failure in failures:
        _logger.error("not published: %s", failure)
