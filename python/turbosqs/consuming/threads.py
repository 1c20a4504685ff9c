"""``Consumer``: functions that handle the messages of a queue, in threads."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from .._core import Failure, Poller, monotonic
from .._green import waits_of
from .._signals import STOPS, wait_for
from ..errorfactory import exception
from ..polling import TIMEOUT, track
from . import logs
from .batches import HandlerFailure
from .common import Base, Call, Run
from .workers import Worker

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .._operations import Operations
    from .options import BatchHandler, Handler, LambdaHandler, ThreadOptions

#: For ever, in seconds.
_FOREVER = 1e9


class Consumer(Base):
    """Handles the messages of a queue: if the handler returns, the message is deleted; if it raises, it is retried.

        consumer = turbosqs.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=20)
        consumer.run()

    Messages are fetched by as many long polls as the queue can fill, and no more than the handlers can take. While a
    message waits and while it is handled it stays invisible to others, however long that takes, unless its handler
    changes its visibility timeout by itself, with the same client: then that holds. Deletes are batched.
    On a FIFO queue the messages of a group are handled in order, one at a time, and different groups in parallel;
    after a failure the rest of the group waits for the retry.

    A consumer that has stopped may be started again. It belongs to the process that made it: after a fork, make
    another.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            client: Operations,
            *,
            QueueUrl: str,  # noqa: N803
            handler: Handler,
            batch_size: None = None,
            **options: Unpack[ThreadOptions],
        ) -> Self: ...

        @overload
        def __new__(
            cls,
            client: Operations,
            *,
            QueueUrl: str,  # noqa: N803
            handler: BatchHandler,
            batch_size: int,
            **options: Unpack[ThreadOptions],
        ) -> Self: ...

        @overload
        def __new__(
            cls,
            client: Operations,
            *,
            QueueUrl: str,  # noqa: N803
            lambda_handler: LambdaHandler,
            batch_size: int | None = None,
            **options: Unpack[ThreadOptions],
        ) -> Self: ...

        def __new__(cls, client: Any, **options: Any) -> Self:
            """Its ``__init__`` is the base's; these are the ways to call it."""

    def run(self, *, handle_signals: bool = True) -> None:
        """Consume until ``stop()``, a signal, ``max_messages`` or ``idle_timeout``; then drain, and return.

        To drain is to stop polling, give back what is buffered, let the handlers finish, and flush the deletes, all
        within ``shutdown_timeout``.

        Args:
            handle_signals: whether SIGINT and SIGTERM drain, when this is the main thread. A second one does not wait
                for the handlers any more.

        Raises:
            ClientError and others: polling makes no sense any more (no such queue, no access).
            RuntimeError: it runs already.
        """
        run = self._begin()
        before = _listen(run) if handle_signals else {}
        try:
            try:
                run.start()
                run.wait()
                run.stop(self._shutdown_timeout)
            except BaseException:
                run.stop(0)
                raise
        finally:
            for number, handler in before.items():
                # None: it was not Python's, and cannot be put back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if run.error is not None:
            raise run.error

    def start(self) -> None:
        """Consume in the background, until ``stop()``.

        Raises:
            RuntimeError: it runs already, or belongs to another process.
        """
        run = self._begin()
        try:
            run.start()
        except BaseException:
            run.stop(0)
            raise

    def stop(self, timeout: float | None = None, *, wait: bool = True) -> bool:
        """Drain: no more messages; handlers that run may finish, deletes are flushed, what is buffered goes back.

        From within a handler it does not wait. A consumer that does not run is left as it is.

        Args:
            timeout: how long handlers may take to finish, in seconds; None for ``shutdown_timeout``. The messages of
                the others become visible again, though their threads may go on.
            wait: whether to wait at all. Without it, whoever is in ``run`` does, or another ``stop``.

        Returns:
            Whether all handlers have finished.
        """
        run: _Run | None = self._run
        if run is None or self._pid != os.getpid():
            return True
        if not wait or run.is_mine():
            return run.ask_to_stop()
        return run.stop(self._shutdown_timeout if timeout is None else timeout)

    def close(self) -> None:
        """``stop()``."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run: _Run = self._run
        self.stop()
        if run.error is not None and error is None:
            raise run.error

    def _begin(self) -> _Run:
        with self._lock:
            run = self._run = _Run(self, self._next_poller())
        track(self)
        return run


def _listen(run: _Run) -> dict[signal.Signals, Any]:
    """Have signals stop a run; what handled them before. Nothing, outside the main thread."""
    before = {}
    # Whether it is the main thread is signal's to say: eventlet's threading is not sure of its own.
    with suppress(ValueError):
        for number in STOPS:
            before[number] = signal.signal(number, run.signalled)
    return before


class _Run(Run):
    """The threads of one run, and the one who waits for them."""

    def __init__(self, consumer: Consumer, poller: Poller) -> None:
        super().__init__(poller, consumer._concurrency)
        self.consumer = consumer
        self.waits = waits_of(consumer._client._core, poller)
        self.threads: list[threading.Thread] = []
        # It tells of what the core has met with when all workers are busy.
        self.watcher = threading.Thread(target=self._until_the_end, args=(self._watch,), daemon=True)
        self.watcher.name = "turbosqs-consumer-watcher"
        self.lock = threading.Lock()
        self.alive = 0
        self.stopped = False
        # None asks the one who runs the consumer to look again. A SimpleQueue, since a signal handler may put into it.
        self.news: queue.SimpleQueue[None] = queue.SimpleQueue()
        # The first asks for the drain, the second one ends it.
        self.signals = 0

    def start(self) -> None:
        """Start the threads."""
        work = self._work_in_batches if self.consumer._in_batches else self._work
        for number, worker in enumerate(self.workers):
            name = f"turbosqs-consumer-{number}"
            arguments = (self._as_worker, work, worker)
            self.threads.append(threading.Thread(target=self._until_the_end, args=arguments, name=name, daemon=True))
        self.alive = len(self.threads)
        logs.started(self.consumer._shown, len(self.threads))
        for thread in (self.watcher, *self.threads):
            thread.start()

    def wait(self) -> None:
        """Until it is to stop, or there is nothing left to do."""
        while self.alive and not self.signals and not self.stopped:
            wait_for(self.news)

    def is_mine(self) -> bool:
        """Whether one of its own threads asks."""
        return threading.current_thread() in (self.watcher, *self.threads)

    def ask_to_stop(self) -> bool:
        """Begin to drain, without waiting; whether all handlers have finished."""
        self._drain()
        self.stopped = True
        self.news.put(None)
        return self.alive == 0

    def stop(self, timeout: float) -> bool:
        """Drain, and wait for it."""
        if self.over:
            return not any(thread.is_alive() for thread in self.threads)
        self._drain()
        deadline = monotonic() + timeout
        for thread in self.threads:
            while thread.is_alive() and (left := deadline - monotonic()) > 0 and self.signals < 2:
                thread.join(min(left, 0.05))
        finished = not any(thread.is_alive() for thread in self.threads)
        # Even if all have: a worker that died may have left messages unsettled.
        self.poller.abandon()
        self.waits.quiet(max(TIMEOUT, deadline - monotonic()) if finished else TIMEOUT)
        self.poller.give_up()
        if self.watcher.is_alive():
            self.watcher.join(TIMEOUT)
        self._report()
        if not self.over:
            self.over = True
            counts = self.poller.stats()
            busy = sum(worker.held is not None for worker in self.workers)
            logs.stopped(self.consumer._shown, counts["handled"], counts["failed"], busy)
        self.stopped = True
        self.news.put(None)
        return finished

    def signalled(self, *_: object) -> None:
        """SIGINT or SIGTERM has come."""
        self.signals += 1
        self.news.put(None)

    def _drain(self) -> None:
        if not self.draining:
            self.draining = True
            counts = self.poller.stats()
            logs.draining(self.consumer._shown, counts["in_progress"], counts["buffered"])
        self.poller.close()

    def _until_the_end(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Failure as failure:
            self._fail(exception(failure))
        except BaseException as error:  # noqa: BLE001 (it is raised where the consumer runs)
            self._fail(error)

    def _as_worker(self, work: Callable[[Worker], None], worker: Worker) -> None:
        try:
            work(worker)
        finally:
            worker.stop()
            with self.lock:
                self.alive -= 1
            self.news.put(None)

    def _fail(self, error: BaseException) -> None:
        """Nothing can go on after this."""
        with self.lock:
            first = self.error is None
            if first:
                self.error = error
        self.poller.close()
        if first:
            logs.ended(self.consumer._shown, error)
        self.news.put(None)

    def _work(self, worker: Worker) -> None:
        take, consumer, check_done = self.waits.take, self.consumer, self.consumer._check_done
        done = None
        while (work := take(done, _FOREVER)) is not None:
            done = None
            if not work:
                continue
            identifier, message = work
            if identifier is None:
                self._tell(consumer._calls(self, message))
                continue
            worker.begin(message)
            try:
                result = consumer._handle(message)
                if result is not None:
                    check_done(result)
            except BaseException as error:
                self._failed((identifier,), (message,), error)
                if not isinstance(error, Exception):
                    raise
            else:
                done = identifier
            worker.end()

    def _work_in_batches(self, worker: Worker) -> None:
        take, consumer = self.waits.take, self.consumer
        while (work := take(None, _FOREVER)) is not None:
            if not work:
                continue
            identifiers, messages = work
            if identifiers is None:
                self._tell(consumer._calls(self, messages))
                continue
            worker.begin(messages)
            try:
                # The handler may do with its list what it wants.
                result = consumer._handle(list(messages))
                consumer._check_done(result)
                done, failed, failures = consumer._divide(result, identifiers, messages)
            except BaseException as error:
                self._failed(identifiers, messages, error)
                if not isinstance(error, Exception):
                    raise
            else:
                for identifier in done:
                    self.poller.delete(identifier)
                if failed:
                    self._failed(failed, failures, HandlerFailure("the handler names it among its failures"))
            worker.end()

    def _failed(self, identifiers: Any, messages: Any, error: BaseException) -> None:
        self._tell(self.consumer._retry(self.poller, identifiers, messages, error))

    def _watch(self) -> None:
        watched = True
        while watched:
            watched = self.waits.watch()
            self._report()

    def _report(self) -> None:
        self._tell(self.consumer._calls(self, self.poller.background_errors()))

    def _tell(self, calls: list[Call]) -> None:
        for name, hook, arguments in calls:
            try:
                self.consumer._check_done(hook(*arguments), name)
            except Exception:  # noqa: BLE001 (it is logged)
                logs.hook_failed(name)
