"""The metrics: the conventions' four, and what only this library has."""

from __future__ import annotations

from weakref import WeakKeyDictionary, WeakSet

from opentelemetry.metrics import Observation, get_meter

from .._lock import lock
from . import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .. import _core


class Instruments:
    """One meter's.

    Attributes:
        duration, sent, consumed, processed: the conventions'.
        entries, flushes, repeated: our own, told by the journal.
    """

    def __init__(self, version: str, meter_provider: Any, read: Callable[[], None]) -> None:
        """Make them.

        Args:
            version: ours.
            meter_provider: None for the global one.
            read: has the journals read before figures are taken.
        """
        self._clients: WeakSet[_core.Client] = WeakSet()
        self._pollers: WeakSet[_core.Poller] = WeakSet()
        self._read = read
        self._is_over = False
        # What pollers had given back when they were last looked at, and all that was given back so far.
        self._given_back: WeakKeyDictionary[_core.Poller, int] = WeakKeyDictionary()
        self._given_back_so_far = 0
        meter = get_meter("turbosqs", version, meter_provider)

        def histogram(name: str, unit: str, description: str, bounds: tuple[float, ...]) -> Any:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)

        self.duration = histogram(
            names.OPERATION_DURATION,
            "s",
            "Duration of sends, receives and settlements.",
            names.SECONDS,
        )
        self.processed = histogram(names.PROCESS_DURATION, "s", "Duration of consumers' handlers.", names.SECONDS)
        self.sent = meter.create_counter(names.SENT_MESSAGES, "{message}", "Messages that were to be sent.")
        self.consumed = meter.create_counter(
            names.CONSUMED_MESSAGES, "{message}", "Messages that were handed to the application."
        )
        self.entries = histogram(
            names.REQUEST_ENTRIES,
            "{entry}",
            "Calls in a request that they may share.",
            tuple(map(float, range(1, 11))),
        )
        self.flushes = meter.create_counter(
            names.FLUSHES, "{request}", "Requests that calls may share, by why they left when they did."
        )
        self.repeated = meter.create_counter(
            names.ATTEMPTS_REPEATED, "{attempt}", "Attempts that were made again, of requests and of calls in them."
        )
        meter.create_observable_up_down_counter(
            names.IN_FLIGHT, [self._in_flight], "{request}", "Requests in flight that calls may share."
        )
        meter.create_observable_counter(
            names.GIVEN_BACK, [self._all_given_back], "{message}", "Messages that were returned without being handled."
        )
        meter.create_observable_gauge(
            names.OLDEST_IN_HAND, [self._oldest], "s", "Since when the oldest message in hand has been there."
        )

    def end(self) -> None:
        """There is nothing to be observed any more."""
        self._is_over = True
        with lock():
            self._clients.clear()
            self._pollers.clear()

    def has(self, core: _core.Client) -> bool:
        """Whether a client's requests in flight are counted."""
        return core in self._clients

    def add_client(self, core: _core.Client) -> None:
        """Count a client's requests in flight from now on."""
        with lock():
            self._clients.add(core)

    def add_poller(self, poller: _core.Poller) -> None:
        """Count what becomes of a poller's messages from now on."""
        with lock():
            self._pollers.add(poller)

    def clients(self) -> list[_core.Client]:
        """Whose requests in flight are counted, at this moment: other threads go on making some."""
        with lock():
            return list(self._clients)

    def pollers(self) -> list[_core.Poller]:
        """Whose messages are counted, at this moment."""
        with lock():
            return list(self._pollers)

    def _in_flight(self, _: object) -> Iterator[Observation]:
        if self._is_over:
            return
        self._read()
        yield Observation(sum(core.in_flight for core in self.clients()), {names.SYSTEM: names.SQS})

    def _all_given_back(self, _: object) -> Iterator[Observation]:
        if self._is_over:
            return
        for poller in self.pollers():
            self.look(poller)
        yield Observation(self._given_back_so_far, {names.SYSTEM: names.SQS})

    def look(self, poller: _core.Poller) -> None:
        """Count what a poller has given back since it was last looked at."""
        with lock():
            given_back = _stats(poller).get("given_back", 0)
            self._given_back_so_far += given_back - self._given_back.get(poller, 0)
            self._given_back[poller] = given_back

    def _oldest(self, _: object) -> Iterator[Observation]:
        ages: dict[str, float] = {}
        for poller in self.pollers():
            if stats := _stats(poller):
                queue = poller.queue_url
                ages[queue] = max(ages.get(queue, 0.0), stats["oldest_in_hand"])
        for queue, age in ages.items():
            yield Observation(age, {names.SYSTEM: names.SQS, names.DESTINATION: queue_name(queue)})


def _stats(poller: _core.Poller) -> dict[str, Any]:
    try:
        return dict(poller.stats())
    except RuntimeError:
        # The parent's, in a forked child.
        return {}


def queue_name(url: str) -> str:
    """The name of a queue, of its URL."""
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]
