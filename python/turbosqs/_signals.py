"""The signals that ask a program to end or to begin again, and ways to wait for them that every platform has."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ._platform import PORTABLE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

#: Ask for the end. SIGBREAK is Windows' own: Ctrl-Break, and what a process can send to a group of others there.
STOPS: tuple[signal.Signals, ...] = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else []),
)

#: Asks for a new beginning; None where there is no such signal, or no way to follow it.
RELOAD: signal.Signals | None = None if PORTABLE else signal.SIGHUP

#: How many seconds the main thread may wait at a time; None for ever. Where a signal does not end the wait for a lock,
#: its handler runs only in between.
TICK: float | None = 0.2 if PORTABLE else None


def heed_stops() -> Callable[[], None]:
    """From now on none of ``STOPS`` ends the process. To be called in the main thread, before it starts others.

    Returns:
        A function that waits for one of them, and returns at once if it has come already.
    """
    if not PORTABLE:
        # Blocked, they wait for whoever asks for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

        def take() -> None:
            signal.sigwait(STOPS)

        return take
    came: SimpleQueue[None] = SimpleQueue()
    for number in STOPS:
        signal.signal(number, lambda *_: came.put(None))
    return lambda: wait_for(came)


def wait_for(news: SimpleQueue[None]) -> None:
    """Wait until something is in a queue, into which signal handlers may put it, and take it out."""
    while True:
        try:
            return news.get(timeout=TICK)
        except Empty:
            pass


class LoopSignals:
    """A function called in an event loop for each signal of some, until ``end``. It belongs to the main thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, numbers: tuple[signal.Signals, ...], call: Callable[[], Any]):
        """They are listened for from now on.

        Args:
            loop: the running loop.
            numbers: the signals.
            call: what is called, in the loop.
        """
        self._loop = loop
        self._before = {number: signal.getsignal(number) for number in numbers}
        self._tick: asyncio.TimerHandle | None = None
        for number in numbers:
            if PORTABLE:
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))
            else:
                loop.add_signal_handler(number, call)
        if PORTABLE:
            self._wake_up()

    def end(self) -> None:
        """The signals mean again what they meant before."""
        if self._tick is not None:
            self._tick.cancel()
        for number, handler in self._before.items():
            if not PORTABLE:
                self._loop.remove_signal_handler(number)
            # None: it was not Python's, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _wake_up(self) -> None:
        """Not every loop is woken by a signal, and handlers run only when it is awake."""
        assert TICK is not None
        self._tick = self._loop.call_later(TICK, self._wake_up)
