"""``Batching``: how overlapping calls share requests."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Batching:
    """How ``send_message``, ``delete_message`` and ``change_message_visibility`` calls share requests.

    A call that finds nothing in flight for its queue and action leaves at once. One that does waits until ten calls or
    1 MiB have come together, the last request in flight has returned, or ``linger`` is over.

    Attributes:
        linger: seconds.
        max_in_flight: requests.
        max_waiting: entries.
        max_waiting_bytes: bytes.
    """

    linger: float
    max_in_flight: int
    max_waiting: int
    max_waiting_bytes: int

    __slots__ = ("linger", "max_in_flight", "max_waiting", "max_waiting_bytes")

    def __init__(
        self,
        *,
        linger: float = 0.002,
        max_in_flight: int = 32,
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 64 << 20,
    ) -> None:
        """Check the figures and keep them.

        Args:
            linger: how long a call lingers while a request is in flight, in seconds, from 0 to 60.
            max_in_flight: requests on their way at a time, for each queue and action.
            max_waiting, max_waiting_bytes: how many entries, and how many bytes of them, may be unanswered before
                whoever does not wait for each answer (a ``batch_writer``, coroutines) has to wait.

        Raises:
            TypeError: an argument is no number.
            ValueError: a number out of range.
        """
        if isinstance(linger, bool) or not isinstance(linger, (int, float)):
            raise TypeError(f"linger must be a number of seconds, not {type(linger).__name__}")
        if not 0 <= linger <= 60:
            raise ValueError(f"linger must be from 0 to 60 seconds, not {linger!r}")
        keep = object.__setattr__
        keep(self, "linger", float(linger))
        keep(self, "max_in_flight", _count("max_in_flight", max_in_flight))
        keep(self, "max_waiting", _count("max_waiting", max_waiting))
        keep(self, "max_waiting_bytes", _count("max_waiting_bytes", max_waiting_bytes))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Batching does not change; make another one with {name}={value!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.linger, self.max_in_flight, self.max_waiting, self.max_waiting_bytes)

    def __repr__(self) -> str:
        return f"Batching({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batching) and as_argument(self) == as_argument(other)

    def __hash__(self) -> int:
        return hash(as_argument(self))


def _rebuild(linger: float, max_in_flight: int, max_waiting: int, max_waiting_bytes: int) -> Batching:
    return Batching(
        linger=linger, max_in_flight=max_in_flight, max_waiting=max_waiting, max_waiting_bytes=max_waiting_bytes
    )


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 < value < 1 << 48:
        raise ValueError(f"{name} must be 1 or more, not {value!r}")
    return value


def as_argument(batching: Batching | bool | None) -> tuple[float, int, int, int] | bool | None:
    """What the core takes.

    Raises:
        TypeError: neither a ``Batching`` nor a bool nor None.
    """
    if batching is None or isinstance(batching, bool):
        return batching
    if isinstance(batching, Batching):
        return batching.linger, batching.max_in_flight, batching.max_waiting, batching.max_waiting_bytes
    raise TypeError(f"batching must be a turbosqs.Batching or a bool, not {type(batching).__name__}")
