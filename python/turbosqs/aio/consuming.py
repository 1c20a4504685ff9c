"""``Consumer``: coroutines that handle the messages of a queue, in one event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakKeyDictionary

from .._signals import STOPS, LoopSignals
from ..consuming.common import Base
from .patched import taken
from .tasks import TaskRun

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .._annotations import types_aiobotocore
    from .._operations import AsyncOperations
    from ..consuming.options import AsyncBatchHandler, AsyncHandler, AsyncLambdaHandler, AsyncOptions


class Consumer(Base):
    """Handles the messages of a queue by coroutines: ``turbosqs.Consumer`` for event loops.

        consumer = aio.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=100)
        await consumer.run()

    If the handler returns, the message is deleted; if it raises, or is cancelled, it is retried. All that is said of
    ``turbosqs.Consumer`` holds here too.
    """

    _awaits = True
    _name = "turbosqs.aio.Consumer"

    @staticmethod
    def _taken(client: Any) -> Any:
        return taken(client, "a consumer")

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            client: AsyncOperations | types_aiobotocore.SQSClient,
            *,
            QueueUrl: str,  # noqa: N803
            handler: AsyncHandler,
            batch_size: None = None,
            **options: Unpack[AsyncOptions],
        ) -> Self: ...

        @overload
        def __new__(
            cls,
            client: AsyncOperations | types_aiobotocore.SQSClient,
            *,
            QueueUrl: str,  # noqa: N803
            handler: AsyncBatchHandler,
            batch_size: int,
            **options: Unpack[AsyncOptions],
        ) -> Self: ...

        @overload
        def __new__(
            cls,
            client: AsyncOperations | types_aiobotocore.SQSClient,
            *,
            QueueUrl: str,  # noqa: N803
            lambda_handler: AsyncLambdaHandler,
            batch_size: int | None = None,
            **options: Unpack[AsyncOptions],
        ) -> Self: ...

        def __new__(cls, client: Any, **options: Any) -> Self:
            """Its ``__init__`` is the base's; these are the ways to call it."""

    async def run(self, *, handle_signals: bool = True) -> None:
        """Consume until ``stop()``, a signal, ``max_messages`` or ``idle_timeout``; then drain, and return.

        Cancelled, it cancels the handlers, gives their messages back, and is cancelled.

        Args:
            handle_signals: as in ``turbosqs.Consumer.run``.

        Raises:
            ClientError and others: polling makes no sense any more (no such queue, no access).
            RuntimeError: it runs already.
        """
        await self.start()
        run: TaskRun = self._run
        installed = handle_signals and threading.current_thread() is threading.main_thread()
        try:
            if installed:
                _listen(run)
            await run.wait()
            await run.stop(self._shutdown_timeout)
        except BaseException:
            await run.stop(0)
            raise
        finally:
            if installed:
                _unlisten(run)
        if run.error is not None:
            raise run.error

    async def start(self) -> None:
        """Consume in the background of this event loop, until ``stop()``.

        Raises:
            RuntimeError: it runs already, or belongs to another process.
            NoCredentialsError and others: of a patched client, there is nothing to sign with.
        """
        signing = await self._client._keep_signing()
        with self._lock:
            run = self._run = TaskRun(self, self._next_poller())
        run.signing = signing
        run.start()

    async def stop(self, timeout: float | None = None, *, wait: bool = True) -> bool:
        """Drain: no more messages; handlers that run may finish, deletes are flushed, what is buffered goes back.

        From within a handler it does not wait. A consumer that does not run is left as it is.

        Args:
            timeout: how long handlers may take to finish, in seconds; None for ``shutdown_timeout``. Then they are
                cancelled, and their messages become visible again.
            wait: whether to wait at all. Without it, whoever is in ``run`` does, or another ``stop``.

        Returns:
            Whether all handlers have finished by themselves.
        """
        run: TaskRun | None = self._run
        if run is None or self._pid != os.getpid():
            return True
        if not wait or run.is_mine():
            return run.ask_to_stop()
        return await run.stop(self._shutdown_timeout if timeout is None else timeout)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run: TaskRun = self._run
        await self.stop()
        if run.error is not None and error is None:
            raise run.error


class _Listeners:
    """The runs of an event loop that a signal stops."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.runs: list[TaskRun] = []
        self.signals = LoopSignals(loop, STOPS, self.signalled)

    def signalled(self) -> None:
        for run in self.runs:
            run.signalled()


_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, _Listeners] = WeakKeyDictionary()


def _listen(run: TaskRun) -> None:
    loop = asyncio.get_running_loop()
    if loop not in _listeners:
        _listeners[loop] = _Listeners(loop)
    _listeners[loop].runs.append(run)


def _unlisten(run: TaskRun) -> None:
    loop = asyncio.get_running_loop()
    listeners = _listeners[loop]
    listeners.runs.remove(run)
    if not listeners.runs:
        del _listeners[loop]
        listeners.signals.end()
