"""``keep_invisible``: messages that a program has received by itself stay its own while it handles them."""

from __future__ import annotations

import os
import threading
from typing import TypedDict

from ._core import Failure
from ._core import Keeper as Core
from ._green import waits_of
from .consuming import logs
from .consuming.functions import check, check_done
from .consuming.workers import keeps
from .errorfactory import exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, NoReturn

    from typing_extensions import Self

    from . import _core


class KeeperStats(TypedDict):
    """What a keeper has done so far, and what it keeps now."""

    held: int
    """Messages that are to be kept invisible now, lost ones included as long as they are not removed."""
    extended: int
    """Extensions of a message's visibility timeout."""
    lost: int
    """Messages whose visibility timeout ran out although they were to be kept: others may have received them."""


class BaseKeeper:
    """The part that the sync and the asyncio keeper have in common."""

    #: Whether it awaits what its hook returns.
    _awaits = False

    def __init__(
        self,
        core: _core.Client,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str | Iterable[str] = (),  # noqa: N803
        VisibilityTimeout: int | None = None,  # noqa: N803
        on_lost: Callable[[str, Exception], Any] | None = None,
    ) -> None:
        """Check the arguments; nothing is sent before there is something to keep.

        Args:
            core: what sends.
            QueueUrl, ReceiptHandle, VisibilityTimeout, on_lost: see ``SQS.keep_invisible``.

        Raises:
            TypeError, ValueError: as there.
        """
        if not isinstance(QueueUrl, str):
            raise TypeError(f"QueueUrl must be a str, not {type(QueueUrl).__name__}")
        if VisibilityTimeout is not None:
            if isinstance(VisibilityTimeout, bool) or not isinstance(VisibilityTimeout, int):
                raise TypeError(f"VisibilityTimeout must be an int, not {type(VisibilityTimeout).__name__}")
            if not 1 <= VisibilityTimeout <= 43_200:
                raise ValueError(f"VisibilityTimeout must be from 1 to 43200, not {VisibilityTimeout!r}")
        if on_lost is not None:
            check("on_lost", on_lost, awaits=self._awaits)
        self._url = QueueUrl
        self._on_lost = on_lost
        self._pid = os.getpid()
        self._client: Any = None
        try:
            self._core = Core(core, QueueUrl, VisibilityTimeout, on_lost is not None)
        except Failure as failure:
            error: Exception | None = exception(failure)
        else:
            error = None
        if error is not None:
            raise error
        keeps(self)
        for handle in (ReceiptHandle,) if isinstance(ReceiptHandle, str) else ReceiptHandle:
            self.add(handle)

    def add(self, receipt_handle: str, *, age: float | None = None) -> None:
        """Keep a message invisible from now on, as long as it is not removed. One that is kept already is passed over.

        Args:
            receipt_handle: its receipt handle.
            age: how many seconds ago the ``receive_message`` was *called* that brought it, with the VisibilityTimeout
                that this keeper has: then it is extended when half of that is over, and not at all if it is removed
                before. None: not known, so it is extended at once.

        Raises:
            TypeError, ValueError: an argument is not as described above.
            RuntimeError: the keeper is closed, or belongs to another process.
        """
        if not isinstance(receipt_handle, str):
            raise TypeError(f"a receipt handle must be a str, not {type(receipt_handle).__name__}")
        if age is not None:
            if isinstance(age, bool) or not isinstance(age, (int, float)):
                raise TypeError(f"age must be a number, not {type(age).__name__}")
            if not age >= 0:
                raise ValueError(f"age must be 0 or more, not {age!r}")
        self._core.add(receipt_handle, age)

    def remove(self, receipt_handle: str) -> bool:
        """Keep a message no longer. It is neither deleted nor made visible: that is for who handles it to say.

        Args:
            receipt_handle: its receipt handle.

        Returns:
            Whether it is still ours. If not, it was lost, or was not kept by this keeper.

        Raises:
            RuntimeError: the keeper belongs to another process.
        """
        return self._core.remove(receipt_handle)

    def is_lost(self, receipt_handle: str) -> bool:
        """Whether a message could not be kept: others may receive it, or have it already.

        There is no use in going on with it then, nor in deleting it. ``turbosqs.lease_lost(message)`` says the same.

        Args:
            receipt_handle: its receipt handle.

        Raises:
            RuntimeError: the keeper belongs to another process.
        """
        return self._core.is_lost(receipt_handle)

    def stats(self) -> KeeperStats:
        """What has been done so far, and how much is kept now.

        Raises:
            RuntimeError: the keeper belongs to another process.
        """
        stats: Any = self._core.stats()
        return stats  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self.stats()["held"]

    def __bool__(self) -> bool:
        # One that keeps nothing at the moment is one all the same.
        return True

    def __repr__(self) -> str:
        name = f"{type(self).__module__}.{type(self).__name__}"
        if self._pid != os.getpid():
            return f"<{name} of {self._url}: of another process>"
        held, extended, lost = self.stats().values()
        state = "closed" if self._core.is_closed else f"{held} held, {extended} extended, {lost} lost"
        return f"<{name} of {self._url}: {state}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        from pickle import PicklingError

        raise PicklingError("Can't pickle what keeps messages invisible: make one where they are handled")

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and self._pid == os.getpid():
            core.close()


def lost(core: Core) -> list[tuple[str, Exception]]:
    """What a keeper of the core's has lost and not told: receipt handles and errors."""
    return [(handle, exception(error) if isinstance(error, Failure) else error) for handle, error in core.take_lost()]


class Keeper(BaseKeeper):
    """Keeps messages invisible for those who handle them; ``client.keep_invisible`` makes one.

    It is a context manager; its methods may be called from any thread, and wait for nothing.
    """

    def __init__(self, core: _core.Client, **arguments: Any) -> None:
        """See ``SQS.keep_invisible``."""
        super().__init__(core, **arguments)
        if self._on_lost is not None:
            waits = waits_of(core, self._core)
            arguments = {"target": _watch, "args": (waits, self._core, self._on_lost), "name": "turbosqs-keeper"}
            threading.Thread(daemon=True, **arguments).start()

    def close(self) -> None:
        """Keep nothing any more. Nothing is given back: what was kept comes back when its time is over.

        In a forked child it does nothing.
        """
        if self._pid == os.getpid():
            self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _watch(waits: Any, core: Core, on_lost: Callable[[str, Exception], Any]) -> None:
    """Tell of what is lost until the keeper is closed."""
    watched = True
    while watched:
        watched = waits.watch()
        for handle, error in lost(core):
            try:
                check_done("on_lost", on_lost(handle, error), awaits=False)
            except Exception:  # noqa: BLE001 (it is logged)
                logs.hook_failed("on_lost")
