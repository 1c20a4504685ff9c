"""The tasks of a run of ``aio.Consumer``: workers, and one that tells of what the core has met with."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from inspect import isawaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .._core import Failure, Poller
from .._exchange import Exchange, Timer, current
from ..consuming import logs
from ..consuming.batches import HandlerFailure
from ..consuming.common import Call, Run
from ..consuming.workers import Worker
from ..polling import TIMEOUT
from .polling import until_quiet

if TYPE_CHECKING:
    from ..patching.awaited.signing import Signing
    from .consuming import Consumer

#: So many messages may a handler take that never waits, before others have their turn.
TURN = 32

#: How long tasks that were cancelled may take to end, in seconds.
GRACE = 1.0


class TaskRun(Run):
    """The tasks of one run, in the event loop that it was started in."""

    def __init__(self, consumer: Consumer, poller: Poller) -> None:
        super().__init__(poller, consumer._concurrency)
        self.consumer = consumer
        self.core = consumer._client._core
        self.tasks: list[asyncio.Task[None]] = []
        # It sees to what requests are signed with, unless the core does.
        self.signing: Signing | None = None
        # It tells of what the core has met with when all workers are busy.
        self.watcher: asyncio.Task[None] | None = None
        # Workers that found nothing, and whether the core will say when there is something.
        self.idle: deque[asyncio.Future[None]] = deque()
        self.listens = False
        # One of them is about to look; it wakes the next when it finds something.
        self.waking = False
        self.news = asyncio.Event()
        # The first signal asks for the drain, the second one ends it.
        self.signals = 0
        self.hurry: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False

    def start(self) -> None:
        """Start the tasks."""
        work = self._work_in_batches if self.consumer._in_batches else self._work
        logs.started(self.consumer._shown, len(self.workers))
        self.watcher = asyncio.create_task(self._until_the_end(self._watch()), name="turbosqs-consumer-watcher")
        for number, worker in enumerate(self.workers):
            running = self._until_the_end(self._as_worker(work, worker))
            self.tasks.append(asyncio.create_task(running, name=f"turbosqs-consumer-{number}"))

    async def wait(self) -> None:
        """Until it is to stop, or there is nothing left to do."""
        while not self.signals and not self.stopping and not all(task.done() for task in self.tasks):
            self.news.clear()
            await self.news.wait()

    def is_mine(self) -> bool:
        """Whether one of its own tasks asks."""
        return asyncio.current_task() in (self.watcher, *self.tasks)

    def ask_to_stop(self) -> bool:
        """Begin to drain, without waiting; whether all handlers have finished."""
        self._drain()
        return all(task.done() for task in self.tasks)

    async def stop(self, timeout: float) -> bool:
        """Drain, and wait for it."""
        self._drain()
        if self.over:
            return all(task.done() for task in self.tasks)
        pending = await self._finish(self.tasks, timeout)
        finished = not pending
        # Even if all have: a worker that died may have left messages unsettled.
        self.poller.abandon()
        for task in pending:
            task.cancel()
        # One that does not let itself be cancelled is left alone.
        await self._finish(pending, GRACE, hurries=False)
        await until_quiet(self.core, self.poller, TIMEOUT)
        self.poller.give_up()
        if self.watcher is not None and await self._finish([self.watcher], TIMEOUT):
            self.watcher.cancel()
        await self._report()
        if self.signing is not None:
            self.signing.end()
        if not self.over:
            self.over = True
            counts = self.poller.stats()
            logs.stopped(self.consumer._shown, counts["handled"], counts["failed"], len(pending))
        self.news.set()
        return finished

    def signalled(self) -> None:
        """SIGINT or SIGTERM has come."""
        self.signals += 1
        if self.signals > 1 and not self.hurry.done():
            self.hurry.set_result(None)
        self.news.set()

    async def _finish(
        self, tasks: list[asyncio.Task[None]], timeout: float, hurries: bool = True
    ) -> list[asyncio.Task[None]]:
        """Wait for tasks, ``timeout`` seconds at most, or until a second signal; those that have not ended."""
        pending = [task for task in tasks if not task.done()]
        with Timer(self.core, timeout) as timer:
            while pending and not timer.is_over and not (hurries and self.hurry.done()):
                hurry = [self.hurry] if hurries else []
                await asyncio.wait([*pending, timer.future, *hurry], return_when=asyncio.FIRST_COMPLETED)
                pending = [task for task in pending if not task.done()]
        return pending

    def _drain(self) -> None:
        if not self.draining:
            self.draining = True
            counts = self.poller.stats()
            logs.draining(self.consumer._shown, counts["in_progress"], counts["buffered"])
        self.stopping = True
        self.poller.close()
        self._wake_all()
        self.news.set()

    async def _until_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Failure as failure:
            self._fail(self.consumer._exception(failure))
        except asyncio.CancelledError:
            if not self.stopping:
                self._fail(RuntimeError("a handler's task was cancelled from outside"))
            raise
        except BaseException as error:  # noqa: BLE001 (it is raised where the consumer runs)
            self._fail(error)
        finally:
            # Whoever waits for nothing now finds the same end.
            self._wake_all()
            self.news.set()

    async def _as_worker(self, work: Callable[[Worker], Coroutine[Any, Any, None]], worker: Worker) -> None:
        try:
            await work(worker)
        finally:
            worker.stop()

    def _fail(self, error: BaseException) -> None:
        """Nothing can go on after this."""
        if self.error is None:
            self.error = error
            logs.ended(self.consumer._shown, error)
        self.poller.close()

    async def _work(self, worker: Worker) -> None:
        take, consumer, check_done = self.poller.take, self.consumer, self.consumer._check_done
        done = None
        taken = 0
        while (work := take(done, 0.0)) is not None:
            done = None
            if not work:
                await self._more()
                continue
            if self.idle and not self.waking:
                self._wake_one()
            identifier, message = work
            if identifier is None:
                await self._tell(consumer._calls(self, message))
                continue
            taken += 1
            if taken % TURN == 0:
                await asyncio.sleep(0)
            worker.begin(message)
            try:
                result = consumer._handle(message)
                # The usual case first: to ask in general takes longer than all the rest.
                if type(result) is CoroutineType or isawaitable(result):
                    result = await result
                if result is not None:
                    check_done(result)
            except BaseException as error:
                if not isinstance(error, Exception) and not _is_the_handlers_own(error):
                    # Nobody is left to be told.
                    self.poller.retry(identifier, 0)
                    raise
                await self._failed((identifier,), (message,), error)
            else:
                done = identifier
            worker.end()

    async def _work_in_batches(self, worker: Worker) -> None:
        take, consumer = self.poller.take, self.consumer
        while (work := take(None, 0.0)) is not None:
            if not work:
                await self._more()
                continue
            if self.idle and not self.waking:
                self._wake_one()
            identifiers, messages = work
            if identifiers is None:
                await self._tell(consumer._calls(self, messages))
                continue
            await asyncio.sleep(0)
            worker.begin(messages)
            try:
                # The handler may do with its list what it wants.
                result = consumer._handle(list(messages))
                if isawaitable(result):
                    result = await result
                consumer._check_done(result)
                done, failed, failures = consumer._divide(result, identifiers, messages)
            except BaseException as error:
                if not isinstance(error, Exception) and not _is_the_handlers_own(error):
                    # Nobody is left to be told.
                    for identifier in identifiers:
                        self.poller.retry(identifier, 0)
                    raise
                await self._failed(identifiers, messages, error)
            else:
                for identifier in done:
                    self.poller.delete(identifier)
                if failed:
                    await self._failed(failed, failures, HandlerFailure("the handler names it among its failures"))
            worker.end()

    async def _more(self) -> None:
        """Wait until there may be something to take."""
        waiting = asyncio.get_running_loop().create_future()
        self.idle.append(waiting)
        if not self.listens:
            self.listens = True
            _, news = current().await_messages(self.core, self.poller, len(self.idle))
            news.add_done_callback(self._heard)
        try:
            await waiting
        finally:
            self.waking = False
            # Unless it was its turn: cancelled before.
            with suppress(ValueError):
                self.idle.remove(waiting)

    def _heard(self, _: asyncio.Future[Any]) -> None:
        self.listens = False
        self._wake_one()

    def _wake_one(self) -> None:
        """One who found nothing looks again; if it finds something, it wakes the next."""
        while self.idle:
            waiting = self.idle.popleft()
            if not waiting.done():
                self.waking = True
                waiting.set_result(None)
                return

    def _wake_all(self) -> None:
        while self.idle:
            self._wake_one()

    async def _failed(self, identifiers: Any, messages: Any, error: BaseException) -> None:
        await self._tell(self.consumer._retry(self.poller, identifiers, messages, error))

    async def _watch(self) -> None:
        watched = True
        while watched:
            await self.consumer._client._ask(Exchange.await_background_errors, self.poller)
            await self._report()
            watched = self.poller.is_watched()

    async def _report(self) -> None:
        await self._tell(self.consumer._calls(self, self.poller.background_errors()))

    async def _tell(self, calls: list[Call]) -> None:
        for name, hook, arguments in calls:
            try:
                told = hook(*arguments)
                self.consumer._check_done(await told if isawaitable(told) else told, name)
            except Exception:  # noqa: BLE001 (it is logged)
                logs.hook_failed(name)


def _is_the_handlers_own(error: BaseException) -> bool:
    """Whether a cancellation is that of something a handler has waited for, and not its own."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    # Python 3.10 cannot tell; not to be cancelled would be worse.
    return cancelling is not None and cancelling() == 0
