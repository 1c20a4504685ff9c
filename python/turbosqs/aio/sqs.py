"""The asyncio client."""

from __future__ import annotations

from asyncio import get_running_loop, to_thread
from weakref import ref

from .. import _watching
from .. import sqs as blocking
from .._core import Failure
from .._exchange import Exchange, current
from .._listened import KEPT, WRITTEN
from .._logs import flush
from .._operations import AsyncOperations
from .._signatures import takes
from ..base import BaseClient, api_name
from ..errorfactory import exception
from ..telemetry import switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Coroutine, Iterable
    from types import TracebackType
    from typing import Any, Literal, overload

    from typing_extensions import Self, Unpack

    from .. import types
    from .._annotations import types_aiobotocore
    from .keeping import Keeper
    from .paginate import ListDeadLetterSourceQueuesPaginator, ListQueuesPaginator, Paginator
    from .polling import Messages
    from .writer import BatchWriter

    class _Annotated(types_aiobotocore.Client):
        """What code takes that is annotated with the stub package's ``SQSClient``."""

else:

    class _Annotated:
        """There is nothing to it."""

        __slots__ = ()


class SQS(AsyncOperations, BaseClient, _Annotated):
    """A client for Amazon SQS whose methods are awaited; ``turbosqs.aio.client("sqs")`` makes one.

    The 23 operations take the keyword arguments of the sync client's methods and come to the same dicts and
    exceptions. Calls that a loop makes in one of its ticks travel together. A client may be used in any number of event
    loops, and after a fork.

    A call that is cancelled before it has left (``asyncio.timeout``, ``Task.cancel``) is withdrawn: it is not sent. One
    that has left is sent, and its answer is dropped. While ``Batching.max_waiting`` calls or ``max_waiting_bytes`` of
    them are unanswered, others wait their turn, in order. So do requests that are not batched, beyond
    ``Config(max_pool_connections=...)`` of them, or 100 if that is more.

    Attributes:
        meta: region, endpoint, configuration and service model; see ``turbosqs.meta.ClientMeta``.
    """

    def __init__(self, client: blocking.SQS) -> None:
        """An asyncio client on the connections, batches and credentials of a sync one.

        Both may be used at once: calls from threads and from event loops share requests.

        Args:
            client: what ``turbosqs.client("sqs")`` makes.

        Raises:
            TypeError: something else, such as a client of boto3's.
        """
        if not isinstance(client, blocking.SQS):
            raise TypeError(f"an asyncio client is made from a client of turbosqs's, not from {type(client).__name__}")
        self.meta = client.meta
        self._core = client._core
        self._listened = client._listened
        self._telemetry = client._telemetry
        self._exchange: Callable[[], Exchange | None] = _none

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any], tag: int = 0) -> Coroutine[Any, Any, Any]:
        """One operation by the API's name; every method comes through here."""
        if self._listened.delegate is not None or not _watching.is_quiet():
            return self._ask_carefully(operation_name, api_params, tag)
        return self._ask(Exchange.call, operation_name, api_params, tag)

    async def _ask_carefully(self, operation_name: str, api_params: dict[str, Any], tag: int) -> Any:
        """The same while somebody may listen: if so, botocore makes the call, in a thread."""
        flush()
        delegate = self._listened.delegate_for(operation_name, hand_over=False)
        if delegate is not None:
            return await to_thread(delegate.call, operation_name, api_params, tag)
        await self._hand_over()
        return await self._ask(Exchange.call, operation_name, api_params, tag)

    async def _hand_over(self) -> None:
        """Give the core the credentials that it signs with, if they are botocore's."""
        owner = self._listened.delegate
        if owner is not None and owner.may_block:
            await to_thread(owner.hand_over, self._core)
        elif owner is not None:
            owner.hand_over(self._core)

    async def _keep_signing(self) -> None:
        """See to what is signed without a call: the core does, or the thread that ``_core_for`` has started."""

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
        """The paginator of ``list_queues`` or ``list_dead_letter_source_queues``; its pages are for ``async for``.

        Raises:
            OperationNotPageableError: the operation has no pages.
            KeyError: no such method.
        """
        from .paginate import Paginator

        paging = self._paging(operation_name)
        return Paginator(getattr(self, operation_name), paging)

    async def generate_presigned_url(
        self,
        ClientMethod: str,  # noqa: N803
        Params: dict[str, Any] | None = None,  # noqa: N803
        ExpiresIn: int | str | None = 3600,  # noqa: N803
        HttpMethod: str | None = None,  # noqa: N803
    ) -> str:
        """Sign a request for somebody else to send; see ``turbosqs.sqs.SQS.generate_presigned_url``."""
        operation = api_name(ClientMethod)
        delegate = self._listened.delegate_for(operation, hand_over=False, presigning=True)
        if delegate is not None:
            signed: str = await to_thread(
                delegate.client.generate_presigned_url, ClientMethod, Params, ExpiresIn, HttpMethod
            )
            return signed
        await self._hand_over()
        params = {} if Params is None else Params
        url: str = await self._ask(Exchange.presign, operation, params, ExpiresIn, HttpMethod)
        return url

    def batch_writer(self, *, QueueUrl: str, progress: bool = False) -> BatchWriter:  # noqa: N803
        """For one coroutine that has many messages: full requests, many at a time, and bounded memory.

            async with sqs.batch_writer(QueueUrl=url) as batch:
                for row in rows:
                    await batch.send_message(MessageBody=row)

        Args:
            QueueUrl: of the queue that all of them are for.
            progress: show a progress bar on standard error: tqdm's, if tqdm is installed.

        Returns:
            An asynchronous context manager with ``send_message``, ``delete_message`` and ``change_message_visibility``,
            which wait only while too much is unanswered. Leaving the block sends the rest and raises one
            ``turbosqs.exceptions.BatchWriterError`` for all entries that were not accepted.
        """
        from .writer import BatchWriter

        self._core_for("batch_writer", WRITTEN)
        writer = BatchWriter(self, QueueUrl, progress)
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

            async for message in sqs.poll_messages(QueueUrl=url):
                ...
                await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        Args:
            QueueUrl, max_messages, idle_timeout, polling: see ``turbosqs.sqs.SQS.poll_messages``.

        Raises:
            TypeError, ValueError, ParamValidationError: as there.
        """
        from .polling import poll_messages

        return poll_messages(self, QueueUrl=QueueUrl, max_messages=max_messages, idle_timeout=idle_timeout, **polling)

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

            handle = message["ReceiptHandle"]
            async with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=30):
                await work(message)
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

        All that is said of ``turbosqs.sqs.SQS.keep_invisible`` holds here too.

        Args:
            QueueUrl, ReceiptHandle, VisibilityTimeout: see there.
            on_lost: a function or coroutine function, called in this event loop with the receipt handle and the error
                when a message was lost. Without it that is logged.

        Returns:
            An asynchronous context manager; ``add``, ``remove``, ``is_lost`` and ``stats`` are not awaited.

        Raises:
            TypeError, ValueError: an argument is not as described there.
            RuntimeError: there is an ``on_lost``, and no event loop that runs.
        """
        from .keeping import Keeper

        self._core_for("keep_invisible", KEPT)
        return Keeper(
            self,
            QueueUrl=QueueUrl,
            ReceiptHandle=ReceiptHandle,
            VisibilityTimeout=VisibilityTimeout,
            on_lost=on_lost,
        )

    async def close(self) -> None:
        """Send what lingers, wait until it is answered, and close idle connections.

        The client stays usable, as boto3's does.
        """
        exchange = current()
        mark = exchange.mark()
        waiting = True
        while waiting:
            # What has no room to leave yet moves up meanwhile.
            waiting = exchange.is_waiting(self._core, mark)
            await self._ask(Exchange.flush)
        self._core.close()
        if self._listened.delegate is not None:
            self._listened.delegate.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _ask(self, begin: Callable[..., tuple[int, Future[Any]]], *arguments: Any) -> Any:
        """What a call comes to that ``begin``, a method of the exchange, begins."""
        weakly = self._exchange
        exchange = weakly()
        if exchange is None or exchange.loop is not get_running_loop():
            exchange = current()
            # Weakly: a loop that is closed frees its exchange, whatever clients were used in it and wait for answers.
            weakly = self._exchange = ref(exchange)
        try:
            number, future = begin(exchange, self._core, *arguments)
            del exchange
            try:
                answer = await future
            except BaseException:
                # Cancelled, or closed without having been finished.
                if (exchange := weakly()) is not None:
                    exchange.abandon(number)
                raise
            if isinstance(answer, BaseException):
                raise answer
        except Failure as failure:
            error = exception(failure)
        else:
            return answer
        raise error


def _none() -> None:
    return None


_make_plain_call = SQS._make_api_call


async def _make_recorded_call(client: SQS, operation_name: str, api_params: dict[str, Any]) -> Any:
    """``_make_api_call`` while clients are recorded."""
    recorder = switch.recorder_of(client)
    call = None if recorder is None else recorder.begin(client._core, operation_name, api_params)
    if call is None:
        return await _make_plain_call(client, operation_name, api_params, switch.UNTOLD)
    with call:
        return call.answered(await _make_plain_call(client, operation_name, call.params, call.tag))


switch.take_part(SQS, _make_recorded_call)
