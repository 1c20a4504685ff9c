"""``poll_messages``: the messages of a queue as an iterator, fed by as many long polls as the queue can fill."""

from __future__ import annotations

import os
from time import time_ns
from weakref import WeakKeyDictionary

from ._core import Failure, Poller, is_fifo, masked_url
from ._green import waits_of
from ._lock import lock
from .errorfactory import exception
from .telemetry import switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, NoReturn

    from typing_extensions import Self

    from . import _core
    from .telemetry.recorder import Recorder
    from .types import Message

#: How long closing waits for what is under way, in seconds: polls have one of them, the rest is for giving back.
TIMEOUT = 5.0

#: The VisibilityTimeout that messages are received with while the queue does not say what its own is, in seconds.
UNKNOWN = 30

#: What ``poll_messages`` takes beside ReceiveMessage's own arguments, as it is when it is not given.
DEFAULTS: dict[str, Any] = {
    "max_messages": None,
    "idle_timeout": None,
    "min_life": 0.5,
    "max_buffered": 100,
    "max_buffered_bytes": 16 << 20,
}

#: The arguments of ReceiveMessage that make sense for many of them.
_RECEIVE = frozenset(
    {
        "QueueUrl",
        "AttributeNames",
        "MessageSystemAttributeNames",
        "MessageAttributeNames",
        "VisibilityTimeout",
        "WaitTimeSeconds",
    }
)


class Messages:
    """The messages of a queue, one after another; ``client.poll_messages`` makes one.

    It is an iterator and a context manager. Several threads may share it. When the loop over it ends, however it ends,
    what was fetched and not handed over goes back to the queue at once; with ``next()`` alone, that is what
    ``close()``, or leaving the ``with`` block, is for.
    """

    def __init__(self, core: _core.Client, arguments: dict[str, Any]) -> None:
        """Check the arguments; nothing is sent before the first message is asked for.

        Args:
            core: what sends.
            arguments: those of ``poll_messages``.

        Raises:
            TypeError, ValueError, ParamValidationError: as ``poll_messages``.
        """
        # Of the object itself, not of the class: it is looked at with each message.
        self._recorder: Recorder | None = None
        self._made_with = core
        self._core, self._params = make_poller(core, arguments)
        self._waits = waits_of(core, self._core)
        self._pid = os.getpid()

    def _record(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        ask(self._made_with, self._core, self._params, recorder)
        if recorder is not None:
            recorder.consumes(self._made_with, self._core)

    def _begin(self) -> int:
        """When somebody begins to wait, if that is to be recorded."""
        return 0 if self._recorder is None else time_ns()

    def _hand_over(self, message: Message, began: int) -> None:
        """A message is there that somebody has waited for since then; whether it is recorded may have changed."""
        recorder = self._recorder
        if recorder is not None:
            recorder.received(self._made_with, self._params["QueueUrl"], began or time_ns(), [message])

    def __iter__(self) -> Iterator[Message]:
        began = self._begin()
        try:
            for message in self._waits:
                if self._recorder is None:
                    yield message
                    began = 0
                else:
                    self._hand_over(message, began)
                    yield message
                    began = self._begin()
        except Failure as failure:
            error: Exception | None = exception(failure)
        else:
            error = None
        finally:
            self.close()
        if error is not None:
            raise error

    def __next__(self) -> Message:
        began = self._begin()
        try:
            message: Message = next(self._waits)
        except StopIteration:
            self.close()
            raise
        except Failure as failure:
            error = exception(failure)
        else:
            self._hand_over(message, began)
            return message
        self.close()
        raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop polling and give back what was not handed over.

        Polls under way have a second to come back, so that nothing they bring is lost from sight; it waits for them,
        and for the service to have taken everything back, five seconds at most. In a forked child it does nothing.
        """
        switch.unfollow(self)
        if self._pid == os.getpid():
            self._core.close()
            self._waits.quiet(TIMEOUT)

    def stats(self) -> _core.PollerStats:
        """What has happened so far.

        Returns:
            ``received``, ``handed_over``, ``given_back``, ``extended`` and ``lost`` count messages so far (``lost``:
            whose time ran out before they were handed over, so that somebody will receive them again); ``buffered``
            messages wait and ``polls`` are under way at this moment.
        """
        return self._core.stats()

    def __repr__(self) -> str:
        stats = self.stats()
        counts = f"{stats['handed_over']} handed over, {stats['buffered']} buffered, {stats['polls']} polls under way"
        return f"<{type(self).__module__}.Messages of {self._core.queue_url}: {counts}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        from pickle import PicklingError

        raise PicklingError("Can't pickle the messages of a queue: they are under way. Poll where they are used")


def make_poller(core: _core.Client, arguments: dict[str, Any], **tracked: Any) -> tuple[Poller, dict[str, Any]]:
    """A poller of the core from what a user has said, and what it asks for in ReceiveMessage's terms.

    Args:
        core: what sends.
        arguments: ReceiveMessage's, and those of ``DEFAULTS``.
        tracked: ``ahead``, ``rate``, ``batch_size``, ``batch_window`` of a consumer.

    Raises:
        TypeError, ValueError, ParamValidationError: an argument is not as documented.
    """
    for name in arguments.keys() - _RECEIVE - DEFAULTS.keys():
        raise TypeError(f"there is no argument {name!r}")
    params = {name: value for name, value in arguments.items() if name in _RECEIVE and value is not None}
    own = {**DEFAULTS, **{name: value for name, value in arguments.items() if name in DEFAULTS}}
    _whole("VisibilityTimeout", params.get("VisibilityTimeout"), 1 if tracked else 0, 43_200)
    _whole("WaitTimeSeconds", params.get("WaitTimeSeconds"), 0, 20)
    if is_fifo(str(params.get("QueueUrl", ""))):
        with_attribute(params, "MessageGroupId")
    count("max_messages", own["max_messages"], least=0, optional=True)
    number("idle_timeout", own["idle_timeout"], optional=True)
    number("min_life", own["min_life"], most=0.9)
    count("max_buffered", own["max_buffered"])
    count("max_buffered_bytes", own["max_buffered_bytes"])
    rest = tracked or {"ahead": 10, "rate": None, "batch_size": None, "batch_window": 0.0}
    try:
        poller = Poller(core, params, tracked=bool(tracked), **own, **rest)
    except Failure as failure:
        error = exception(failure)
    else:
        track(poller)
        return poller, params
    raise error


def ask(core: _core.Client, poller: Poller, params: dict[str, Any], recorder: Recorder | None) -> None:
    """Have messages come with what links them to their senders if they are recorded, and as they were asked for if not.

    Args:
        core: what the poller was made with.
        poller: a poller.
        params: what ``make_poller`` says that it asks for.
        recorder: what records its messages from now on; None: nothing.
    """
    poller.ask_for(core, params if recorder is None else recorder.asking(params))


def tell(url: str, errors: list[tuple[Any, Any, Exception]]) -> None:
    """Log what a loop has nobody to be told of: that the queue does not say what its visibility timeout is.

    Args:
        url: the queue's.
        errors: as ``_core.Poller.take`` gives them.
    """
    from logging import getLogger

    for _, _, failure in errors:
        error = exception(failure) if isinstance(failure, Failure) else failure
        getLogger("turbosqs.polling").warning(
            "%s: its VisibilityTimeout cannot be asked for, so messages are received with VisibilityTimeout=%d. "
            "Give VisibilityTimeout, or permit sqs:GetQueueAttributes. %s: %s",
            masked_url(url),
            UNKNOWN,
            type(error).__name__,
            error,
        )


def with_attribute(params: dict[str, Any], name: str) -> None:
    """Have messages come with a system attribute, besides those that were asked for."""
    wanted = params.get("MessageSystemAttributeNames") or []
    asked = [*wanted, *(params.get("AttributeNames") or [])] if isinstance(wanted, (list, tuple)) else ["All"]
    if "All" not in asked and name not in asked:
        params["MessageSystemAttributeNames"] = [*wanted, name]


def count(name: str, value: Any, least: int = 1, optional: bool = False) -> None:
    """Check a whole number.

    Raises:
        TypeError: it is none.
        ValueError: it is below ``least``.
    """
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value < 1 << 48:
        raise ValueError(f"{name} must be {least} or more, not {value!r}")


def number(name: str, value: Any, most: float = 1e9, optional: bool = False, above: bool = False) -> None:
    """Check a number that need not be whole.

    Raises:
        TypeError: it is none.
        ValueError: it is below 0 (or is 0, if it has to be ``above``), or more than ``most``.
    """
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not 0 <= value <= most or (above and value == 0):
        limits = f"above 0 and at most {most:g}" if above else f"from 0 to {most:g}"
        raise ValueError(f"{name} must be {limits}, not {value!r}")


def _whole(name: str, value: Any, least: int, most: int) -> None:
    # What is no int is ParamValidationError's to tell.
    if isinstance(value, int) and not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value!r}")


#: What is to be closed when the interpreter ends, and the process that it belongs to.
_open: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def track(closes: Any) -> None:
    """See to it that something is closed before the interpreter ends: a poller, or who takes from one."""
    with lock():
        if not _open:
            import atexit

            atexit.unregister(_close_all)
            atexit.register(_close_all)
        _open[closes] = os.getpid()


def _close_all() -> None:
    from contextlib import ExitStack

    # Daemons may go on opening some.
    with lock():
        mine = [closes for closes, pid in _open.items() if pid == os.getpid()]
    pollers = [poller for poller in mine if isinstance(poller, Poller)]
    # All of them first: nobody fetches more while another drains.
    for poller in pollers:
        poller.close()
    with ExitStack() as stack:
        # From the last to the first, each even if another raises.
        for poller in pollers:
            stack.callback(poller.quiet, TIMEOUT)
        for poller in pollers:
            stack.callback(poller.abandon)
        for closes in mine:
            stack.callback(closes.close)
