"""Waiting in programs whose threads are greenlets: those that gevent or eventlet has patched.

There a call that blocks its thread blocks every greenlet of it. So what the core has to be waited for is begun as an
event loop begins it, and the greenlet waits for the core's descriptor, by the ``select`` of its own library: its hub
goes on meanwhile.
"""

from __future__ import annotations

import os
import sys

from ._core import CompletionQueue, Keeper, Poller, monotonic
from ._logs import flush, is_debugged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, overload

    from ._core import Client, Writer


def find_select() -> Callable[..., Any] | None:
    """The ``select`` that lets other greenlets run; None where threads are threads.

    What counts is what is patched at this moment: a client or a consumer asks when it is made or started.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and any(monkey.is_module_patched(name) for name in ("threading", "socket")):
        from gevent.select import select as of_gevent  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return of_gevent  # type: ignore[no-any-return, unused-ignore]
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and any(patcher.is_monkey_patched(name) for name in ("thread", "socket")):
        from eventlet.green.select import select as of_eventlet  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return of_eventlet  # type: ignore[no-any-return, unused-ignore]
    return None


def may_wait() -> bool:
    """Whether this thread may stand still: it has neither greenlets nor a running event loop."""
    events = sys.modules.get("asyncio.events")
    return (events is None or events._get_running_loop() is None) and find_select() is None


if TYPE_CHECKING:

    @overload
    def waits_of(core: Client, of: None = None) -> Client | GreenClient: ...

    @overload
    def waits_of(core: Client, of: Poller) -> Poller | GreenPoller: ...

    @overload
    def waits_of(core: Client, of: Keeper) -> Keeper | GreenKeeper: ...

    @overload
    def waits_of(core: Client, of: Writer) -> Writer | GreenWriter: ...


def waits_of(core: Client, of: Poller | Keeper | Writer | None = None) -> Any:
    """The blocking methods of a core client, or of a poller, keeper or writer that it was made with.

    Args:
        core: the client.
        of: the poller, keeper or writer; None for the client itself.

    Returns:
        The object itself where threads are threads; else something with the methods by which it is waited for.
    """
    select = find_select()
    if select is None:
        return core if of is None else of
    client = GreenClient(core, select)
    if of is None:
        return client
    if isinstance(of, Keeper):
        return GreenKeeper(client, of)
    return GreenPoller(client, of) if isinstance(of, Poller) else GreenWriter(client, of)


#: Completion queues that nobody waits at. Each greenlet that waits has one of its own, so that its own answer wakes it.
_free: list[CompletionQueue] = []

if hasattr(os, "register_at_fork"):
    # A child's answers must not come to its parent.
    os.register_at_fork(after_in_child=_free.clear)

#: The number of a call: each completion queue has one at a time.
_NUMBER = 0


class GreenClient:
    """The blocking methods of a core client, for greenlets."""

    def __init__(self, core: Client, select: Callable[..., Any]) -> None:
        """Wrap a core client.

        Args:
            core: what sends.
            select: what ``find_select`` has found.
        """
        self.core = core
        self._select = select

    def call(self, operation: str, params: dict[str, Any], tag: int = 0) -> Any:
        """See ``_core.Client.call``."""

        def begin(completions: CompletionQueue) -> None:
            # With one call it is never full.
            completions.begin(_NUMBER, self.core, operation, params, tag)
            completions.leave()

        return self.ask(begin)

    def presign(self, *arguments: Any) -> str:
        """See ``_core.Client.presign``."""
        url: str = self.ask(lambda completions: completions.presign(_NUMBER, self.core, *arguments))
        return url

    def flush(self) -> None:
        """See ``_core.Client.flush``."""
        self.ask(lambda completions: completions.flush(_NUMBER, self.core))

    def ask(self, begin: Callable[[CompletionQueue], Any], timeout: float | None = None) -> Any:
        """What a call comes to; None when ``timeout``, in seconds, is over.

        Raises:
            Failure: the call has failed.
        """
        try:
            completions = _free.pop()
        except IndexError:
            completions = CompletionQueue()
        begin(completions)
        answers: list[tuple[int, Any]] = []
        try:
            while not answers:
                readable, _, _ = self._select([completions.descriptor], [], [], timeout)
                answers = completions.drain()
                if not readable and not answers:
                    completions.abandon(_NUMBER)
                    return None
        except BaseException:
            # The greenlet is killed, or has been given a timeout. The queue goes with what may still come for it.
            completions.abandon(_NUMBER)
            raise
        _free.append(completions)
        if is_debugged():
            flush()
        [(_, answer)] = answers
        if isinstance(answer, BaseException):
            raise answer
        return answer


class _Wrapper:
    """An object of the core and the client that it was made with, for greenlets."""

    def __init__(self, client: GreenClient, of: Any) -> None:
        """Wrap an object.

        Args:
            client: of the client that it was made with.
            of: the object.
        """
        self._client = client
        self._of = of

    def _await(self, method: Callable[..., Any], *arguments: Any, timeout: float | None = None) -> None:
        """Wait for what a method of a completion queue announces about the object."""
        core, of = self._client.core, self._of
        self._client.ask(lambda completions: method(completions, _NUMBER, core, of, *arguments), timeout)


class GreenPoller(_Wrapper):
    """The blocking methods of a poller, for greenlets."""

    _of: Poller

    def __iter__(self) -> GreenPoller:
        return self

    def __next__(self) -> Any:
        while (work := self.take(None, 0.0)) is not None:
            if work and work[0] is None:
                self._of.tell(work[1])
            elif work:
                return work[1]
        raise StopIteration

    def take(self, done: int | None, timeout: float) -> Any:  # noqa: ARG002
        """See ``_core.Poller.take``; it may come back with nothing before its time."""
        work = self._of.take(done, 0.0)
        if work is None or work:
            return work
        self._await(CompletionQueue.await_messages, 1)
        return self._of.take(None, 0.0)

    def watch(self) -> bool:
        """See ``_core.Poller.watch``."""
        self._await(CompletionQueue.await_background_errors)
        return self._of.is_watched()

    def quiet(self, timeout: float) -> bool:
        """See ``_core.Poller.quiet``."""
        deadline = monotonic() + timeout
        while not self._of.quiet(0.0):
            left = deadline - monotonic()
            if left <= 0:
                return False
            self._await(CompletionQueue.await_quiet, timeout=left)
        return True


class GreenKeeper(_Wrapper):
    """The blocking method of a keeper, for greenlets."""

    _of: Keeper

    def watch(self) -> bool:
        """See ``_core.Keeper.watch``."""
        self._await(CompletionQueue.await_lost)
        return not self._of.is_closed


class GreenWriter(_Wrapper):
    """The blocking methods of a writer, for greenlets."""

    _of: Writer

    def put(self, operation: str, params: dict[str, Any], tag: int = 0) -> bool:
        """See ``_core.Writer.put``."""
        while weight := self._of.offer(operation, params, tag):
            self._await(CompletionQueue.await_room, weight)
        return self._of.is_failing

    def wait(self, timeout: float) -> bool:
        """See ``_core.Writer.wait``."""
        if self._of.wait(0.0):
            return True
        self._await(CompletionQueue.await_answers, timeout=timeout)
        return self._of.wait(0.0)
