"""One event loop's exchange with the core: calls go out at the end of each tick, answers come in many at a time.

The futures of calls stay here, under numbers; the core's own threads know the numbers alone. A loop watches one
descriptor for all clients that are used in it. It is the loop that owns the exchange: closing the loop frees it.
Where a loop watches no descriptors (Windows' own), a thread waits for answers and wakes it, until the loop is gone.
"""

from __future__ import annotations

import os
import threading
from asyncio import get_running_loop
from collections import OrderedDict
from itertools import count
from operator import itemgetter
from weakref import WeakValueDictionary, finalize, ref

from ._core import CompletionQueue
from ._platform import PORTABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from typing import Any

    from . import _core

    #: A call that waits for room: its arguments, tag and trace.
    _Waiting = tuple[dict[str, Any], int, str | None]


#: What lingers; other calls only wait for their turn.
BATCHED = frozenset({"SendMessage", "DeleteMessage", "ChangeMessageVisibility"})

#: Seconds that no program lasts.
_CENTURY = 100 * 365 * 24 * 3600.0


def _as_they_are(value: Any) -> Any:
    """Arguments that no longer change with those that they are copied from."""
    if isinstance(value, dict):
        return {key: _as_they_are(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_they_are(each) for each in value]
    return bytes(value) if isinstance(value, bytearray) else value


class Exchange:
    """What stands between an event loop and the core.

    Attributes:
        loop: the event loop; None in a child that was forked from the loop's process.
        weakly: a weak reference to it, for those who wait.
    """

    __slots__ = ("__weakref__", "_completions", "_futures", "_leaving", "_numbers", "_waiting", "loop", "weakly")

    loop: AbstractEventLoop

    def __init__(self, loop: AbstractEventLoop) -> None:
        """Have the loop watch for answers.

        Args:
            loop: the running loop.
        """
        self.loop = loop
        self.weakly = ref(self)
        self._completions = CompletionQueue()
        self._numbers = count()
        self._futures: dict[int, Future[Any]] = {}
        self._leaving = False
        # Calls that wait for room, by client and operation.
        self._waiting: dict[tuple[_core.Client, str], OrderedDict[int, _Waiting]] = {}
        self._watch()

    def call(
        self, core: _core.Client, operation: str, params: dict[str, Any], tag: int = 0, trace: str | None = None
    ) -> tuple[int, Future[Any]]:
        """Begin an operation; it leaves when the loop's current tick is over.

        Args:
            core: the core's client.
            operation: the API's name.
            params: its arguments.
            tag: by which a recorder knows it again.
            trace: the trace that it belongs to, as ``X-Amzn-Trace-Id`` has it.

        Returns:
            The call's number, and a future whose result is the reply, or an exception as a value.

        Raises:
            Failure: the arguments do not fit the operation.
        """
        number = next(self._numbers)
        queue = self._waiting.get((core, operation)) if self._waiting else None
        if queue is None and self._completions.begin(number, core, operation, params, tag, trace):
            self._leave_soon()
        else:
            # It is written to JSON when it moves up; what its caller does with the arguments meanwhile is not for it.
            self._waiting.setdefault((core, operation), OrderedDict())[number] = _as_they_are(params), tag, trace
        future = self._futures[number] = self.loop.create_future()
        return number, future

    def presign(self, core: _core.Client, *arguments: Any) -> tuple[int, Future[Any]]:
        """Begin to sign a URL; see ``_core.Client.presign``."""
        number = next(self._numbers)
        self._completions.presign(number, core, *arguments)
        return number, self._expect(number)

    def flush(self, core: _core.Client) -> tuple[int, Future[Any]]:
        """Let everything of a client leave that has room to; the answer comes when all of it is answered."""
        number = next(self._numbers)
        self._completions.flush(number, core)
        return number, self._expect(number)

    def await_room(self, core: _core.Client, writer: _core.Writer, weight: int) -> tuple[int, Future[Any]]:
        """The answer comes when a writer has room for an entry of this weight."""
        number = next(self._numbers)
        self._completions.await_room(number, core, writer, weight)
        return number, self._expect(number)

    def await_answers(self, core: _core.Client, writer: _core.Writer) -> tuple[int, Future[Any]]:
        """The answer comes when all is answered that a writer was given."""
        number = next(self._numbers)
        self._completions.await_answers(number, core, writer)
        return number, self._expect(number)

    def await_messages(self, core: _core.Client, poller: _core.Poller, takers: int) -> tuple[int, Future[Any]]:
        """The answer comes when a poller may have messages for so many takers."""
        number = next(self._numbers)
        self._completions.await_messages(number, core, poller, takers)
        return number, self._expect(number)

    def await_background_errors(self, core: _core.Client, poller: _core.Poller) -> tuple[int, Future[Any]]:
        """The answer comes when a poller has background errors to tell, or will have none any more."""
        number = next(self._numbers)
        self._completions.await_background_errors(number, core, poller)
        return number, self._expect(number)

    def await_lost(self, core: _core.Client, keeper: _core.Keeper) -> tuple[int, Future[Any]]:
        """The answer comes when a keeper has lost a message, or is closed."""
        number = next(self._numbers)
        self._completions.await_lost(number, core, keeper)
        return number, self._expect(number)

    def sleep(self, core: _core.Client, seconds: float) -> tuple[int, Future[Any]]:
        """The answer comes when so many seconds are over."""
        number = next(self._numbers)
        self._completions.sleep(number, core, seconds)
        return number, self._expect(number)

    def await_quiet(self, core: _core.Client, poller: _core.Poller) -> tuple[int, Future[Any]]:
        """The answer comes when a closed poller may have nothing under way any more."""
        number = next(self._numbers)
        self._completions.await_quiet(number, core, poller)
        return number, self._expect(number)

    def mark(self) -> int:
        """This moment, for ``is_waiting``."""
        return next(self._numbers)

    def is_waiting(self, core: _core.Client, mark: int) -> bool:
        """Whether calls that share requests, made of a client before a moment, still wait for room."""
        return core.is_batching and any(
            owner is core and operation in BATCHED and next(iter(queue), mark) < mark
            for (owner, operation), queue in self._waiting.items()
        )

    def abandon(self, number: int) -> None:
        """Nobody waits for a call any more: if it has not left, it does not leave."""
        if self._futures.pop(number, None) is None or self.loop is None:
            # Answered meanwhile; or the loop is that of a process of which this one is a fork.
            return
        for queue in self._waiting.values():
            if queue.pop(number, None) is not None:
                return
        self._completions.abandon(number)

    def _watch(self) -> None:
        if not PORTABLE:
            try:
                return self.loop.add_reader(self._completions.descriptor, self._drain)
            except NotImplementedError:
                pass
        # An open loop is to have its exchange, a closed one drops what it was to do; the thread is to keep neither.
        self.loop.call_later(_CENTURY, self._keep)
        finalize(self, self._completions.close).atexit = False
        name, arguments = "turbosqs-aio-waker", (self._completions, ref(self))
        threading.Thread(target=_wake, args=arguments, name=name, daemon=True).start()
        return None

    def _keep(self) -> None:
        """What a loop is to do some day keeps this exchange until then."""

    def _expect(self, number: int) -> Future[Any]:
        future = self._futures[number] = self.loop.create_future()
        return future

    def _leave(self) -> None:
        self._leaving = False
        self._completions.leave()
        if self._waiting:
            # What was abandoned in this tick has made room.
            self._move_up()

    def _drain(self) -> None:
        self._answer(self._completions.drain())
        if self._waiting:
            self._move_up()

    def _answer(self, answers: list[tuple[int, Any]]) -> None:
        futures = self._futures
        for number, answer in answers:
            future = futures.pop(number, None)
            # Cancelled in this tick, its coroutine has had no time to say so.
            if future is not None and not future.done():
                future.set_result(answer)

    def _move_up(self) -> None:
        """Begin what waits for room, as far as there is; of several queues, what was called first."""
        blocked: set[tuple[_core.Client, str]] = set()
        while heads := [(next(iter(queue), -1), key) for key, queue in self._waiting.items() if key not in blocked]:
            number, key = min(heads, key=itemgetter(0))
            queue = self._waiting[key]
            if number not in queue:
                # Nobody is left in it.
                del self._waiting[key]
                continue
            try:
                params, tag, trace = queue[number]
                if not self._completions.begin(number, *key, params, tag, trace):
                    blocked.add(key)
                    continue
                self._leave_soon()
            except Exception as error:  # noqa: BLE001 - it is the caller's, who awaits it
                self._answer([(number, error)])
            queue.pop(number, None)

    def _leave_soon(self) -> None:
        if not self._leaving:
            self._leaving = True
            self.loop.call_soon(self._leave)


def _wake(completions: CompletionQueue, owner: ref[Exchange]) -> None:
    """Wake an exchange's loop for each time that answers come, until one of the two is gone."""
    while completions.wait():
        exchange = owner()
        if exchange is None:
            return
        try:
            exchange.loop.call_soon_threadsafe(exchange._drain)
        except RuntimeError:
            # It is closed.
            return
        del exchange


class Timer:
    """Some seconds, by the core's clock: tests that replace Python's own, event loops' included, do not stop it.

    Attributes:
        future: done when they are over.
    """

    def __init__(self, core: _core.Client, seconds: float) -> None:
        """They begin now.

        Args:
            core: whose clock.
            seconds: how many.
        """
        self._exchange = current()
        self._number, self.future = self._exchange.sleep(core, seconds)

    @property
    def is_over(self) -> bool:
        """Whether they are over."""
        return self.future.done()

    def __enter__(self) -> Timer:
        return self

    def __exit__(self, *_: object) -> None:
        self._exchange.abandon(self._number)


async def ask(core: _core.Client, begin: Callable[..., tuple[int, Future[Any]]], *arguments: Any) -> Any:
    """What a call comes to.

    Args:
        core: the core's client.
        begin: begins it, a method of ``Exchange``.
        arguments: those of that method.

    Raises:
        Failure: the operation has failed.
    """
    exchange = current()
    weakly = exchange.weakly
    number, future = begin(exchange, core, *arguments)
    # Whoever waits does not keep it: it goes with the loop.
    del exchange
    try:
        answer = await future
    except BaseException:
        # Cancelled, or closed without having been finished.
        if (again := weakly()) is not None:
            again.abandon(number)
        raise
    if isinstance(answer, BaseException):
        raise answer
    return answer


_exchanges: WeakValueDictionary[int, Exchange] = WeakValueDictionary()


def current() -> Exchange:
    """The exchange of the running loop.

    Raises:
        RuntimeError: no loop is running.
    """
    loop = get_running_loop()
    exchange = _exchanges.get(id(loop))
    if exchange is None or exchange.loop is not loop:
        exchange = _exchanges[id(loop)] = Exchange(loop)
    return exchange


def _forget() -> None:
    """In a forked child: its loops, should it run one that it inherited, need exchanges of their own."""
    for exchange in list(_exchanges.values()):
        exchange.loop = None  # type: ignore[assignment]
    _exchanges.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
