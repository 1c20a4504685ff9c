"""``Consumer``: functions that handle the messages of a queue, in threads."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._core import Failure
from ..errorfactory import exception
from ..polling import PATIENCE, track
from ..types import Message
from .common import Base, RetryDelay, log, log_error

if TYPE_CHECKING:
    from typing_extensions import Self

#: For ever, in seconds.
_FOREVER = 1e9

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Consumer(Base):
    """Handles the messages of a queue: who returns deletes the message, who raises leaves it for a retry.

        consumer = turbosqs.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=20)
        consumer.run()

    Messages are fetched by as many long polls as the queue can fill, and no more than the handlers can take. While a
    message waits and while it is handled it stays invisible to others, however long that takes. Deletes are batched.
    On a FIFO queue the messages of a group are handled in order, one at a time, and different groups in parallel;
    after a failure the rest of the group waits for the retry.

    A consumer is started once. It belongs to the process that made it: after a fork, make another.
    """

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
            client: of turbosqs.
            QueueUrl: the queue.
            handler: called with a message as ``receive_message`` gives it; with ``batch_size``, with a list of them.
                From a batch it may return the failures as on Lambda:
                ``{"batchItemFailures": [{"itemIdentifier": message_id}]}``. What else it returns is passed over.
            concurrency: how many handlers run at a time, each in a thread of its own.
            batch_size: how many messages a handler takes at most; None for one, and not in a list.
            batch_window: how long a batch waits to fill up, in seconds, up to 300; never longer than half
                of the visibility timeout.
            retry_delay: after how many seconds a message that failed is tried again, up to 43,200; a function of the
                message and the error that says so; a ``Backoff``; None: when its visibility timeout is over.
            on_error: called with the error and the message when a handler has raised, and with the error and None
                when a poll has failed and will be repeated. Without it they are logged.
            on_delete_failed: called with the error and the message when a message that was handled could not be
                deleted, so that it will be received again. Without it that is logged.
            max_per_second: how many messages are handed to handlers in a second at most; None for no limit.
            shutdown_timeout: how long ``run`` and ``stop`` wait for handlers to finish, in seconds. The messages of
                those that have not finished by then become visible again.
            polling: ``poll_messages``' further arguments: ``VisibilityTimeout``, ``WaitTimeSeconds``,
                ``MessageAttributeNames``, ``max_messages``, ``idle_timeout``, ``min_life``, ``max_buffered``, ...

        Raises:
            TypeError, ValueError, ParamValidationError: an argument is not as described above.
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
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._alive = 0
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        # None asks the one who runs the consumer to look again. A SimpleQueue, since a signal handler may put into it.
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        # The first asks for the drain, the second one ends it.
        self._signals = 0
        self._drained = False

    def run(self, *, handle_signals: bool = True) -> None:
        """Consume until ``stop()``, a signal, ``max_messages`` or ``idle_timeout``; then drain, and return.

        To drain is to stop polling, give back what is buffered, let the handlers finish, and flush the deletes, all
        within ``shutdown_timeout``.

        Arguments:
            handle_signals: whether SIGINT and SIGTERM drain, when this is the main thread. A second one does not wait
                for the handlers any more.

        Raises:
            ClientError and others: polling makes no sense any more (no such queue, no access).
            RuntimeError: it was started before.
        """
        installed = handle_signals and threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, self._signalled) for number in _SIGNALS} if installed else {}
        try:
            self.start()
            try:
                while self._alive and not self._signals and not self._stopped.is_set():
                    self._news.get()
                self.stop()
            except BaseException:
                self.stop(0)
                raise
        finally:
            for number, handler in before.items():
                # None: it was not Python's, and cannot be put back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._error is not None:
            raise self._error

    def start(self) -> None:
        """Consume in the background, until ``stop()``.

        Raises:
            RuntimeError: it was started before, or in another process.
        """
        if self._pid != os.getpid():
            raise RuntimeError("a consumer belongs to the process that made it; make another after a fork")
        with self._lock:
            if self._threads or self._stopped.is_set():
                what = "was stopped" if self._stopped.is_set() else "runs already"
                raise RuntimeError(f"this consumer {what}; a consumer is started once")
            self._alive = self._concurrency
            work = self._work if self._batch_size is None else self._work_in_batches
            for number in range(self._concurrency):
                name = f"turbosqs-consumer-{number}"
                self._threads.append(threading.Thread(target=self._until_the_end, args=(work,), name=name, daemon=True))
        track(self)
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:
            self._poller.close()
            raise

    def stop(self, timeout: float | None = None, *, wait: bool = True) -> bool:
        """Drain: no more messages; handlers that run may finish, deletes are flushed, what is buffered goes back.

        From within a handler it does not wait.

        Arguments:
            timeout: how long handlers may take to finish, in seconds; None for ``shutdown_timeout``. The messages of
                the others become visible again, though their threads may go on.
            wait: whether to wait at all. Without it, whoever is in ``run`` does, or another ``stop``.

        Returns:
            Whether all handlers have finished.
        """
        if self._pid != os.getpid():
            return True
        self._poller.close()
        if self._drained:
            return not any(thread.is_alive() for thread in self._threads)
        if not wait or threading.current_thread() in self._threads:
            self._stopped.set()
            self._news.put(None)
            return self._alive == 0
        deadline = time.monotonic() + (self._shutdown_timeout if timeout is None else timeout)
        for thread in self._threads:
            while thread.is_alive() and (left := deadline - time.monotonic()) > 0 and self._signals < 2:
                thread.join(min(left, 0.05))
        finished = not any(thread.is_alive() for thread in self._threads)
        # Even then: a worker that died may have left messages unsettled.
        self._poller.abandon()
        self._poller.quiet(max(PATIENCE, deadline - time.monotonic()) if finished else PATIENCE)
        self._report(self._poller.troubles())
        self._drained = True
        self._stopped.set()
        self._news.put(None)
        return finished

    def close(self) -> None:
        """``stop()``."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if self._error is not None and error is None:
            raise self._error

    def _signalled(self, *_: object) -> None:
        self._signals += 1
        self._news.put(None)

    def _until_the_end(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Failure as failure:
            self._fail(exception(failure))
        except BaseException as error:  # noqa: BLE001 (it is raised where the consumer runs)
            self._fail(error)
        finally:
            with self._lock:
                self._alive -= 1
            self._news.put(None)

    def _fail(self, error: BaseException) -> None:
        """Nothing can go on after this."""
        with self._lock:
            if self._error is None:
                self._error = error
        self._poller.close()

    def _work(self) -> None:
        take, handler = self._poller.take, self._handler
        done = None
        while (work := take(done, _FOREVER)) is not None:
            done = None
            if not work:
                continue
            identifier, message = work
            if identifier is None:
                self._report(message)
                continue
            try:
                handler(message)
            except Exception as error:  # noqa: BLE001 (it is told)
                self._failed(identifier, message, error)
            except BaseException as error:
                self._failed(identifier, message, error)
                raise
            else:
                done = identifier

    def _work_in_batches(self) -> None:
        take, handler, delete = self._poller.take, self._handler, self._poller.delete
        while (work := take(None, _FOREVER)) is not None:
            if not work:
                continue
            identifiers, messages = work
            if identifiers is None:
                self._report(messages)
                continue
            try:
                outcomes = self._outcomes(handler(messages), identifiers, messages)
            except BaseException as error:
                for identifier, message in zip(identifiers, messages, strict=True):
                    self._failed(identifier, message, error)
                if not isinstance(error, Exception):
                    raise
                continue
            for identifier, message, failure in outcomes:
                if failure is None:
                    delete(identifier)
                else:
                    self._failed(identifier, message, failure)

    def _failed(self, identifier: int, message: Message, error: BaseException) -> None:
        delay = None
        try:
            delay = self._delay(message, error)
        except Exception as wrong:  # noqa: BLE001 (it is told)
            self._tell(self._on_error or log_error, wrong, message)
        self._poller.retry(identifier, delay)
        self._tell(self._on_error or log_error, error, message)

    def _report(self, troubles: Sequence[tuple[Message | None, int | None, Exception]]) -> None:
        for hook, error, message in self._hooks(troubles):
            self._tell(hook, error, message)

    def _tell(self, hook: Callable[..., Any], error: BaseException, message: Message | None) -> None:
        try:
            hook(error, message)
        except Exception:  # noqa: BLE001 (it is logged)
            log.exception("%s has failed", "on_delete_failed" if hook is self._on_delete_failed else "on_error")
