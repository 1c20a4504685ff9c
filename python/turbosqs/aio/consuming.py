"""``Consumer``: coroutines that handle the messages of a queue, in one event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import isawaitable
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .._core import Failure
from ..consuming.common import Base, RetryDelay, log, log_error
from ..errorfactory import exception
from ..polling import PATIENCE
from ..types import Message
from .exchange import current
from .polling import until_quiet

if TYPE_CHECKING:
    from typing_extensions import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: So many messages may a handler take that never waits, before others have their turn.
TURN = 32


class Consumer(Base):
    """Handles the messages of a queue by coroutines: ``turbosqs.Consumer`` for event loops.

        consumer = aio.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=100)
        await consumer.run()

    A handler that returns deletes its message, one that raises, or is cancelled, leaves it for a retry. All that is
    said of ``turbosqs.Consumer`` holds here too.
    """

    _awaits = True

    def __init__(
        self,
        client: Any,
        *,
        QueueUrl: str,  # noqa: N803
        handler: Callable[..., Any],
        concurrency: int = 10,
        batch_size: int | None = None,
        batch_window: float = 0.0,
        retry_delay: float | RetryDelay | None = None,
        on_error: Callable[[BaseException, Message | None], Any] | None = None,
        on_delete_failed: Callable[[Exception, Message], Any] | None = None,
        max_per_second: float | None = None,
        shutdown_timeout: float = 30.0,
        **polling: Any,
    ) -> None:
        """Check the settings; nothing is sent before the consumer is started.

        Arguments:
            client: what ``turbosqs.aio.client("sqs")`` makes.
            handler: a coroutine function; a plain function is called as it is, in the event loop.
            concurrency: how many handlers run at a time, each in a task of its own.
            on_error, on_delete_failed: functions or coroutine functions.
            shutdown_timeout: how long ``run`` and ``stop`` wait for handlers to finish, in seconds; those that have
                not are cancelled, and their messages become visible again.
            QueueUrl, batch_size, batch_window, retry_delay, max_per_second, polling: as in ``turbosqs.Consumer``.

        Raises:
            TypeError, ValueError, ParamValidationError: an argument is not as described.
        """
        super().__init__(
            client,
            {"QueueUrl": QueueUrl, **polling},
            handler=handler,
            concurrency=concurrency,
            batch_size=batch_size,
            batch_window=batch_window,
            retry_delay=retry_delay,
            on_error=on_error,
            on_delete_failed=on_delete_failed,
            max_per_second=max_per_second,
            shutdown_timeout=shutdown_timeout,
        )
        self._client = client
        self._pid = os.getpid()
        self._tasks: list[asyncio.Task[None]] = []
        # Workers that found nothing, and whether the core will say when there is something.
        self._idle: deque[asyncio.Future[None]] = deque()
        self._listens = False
        # One of them is about to look; it wakes the next when it finds something.
        self._waking = False
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._signals = 0
        self._stopping = False
        self._drained = False

    async def run(self, *, handle_signals: bool = True) -> None:
        """Consume until ``stop()``, a signal, ``max_messages`` or ``idle_timeout``; then drain, and return.

        Cancelled, it cancels the handlers, gives their messages back, and is cancelled.

        Arguments:
            handle_signals: as in ``turbosqs.Consumer.run``.

        Raises:
            ClientError and others: polling makes no sense any more (no such queue, no access).
            RuntimeError: it was started before.
        """
        await self.start()
        installed = handle_signals and threading.current_thread() is threading.main_thread()
        try:
            if installed:
                _listen(self)
            while not self._signals and not self._stopping and not all(task.done() for task in self._tasks):
                self._news.clear()
                await self._news.wait()
            await self.stop()
        except BaseException:
            await self.stop(0)
            raise
        finally:
            if installed:
                _unlisten(self)
        if self._error is not None:
            raise self._error

    async def start(self) -> None:
        """Consume in the background of this event loop, until ``stop()``.

        Raises:
            RuntimeError: it was started before, or in another process.
        """
        if self._pid != os.getpid():
            raise RuntimeError("a consumer belongs to the process that made it; make another after a fork")
        if self._tasks or self._drained:
            what = "was stopped" if self._drained else "runs already"
            raise RuntimeError(f"this consumer {what}; a consumer is started once")
        work = self._work if self._batch_size is None else self._work_in_batches
        for number in range(self._concurrency):
            task = asyncio.create_task(self._until_the_end(work), name=f"turbosqs-consumer-{number}")
            self._tasks.append(task)

    async def stop(self, timeout: float | None = None, *, wait: bool = True) -> bool:
        """Drain: no more messages; handlers that run may finish, deletes are flushed, what is buffered goes back.

        From within a handler it does not wait.

        Arguments:
            timeout: how long handlers may take to finish, in seconds; None for ``shutdown_timeout``. Then they are
                cancelled, and their messages become visible again.
            wait: whether to wait at all. Without it, whoever is in ``run`` does, or another ``stop``.

        Returns:
            Whether all handlers have finished by themselves.
        """
        if self._pid != os.getpid():
            return True
        self._stopping = True
        self._poller.close()
        self._wake_all()
        if self._drained or not wait or asyncio.current_task() in self._tasks:
            self._news.set()
            return all(task.done() for task in self._tasks)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._shutdown_timeout if timeout is None else timeout)
        pending = {task for task in self._tasks if not task.done()}
        while pending and (left := deadline - loop.time()) > 0 and self._signals < 2:
            _, pending = await asyncio.wait(pending, timeout=min(left, 0.05))
        finished = not pending
        # Even if all have: a worker that died may have left messages unsettled.
        self._poller.abandon()
        if not finished:
            for task in pending:
                task.cancel()
            # One that does not let itself be cancelled is left alone.
            await asyncio.wait(pending, timeout=1)
        await until_quiet(self._client._ask, self._poller, PATIENCE)
        await self._report(self._poller.troubles())
        self._drained = True
        self._news.set()
        return finished

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        if self._error is not None and error is None:
            raise self._error

    def _signalled(self) -> None:
        self._signals += 1
        self._news.set()

    async def _until_the_end(self, work: Callable[[], Any]) -> None:
        try:
            await work()
        except Failure as failure:
            self._fail(exception(failure))
        except asyncio.CancelledError:
            if not self._stopping:
                self._fail(RuntimeError("a handler's task was cancelled from outside"))
            raise
        except BaseException as error:  # noqa: BLE001 (it is raised where the consumer runs)
            self._fail(error)
        finally:
            # Whoever waits for nothing now finds the same end.
            self._wake_all()
            self._news.set()

    def _fail(self, error: BaseException) -> None:
        """Nothing can go on after this."""
        if self._error is None:
            self._error = error
        self._poller.close()

    async def _work(self) -> None:
        take, handler = self._poller.take, self._handler
        done = None
        taken = 0
        while (work := take(done, 0.0)) is not None:
            done = None
            if not work:
                await self._more()
                continue
            if self._idle and not self._waking:
                self._wake_one()
            identifier, message = work
            if identifier is None:
                await self._report(message)
                continue
            taken += 1
            if taken % TURN == 0:
                await asyncio.sleep(0)
            try:
                result = handler(message)
                # The usual case first: to ask in general takes longer than all the rest.
                if type(result) is CoroutineType or isawaitable(result):
                    await result
            except Exception as error:  # noqa: BLE001 (it is told)
                await self._failed(identifier, message, error)
            except BaseException as error:
                if _is_the_handlers_own(error):
                    await self._failed(identifier, message, error)
                    continue
                # Nobody is left to be told.
                self._poller.retry(identifier, 0)
                raise
            else:
                done = identifier

    async def _work_in_batches(self) -> None:
        take, handler, delete = self._poller.take, self._handler, self._poller.delete
        while (work := take(None, 0.0)) is not None:
            if not work:
                await self._more()
                continue
            if self._idle and not self._waking:
                self._wake_one()
            identifiers, messages = work
            if identifiers is None:
                await self._report(messages)
                continue
            await asyncio.sleep(0)
            try:
                result = handler(messages)
                outcomes = self._outcomes(await result if isawaitable(result) else result, identifiers, messages)
            except Exception as error:  # noqa: BLE001 (it is told)
                for identifier, message in zip(identifiers, messages, strict=True):
                    await self._failed(identifier, message, error)
                continue
            except BaseException as error:
                for identifier, message in zip(identifiers, messages, strict=True):
                    if _is_the_handlers_own(error):
                        await self._failed(identifier, message, error)
                    else:
                        self._poller.retry(identifier, 0)
                if _is_the_handlers_own(error):
                    continue
                raise
            for identifier, message, failure in outcomes:
                if failure is None:
                    delete(identifier)
                else:
                    await self._failed(identifier, message, failure)

    async def _more(self) -> None:
        """Wait until there may be something to take."""
        waiting = asyncio.get_running_loop().create_future()
        self._idle.append(waiting)
        if not self._listens:
            self._listens = True
            _, news = current().await_messages(self._client._core, self._poller, len(self._idle))
            news.add_done_callback(self._heard)
        try:
            await waiting
        finally:
            self._waking = False
            # Unless it was its turn: cancelled before.
            with suppress(ValueError):
                self._idle.remove(waiting)

    def _heard(self, _: asyncio.Future[Any]) -> None:
        self._listens = False
        self._wake_one()

    def _wake_one(self) -> None:
        """One who found nothing looks again; if it finds something, it wakes the next."""
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                self._waking = True
                waiting.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()

    async def _failed(self, identifier: int, message: Message, error: BaseException) -> None:
        delay = None
        try:
            delay = self._delay(message, error)
        except Exception as wrong:  # noqa: BLE001 (it is told)
            await self._tell(self._on_error or log_error, wrong, message)
        self._poller.retry(identifier, delay)
        await self._tell(self._on_error or log_error, error, message)

    async def _report(self, troubles: Sequence[tuple[Message | None, int | None, Exception]]) -> None:
        for hook, error, message in self._hooks(troubles):
            await self._tell(hook, error, message)

    async def _tell(self, hook: Callable[..., Any], error: BaseException, message: Message | None) -> None:
        try:
            told = hook(error, message)
            if isawaitable(told):
                await told
        except Exception:  # noqa: BLE001 (it is logged)
            log.exception("%s has failed", "on_delete_failed" if hook is self._on_delete_failed else "on_error")


class _Listeners:
    """The consumers of an event loop that a signal stops, and what handled signals before them."""

    def __init__(self) -> None:
        self.consumers: list[Consumer] = []
        self.before = {number: signal.getsignal(number) for number in _SIGNALS}

    def signalled(self) -> None:
        for consumer in self.consumers:
            consumer._signalled()


_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, _Listeners] = WeakKeyDictionary()


def _listen(consumer: Consumer) -> None:
    loop = asyncio.get_running_loop()
    if loop not in _listeners:
        _listeners[loop] = listeners = _Listeners()
        for number in _SIGNALS:
            loop.add_signal_handler(number, listeners.signalled)
    _listeners[loop].consumers.append(consumer)


def _unlisten(consumer: Consumer) -> None:
    loop = asyncio.get_running_loop()
    listeners = _listeners[loop]
    listeners.consumers.remove(consumer)
    if not listeners.consumers:
        del _listeners[loop]
        for number, handler in listeners.before.items():
            loop.remove_signal_handler(number)
            # None: it was not Python's, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _is_the_handlers_own(error: BaseException) -> bool:
    """Whether a cancellation is that of something a handler has waited for, and not its own."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    # Python 3.10 cannot tell; not to be cancelled would be worse.
    return cancelling is not None and cancelling() == 0
