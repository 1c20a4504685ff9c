"""``poll_messages`` for coroutines: an asynchronous iterator over the messages of a queue."""

from __future__ import annotations

import os
from asyncio import FIRST_COMPLETED, CancelledError, sleep, wait
from time import time_ns

from .._core import Failure
from .._exchange import Exchange, Timer, current
from .._listened import POLLED
from .._signatures import takes
from ..errorfactory import exception
from ..polling import TIMEOUT, ask, make_poller
from ..telemetry import switch
from .patched import taken
from .writer import TURN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Any, NoReturn

    from typing_extensions import Self, Unpack

    from .. import _core, types
    from .._annotations import types_aiobotocore
    from .._operations import AsyncOperations
    from ..patching.awaited.signing import Signing
    from ..telemetry.recorder import Recorder
    from ..types import Message
    from .patched import PatchedClient
    from .sqs import SQS


class Messages:
    """The messages of a queue, one after another; ``client.poll_messages`` makes one.

    It is an asynchronous iterator and an asynchronous context manager. When the loop over it ends, however it ends,
    what was fetched and not handed over goes back to the queue; ``async with`` waits until it has.
    """

    def __init__(self, client: SQS | PatchedClient, arguments: dict[str, Any]) -> None:
        """Check the arguments; nothing is sent before the first message is asked for.

        Args:
            client: what sends.
            arguments: those of ``poll_messages``.

        Raises:
            TypeError, ValueError, ParamValidationError: as ``poll_messages``.
        """
        self._recorder: Recorder | None = None
        self._ask = client._ask
        self._keep_signing = client._keep_signing
        # It sees to what requests are signed with, unless the core does; False before the first message is asked for.
        self._signing: Signing | bool | None = False
        self._exception: Callable[[Failure], Exception] = getattr(client, "_exception", exception)
        self._client = client._core
        self._core, self._params = make_poller(client._core, arguments)
        self._pid = os.getpid()
        self._taken = 0

    def _record(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        ask(self._client, self._core, self._params, recorder)
        if recorder is not None:
            recorder.consumes(self._client, self._core)

    async def __aiter__(self) -> AsyncIterator[Message]:
        try:
            while (message := await self._next()) is not None:
                yield message
        finally:
            await self.close()

    async def __anext__(self) -> Message:
        try:
            message = await self._next()
        except CancelledError:
            # It was only this wait that was given up, perhaps for taking too long.
            raise
        except BaseException:
            await self.close()
            raise
        if message is None:
            await self.close()
            raise StopAsyncIteration
        return message

    async def _next(self, is_recorded: bool = False) -> Message | None:
        """The next message; None at the end.

        Args:
            is_recorded: it is the caller who records it, if anybody does.
        """
        self._taken += 1
        if self._taken % TURN == 0:
            # While there is always something to take, others want their turn too.
            await sleep(0)
        if self._signing is False:
            self._signing = await self._keep_signing()
        try:
            while (work := self._core.take(None, 0.0)) is not None:
                if work and work[0] is None:
                    self._core.tell(work[1])
                    continue
                if work:
                    message: Message = work[1]
                    return message
                await self._ask(Exchange.await_messages, self._core, 1)
                if self._recorder is not None and not is_recorded:
                    # Recording has begun meanwhile.
                    return await _next_recorded(self)
        except Failure as failure:
            error = self._exception(failure)
        else:
            return None
        raise error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop polling and give back what was not handed over; see ``turbosqs.polling.Messages.close``."""
        switch.unfollow(self)
        if self._pid == os.getpid():
            self._core.close()
            await until_quiet(self._client, self._core, TIMEOUT)
            if self._signing:
                self._signing.end()  # type: ignore[union-attr]

    def stats(self) -> _core.PollerStats:
        """What has happened so far; see ``turbosqs.polling.Messages.stats``."""
        return self._core.stats()

    def __repr__(self) -> str:
        stats = self.stats()
        counts = f"{stats['handed_over']} handed over, {stats['buffered']} buffered, {stats['polls']} polls under way"
        return f"<{type(self).__module__}.Messages of {self._core.queue_url}: {counts}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        from pickle import PicklingError

        raise PicklingError("Can't pickle the messages of a queue: they are under way. Poll where they are used")


def poll_messages(
    client: AsyncOperations | types_aiobotocore.SQSClient,
    *,
    QueueUrl: str,  # noqa: N803
    max_messages: int | None = None,
    idle_timeout: float | None = None,
    **polling: Unpack[types.PollingOptions],
) -> Messages:
    """The messages of a queue, one after another, as fast as they can be fetched: for a client that has no such method.

        turbosqs.patch()
        async with aiobotocore.session.get_session().create_client("sqs") as client:
            async for message in aio.poll_messages(client, QueueUrl=url):
                ...
                await client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    Args:
        client: an SQS client of aiobotocore's or aioboto3's that is patched (``turbosqs.patch``), whose settings and
            credentials are those of the polls; or what ``turbosqs.aio.client`` makes.
        QueueUrl, max_messages, idle_timeout, polling: see ``turbosqs.sqs.SQS.poll_messages``.

    Raises:
        TypeError, ValueError, ParamValidationError: as there; TypeError for a client that is not patched as well.
        RuntimeError: somebody listens to the client's calls who would hear nothing of it (a mock, a stub, a handler);
            or a patched client stays on aiobotocore's own path.
    """
    polls = taken(client, "poll_messages")
    polls._core_for("poll_messages", POLLED)
    arguments: dict[str, Any] = {"QueueUrl": QueueUrl, "max_messages": max_messages, "idle_timeout": idle_timeout}
    arguments.update(polling)
    messages = Messages(polls, arguments)
    switch.follow(messages, polls)
    return messages


takes(poll_messages, "PollingOptions")


_next_plain = Messages._next


async def _next_recorded(messages: Messages) -> Message | None:
    """``_next`` while messages are recorded, be it those of other clients."""
    began = time_ns()
    message = await _next_plain(messages, True)
    # Whether these are may have changed meanwhile.
    recorder = messages._recorder
    if recorder is not None and message is not None:
        recorder.received(messages._client, messages._params["QueueUrl"], began, [message])
    return message


switch.take_part(Messages, _next_recorded, "_next")


async def until_quiet(core: _core.Client, poller: _core.Poller, timeout: float) -> bool:
    """Wait until a closed poller has nothing under way, ``timeout`` seconds at most; whether it has come to that."""
    exchange = current()
    with Timer(core, timeout) as timer:
        while not poller.quiet(0.0):
            if timer.is_over:
                return False
            number, change = exchange.await_quiet(core, poller)
            try:
                await wait([change, timer.future], return_when=FIRST_COMPLETED)
            finally:
                exchange.abandon(number)
    return True
