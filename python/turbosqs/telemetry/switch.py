"""Whether calls of clients are recorded, and by whom.

A class has its plain way of making a call, or of handing a message over, as long as nobody wants any recorded, and
another one then: what nobody has asked for costs nothing. This module imports nothing of OpenTelemetry.
"""

from __future__ import annotations

import os

from .._lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol
    from weakref import WeakKeyDictionary

    from .recorder import Recorder

    class _Follower(Protocol):
        """Something that does more than calls."""

        _recorder: Recorder | None

        def _record(self, recorder: Recorder | None) -> None:
            """Be recorded from now on; None: not any more."""


#: The tag of calls that nobody is to be told of: those of an exporter, for one.
UNTOLD = (1 << 64) - 1

#: What records all clients.
_general: Recorder | None = None

#: What records clients made with ``telemetry=True`` where nothing records all.
_single: Recorder | None = None

#: Classes and names of methods, each with the plain one and the one that records.
_methods: list[tuple[Any, str, Callable[..., Any], Callable[..., Any]]] = []


#: Writers, iterators and consumers, each with its client; None before there are any.
_followers: WeakKeyDictionary[_Follower, Any] | None = None


def follow(follower: _Follower, client: Any) -> None:
    """Have a writer, an iterator or a consumer recorded for as long as its client is."""
    global _followers
    # Here: the first client would take noticeably longer with it.
    from weakref import WeakKeyDictionary

    with lock():
        if _followers is None:
            _followers = WeakKeyDictionary()
        _followers[follower] = client
        _tell(follower, client)


def unfollow(follower: _Follower) -> None:
    """It has come to its end."""
    with lock():
        if _followers is not None:
            _followers.pop(follower, None)


def take_part(cls: Any, recorded: Callable[..., Any], name: str = "_make_api_call") -> None:
    """Have a method of a class switched with the others.

    Args:
        cls: the class.
        recorded: the method while calls are recorded.
        name: the method's.
    """
    with lock():
        _methods.append((cls, name, getattr(cls, name), recorded))
        _settle()


def make(tracer_provider: Any = None, meter_provider: Any = None, process_as_child: bool = False) -> Recorder:
    """What records.

    Raises:
        ModuleNotFoundError: OpenTelemetry's API is not installed.
    """
    try:
        from .recorder import Recorder
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        message = "telemetry is OpenTelemetry's, whose API is not installed: pip install opentelemetry-api"
        raise ModuleNotFoundError(message, name=error.name) from None
    return Recorder(tracer_provider, meter_provider, process_as_child)


def turn_on(recorder: Recorder) -> None:
    """Record all clients."""
    global _general
    before = _general
    if before is not None:
        # First, since it ends the journals that the other will keep.
        before.end()
    with lock():
        _general = recorder
        _settle()


def turn_off() -> None:
    """Record no client but those that want to be, each by itself."""
    global _general
    with lock():
        before, _general = _general, None
        _settle()
    if before is not None:
        before.end()


def choose(client: Any, telemetry: bool | None) -> None:
    """Have a client recorded or not, whatever holds for others.

    Args:
        client: a new one.
        telemetry: None: as others are.

    Raises:
        TypeError: neither a bool nor None.
        ModuleNotFoundError: OpenTelemetry's API is not installed.
    """
    global _single
    if telemetry is None:
        return
    if not isinstance(telemetry, bool):
        raise TypeError(f"telemetry must be a bool or None, not {type(telemetry).__name__}")
    if telemetry:
        with lock():
            _single = _single or make()
            _settle()
    client._telemetry = telemetry


def recorder_of(client: Any) -> Recorder | None:
    """What records a client; None if nothing does."""
    wanted = client._telemetry
    if wanted is False:
        return None
    return _general or (_single if wanted else None)


def _settle() -> None:
    is_on = _general is not None or _single is not None
    for cls, name, plain, recorded in _methods:
        setattr(cls, name, recorded if is_on else plain)
    for follower, client in () if _followers is None else list(_followers.items()):
        _tell(follower, client)


def _tell(follower: _Follower, client: Any) -> None:
    recorder = recorder_of(client)
    if follower._recorder is not recorder:
        follower._record(recorder)


def _after_fork_in_child() -> None:
    global _followers
    # They are the parent's.
    _followers = None
    for recorder in (_general, _single):
        if recorder is not None:
            recorder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
