"""The client: boto3's SQS client in names, arguments, replies and exceptions, on the Rust core."""

from __future__ import annotations

from sys import modules

from . import _watching
from ._at_exit import flush_at_exit
from ._core import Failure
from ._green import waits_of
from ._listened import KEPT, POLLED, WRITTEN, Listened
from ._lock import lock
from ._logs import flush
from ._operations import Operations
from ._signatures import takes
from .base import BaseClient, api_name
from .errorfactory import exception
from .meta import ClientMeta
from .telemetry import switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, overload

    from typing_extensions import Unpack

    from . import _core, types
    from ._annotations import mypy_boto3, types_boto3
    from ._delegate import Delegate
    from .keeping import Keeper
    from .paginate import ListDeadLetterSourceQueuesPaginator, ListQueuesPaginator, Paginator
    from .polling import Messages
    from .writer import BatchWriter

    class _Annotated(mypy_boto3.Client, types_boto3.Client):
        """What code takes that is annotated with a stub package's ``SQSClient``."""

else:

    class _Annotated:
        """There is nothing to it."""

        __slots__ = ()


class SQS(Operations, BaseClient, _Annotated):
    """A client for Amazon SQS; ``turbosqs.client("sqs")`` makes one.

    The 23 operations are methods that take keyword arguments and return dicts. A client may be used from any number
    of threads, and after a fork.

    Attributes:
        meta: region, endpoint, configuration and service model; see ``turbosqs.meta.ClientMeta``.
    """

    meta: ClientMeta

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type[SQS]:
            # For isinstance(client, botocore.client.BaseClient), wherever that has been imported.
            botocore_client = modules.get("botocore.client")
            return SQS if botocore_client is None else _as_botocores(botocore_client.BaseClient)

    def __init__(
        self,
        core: _core.Client,
        config: Any = None,
        profile_name: str | None = None,
        arguments: dict[str, Any] | None = None,
        events: Any = None,
        owner: Delegate | None = None,
    ) -> None:
        """Wrap a core client.

        Args:
            core: what sends.
            config: what it was made with, for ``meta.config``.
            profile_name, arguments: the rest of what it was made with, for botocore's client behind it.
            events: the emitter with the handlers of the session's, for that client; None if nobody has added any.
            owner: that client, if it is the other way round and the core was made from it.
        """
        self._core = core
        self._waits = waits_of(core)
        self._call = self._waits.call
        self._listened = Listened(core, {"profile_name": profile_name, **(arguments or {})}, config, events, owner)
        # Of a client of botocore's nothing is looked up twice.
        self.meta = ClientMeta(core, config, self._listened.make) if owner is None else owner.client.meta
        flush_at_exit()

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any], tag: int = 0) -> dict[str, Any]:
        """One operation by the API's name, as in boto3; every method comes through here.

        Args:
            operation_name, api_params: as in boto3.
            tag: by what a recorder knows it again; see ``turbosqs.telemetry``.

        Raises:
            What the method raises.
        """
        if self._listened.delegate is not None or not _watching.is_quiet():
            flush()
            delegate = self._listened.delegate_for(operation_name)
            if delegate is not None:
                reply: dict[str, Any] = delegate.call(operation_name, api_params, tag)
                return reply
        try:
            return self._call(operation_name, api_params, tag)
        except Failure as failure:
            error = exception(failure)
        raise error

    if TYPE_CHECKING:

        @overload
        def get_paginator(self, operation_name: Literal["list_queues"]) -> ListQueuesPaginator: ...
        @overload
        def get_paginator(
            self, operation_name: Literal["list_dead_letter_source_queues"]
        ) -> ListDeadLetterSourceQueuesPaginator: ...
        @overload
        def get_paginator(self, operation_name: str) -> Paginator: ...

    def get_paginator(self, operation_name: str) -> Paginator:
        """The paginator of ``list_queues`` or ``list_dead_letter_source_queues``.

        Raises:
            OperationNotPageableError: the operation has no pages.
            KeyError: no such method.
        """
        from .paginate import Paginator

        paging = self._paging(operation_name)
        return Paginator(getattr(self, operation_name), paging)

    def generate_presigned_url(
        self,
        ClientMethod: str,  # noqa: N803
        Params: dict[str, Any] | None = None,  # noqa: N803
        ExpiresIn: int | str | None = 3600,  # noqa: N803
        HttpMethod: str | None = None,  # noqa: N803
    ) -> str:
        """Sign a request for somebody else to send.

        Args:
            ClientMethod: the method's name, such as ``send_message``.
            Params: what the method would be called with.
            ExpiresIn: how long the URL is good for, in seconds; a text of digits will do. None is an hour.
            HttpMethod: the verb that it is signed for; None for the operation's own.

        Raises:
            UnknownClientMethodError: no such method.
            ParamValidationError: ``Params`` do not fit the operation.
            TypeError, ValueError: ``ExpiresIn`` is no number of seconds.
        """
        operation = api_name(ClientMethod)
        delegate = self._listened.delegate_for(operation, presigning=True)
        if delegate is not None:
            url: str = delegate.client.generate_presigned_url(ClientMethod, Params, ExpiresIn, HttpMethod)
            return url
        try:
            return self._waits.presign(operation, {} if Params is None else Params, ExpiresIn, HttpMethod)
        except Failure as failure:
            error = exception(failure)
        raise error

    def batch_writer(self, *, QueueUrl: str, progress: bool = False) -> BatchWriter:  # noqa: N803
        """For one thread that has many messages: full requests, many at a time, and bounded memory.

            with sqs.batch_writer(QueueUrl=url) as batch:
                for row in rows:
                    batch.send_message(MessageBody=row)

        Args:
            QueueUrl: of the queue that all of them are for.
            progress: show a progress bar on standard error: tqdm's, if tqdm is installed.

        Returns:
            A context manager with ``send_message``, ``delete_message`` and ``change_message_visibility``, which return
            at once. Leaving the block sends the rest and raises one ``turbosqs.exceptions.BatchWriterError`` for all
            entries that were not accepted.
        """
        from .writer import BatchWriter

        writer = BatchWriter(self._core_for("batch_writer", WRITTEN), QueueUrl, progress)
        writer._client = self  # type: ignore[attr-defined]
        switch.follow(writer, self)
        return writer

    def poll_messages(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        max_messages: int | None = None,
        idle_timeout: float | None = None,
        **polling: Unpack[types.PollingOptions],
    ) -> Messages:
        """The messages of a queue, one after another, as fast as they can be fetched.

            for message in sqs.poll_messages(QueueUrl=url):
                ...
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        There are more long polls while they come back full and fewer while they come back empty, one when the queue
        is idle. Each message is a dict as in ``receive_message``, and has at least ``min_life`` of its visibility
        timeout left when it is handed over. What was fetched ahead and has waited for a whole visibility timeout goes
        back to the queue, as does all that is left when the loop ends.

        Args:
            QueueUrl: the queue. On a FIFO queue the messages of a group come in order, and with their
                ``MessageGroupId``.
            max_messages: after so many it ends; None for no limit. No more than these are fetched, but for
                those in place of what had to be given back before it was handed over.
            idle_timeout: it ends when no message has come for so long, in seconds; with 0, at the first empty reply.
                None: never.
            polling: ``VisibilityTimeout``, ``AttributeNames``, ``MessageSystemAttributeNames``,
                ``MessageAttributeNames`` as in ``receive_message``; ``WaitTimeSeconds`` of each poll (20);
                ``min_life``, the part of its visibility timeout that a message must have left, from 0 to 0.9 (0.5);
                ``max_buffered`` messages (100) and ``max_buffered_bytes`` (16 MiB) that may be fetched ahead at most.
                Without ``VisibilityTimeout`` the queue is asked for its own, once in five minutes; if that is not
                permitted, it is taken for 30 seconds.

        Raises:
            TypeError, ValueError: an argument is not as described above.
            ParamValidationError: an argument is not of ReceiveMessage's type.

        The iterator raises what ``receive_message`` raises, after the messages that had come before.
        """
        from .polling import Messages

        arguments: dict[str, Any] = {"QueueUrl": QueueUrl, "max_messages": max_messages, "idle_timeout": idle_timeout}
        arguments.update(polling)
        messages = Messages(self._core_for("poll_messages", POLLED), arguments)
        switch.follow(messages, self)
        # As long as they come, somebody sees to the core's credentials.
        messages._client = self  # type: ignore[attr-defined]
        return messages

    takes(poll_messages, "PollingOptions")

    def keep_invisible(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str | Iterable[str] = (),  # noqa: N803
        VisibilityTimeout: int | None = None,  # noqa: N803
        on_lost: Callable[[str, Exception], Any] | None = None,
    ) -> Keeper:
        """Keep messages invisible for as long as they are handled, however long that takes.

            reply = sqs.receive_message(QueueUrl=url, VisibilityTimeout=30)
            for message in reply.get("Messages", []):
                with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=30):
                    work(message)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        For programs that receive messages by themselves; ``Consumer`` does it by itself. Worker threads may share one
        keeper, and call its ``add`` and ``remove``. What all keepers of a client, queue and ``VisibilityTimeout`` keep
        is extended together, ten messages in a request. It is the core's thread that does it, whatever Python's
        threads are busy with.

        A message is lost when its visibility timeout runs out all the same: no request got through in time, the
        service refused it, or twelve hours were over, the longest that SQS permits. Nothing is asked for a lost message
        any more. One that is deleted by this client is not lost; nor is one whose visibility timeout the program
        changes with it: that is left as it is from then on.

        Args:
            QueueUrl: the queue.
            ReceiptHandle: a receipt handle, or several: of messages to be kept from now on; see ``Keeper.add``.
            VisibilityTimeout: for how many seconds a message is invisible each time that it is extended, from 1 to
                43,200, which is when half of them are over. As a rule, what the messages were received with. None: the
                queue's own, which the queue is asked for once in five minutes; 30 if that is not permitted.
            on_lost: called with the receipt handle and the error when a message was lost, in a thread of the keeper's
                own. Without it that is logged. ``Keeper.is_lost`` and ``turbosqs.lease_lost`` say it too.

        Returns:
            A context manager with ``add``, ``remove``, ``is_lost``, ``stats`` and ``close``, which work without a
            ``with`` block as well.

        Raises:
            TypeError, ValueError: an argument is not as described above.
        """
        from .keeping import Keeper

        keeper = Keeper(
            self._core_for("keep_invisible", KEPT),
            QueueUrl=QueueUrl,
            ReceiptHandle=ReceiptHandle,
            VisibilityTimeout=VisibilityTimeout,
            on_lost=on_lost,
        )
        # As long as it is there, somebody sees to the core's credentials.
        keeper._client = self
        return keeper

    def close(self) -> None:
        """Send what lingers, wait until it is answered, and close idle connections.

        The client stays usable, as boto3's does.
        """
        self._waits.flush()
        self._core.close()
        if self._listened.delegate is not None:
            self._listened.delegate.close()


#: By botocore's class.
_made: dict[Any, type[SQS]] = {}


def _as_botocores(base: Any) -> type[SQS]:
    """A class of which no object is made: what a client says it is, to be taken for one of botocore's as well."""
    if base not in _made:
        with lock():
            if base not in _made:
                members = {"__module__": SQS.__module__, "__doc__": SQS.__doc__}
                _made[base] = type(SQS.__name__, (SQS, base), members)
    return _made[base]


_make_plain_call = SQS._make_api_call


def _make_recorded_call(client: SQS, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
    """``_make_api_call`` while clients are recorded."""
    recorder = switch.recorder_of(client)
    call = None if recorder is None else recorder.begin(client._core, operation_name, api_params)
    if call is None:
        return _make_plain_call(client, operation_name, api_params, switch.UNTOLD)
    with call:
        return call.answered(_make_plain_call(client, operation_name, call.params, call.tag))


switch.take_part(SQS, _make_recorded_call)
