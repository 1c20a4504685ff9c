"""A progress bar for messages: tqdm's where tqdm is installed, else a line that counts."""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds between two looks.
INTERVAL = 0.1


class Progress:
    """Shows, on standard error, how many of the messages that were given have been answered."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ModuleNotFoundError:
            self._bar: Any = _Line()
        else:
            self._bar = tqdm(unit=" msg", mininterval=INTERVAL)
        self._next = 0.0
        # Several threads may share a writer, and so its bar.
        self._lock = allocate_lock()

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return monotonic() >= self._next

    def show(self, given: int, answered: int) -> None:
        """Draw the bar anew.

        Args:
            given: how many messages there are so far.
            answered: how many of them the service has answered.
        """
        with self._lock:
            self._next = monotonic() + INTERVAL
            self._bar.total = given
            self._bar.update(answered - self._bar.n)

    def close(self, given: int, answered: int) -> None:
        """Draw the bar for the last time."""
        self.show(given, answered)
        self._bar.close()


class _Line:
    """As much of tqdm as a count needs."""

    def __init__(self) -> None:
        self.total = 0
        self.n = 0

    def update(self, more: int) -> None:
        import sys

        self.n += more
        print(f"\r{self.n:,} of {self.total:,} messages", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        import sys

        print(file=sys.stderr)
