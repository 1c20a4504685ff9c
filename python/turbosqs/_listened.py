"""Calls of a client that somebody listens to: which they are, and who makes them."""

from __future__ import annotations

from . import _watching
from ._green import find_select
from ._lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import _core
    from ._delegate import Delegate

#: What goes from a writer, a keeper or a poller to SQS without a call of the client in between.
WRITTEN = (
    "SendMessage",
    "SendMessageBatch",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
)
KEPT = ("ChangeMessageVisibility", "ChangeMessageVisibilityBatch")
POLLED = ("ReceiveMessage", "DeleteMessage", "DeleteMessageBatch", *KEPT)


class Listened:
    """One client's, the asyncio client's on it included.

    Attributes:
        delegate: botocore's client behind it, once there is one.
        is_owned: the delegate was there from the beginning, and its settings and credentials are the core's.
        counts: how many calls went by way of botocore, by the reason; the keys are those of ``turbosqs.stats``.
    """

    def __init__(
        self,
        core: _core.Client,
        arguments: dict[str, Any],
        config: Any,
        events: Any,
        delegate: Delegate | None,
    ) -> None:
        """Know what the delegate would be made from.

        Args:
            core: what makes the calls that nobody listens to.
            arguments, config, events: what the delegate is made from; see ``turbosqs._delegate.make``.
            delegate: the delegate, if it is there from the beginning.
        """
        self.delegate = delegate
        self.counts: dict[str, int] = {}
        self.is_owned = delegate is not None
        self._is_put_on = False
        self._core = core
        self._arguments = arguments
        self._config = config
        self._events = events

    def make(self, wanted: str) -> Delegate:
        """The delegate.

        Args:
            wanted: what it is for, to be named if there is no botocore.

        Raises:
            ModuleNotFoundError: botocore is not installed.
        """
        if self.delegate is None:
            from . import _delegate

            with lock():
                if self.delegate is None:
                    self.delegate = _delegate.make(self._core, self._arguments, self._config, self._events, wanted)
        return self.delegate

    def delegate_for(self, operation_name: str, hand_over: bool = True, presigning: bool = False) -> Delegate | None:
        """Who makes a call instead of the core; None if nobody would miss it.

        Args:
            operation_name: the API's name.
            hand_over: whether the core is to get the credentials that it signs with, if they are botocore's.
            presigning: the call is one for a presigned URL, which instrumentation tools do not trace.

        Raises:
            What botocore's credentials raise when they are refreshed.
        """
        way = self._way(operation_name)
        if way is not None and not (way == "traced" and presigning):
            with lock():
                self.counts[way] = self.counts.get(way, 0) + 1
                if way == "traced" and self.delegate is not None and not self._is_put_on:
                    self._is_put_on = True
                    self.delegate.put_on(self._core)
            return self.delegate
        if hand_over and self.delegate is not None:
            self.delegate.hand_over(self._core)
        return None

    def _way(self, operation_name: str) -> str | None:
        """Why a call has to be made by the delegate, which there is from then on."""
        way = _watching.way()
        if way == "sockets" and find_select() is not None:
            # Greenlets' sockets are Python's but for how they wait, and that the core's calls do as well.
            way = None
        if way is None and self.delegate is None:
            return None
        try:
            return self.make(operation_name).way(operation_name)
        except ModuleNotFoundError:
            if way != "sockets":
                raise
            # Nothing but the core can make calls here.
            return None

    def core(self, wanted: str, operation_names: tuple[str, ...]) -> _core.Client:
        """The core, for what makes calls of its own without coming here.

        Args:
            wanted: what it is for.
            operation_names: what it may call.

        Raises:
            RuntimeError: somebody listens who would miss those calls: a mock, a stub, a handler.
        """
        for operation_name in operation_names:
            way = self._way(operation_name)
            if way is not None:
                refuse(wanted, way)
        if self.delegate is not None:
            self.delegate.hand_over(self._core)
            self.delegate.keep_handing_over(self._core)
        return self._core


#: Who listens, by the way of a call.
_LISTENERS = {
    "events": "a handler of one of its events",
    "history": "botocore's history recorder",
    "moto": "moto's mock_aws",
    "settings": "an event emitter that is not botocore's",
    "sockets": "what has replaced Python's sockets",
    "stubber": "the active Stubber",
    "wrapped": "the mock of botocore's functions",
}


def refuse(wanted: str, way: str, is_passed_on: Callable[[], bool] | None = None) -> None:
    """Refuse what sends without calls of the client, unless whoever has replaced something lets calls through, as
    instrumentation does and a mock does not.

    Args:
        wanted: what it is.
        way: why calls would not go to the core, in the words of ``turbosqs.stats``.
        is_passed_on: whether all that was replaced still leads to what it replaced; None: botocore's functions.

    Raises:
        RuntimeError: somebody listens who would miss those calls.
    """
    kind = way.partition(":")[0]
    if kind == "traced":
        return
    if kind in ("wrapped", "sockets"):
        from .patching import listeners

        if (is_passed_on or listeners.is_passed_on)():
            return
    raise RuntimeError(
        f"{wanted} sends from the Rust core, where {_LISTENERS[kind]} hears nothing of it: in tests use "
        "turbosqs.local.Server or moto's server, or call the client's own methods"
    )
