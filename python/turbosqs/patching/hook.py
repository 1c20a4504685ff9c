"""When boto3's SQS clients are on the core, and from when on: botocore's functions have a seam for it (``seam.py``).

All clients have those functions, whatever class they are of and whoever made them, and whatever others put around
them. To take the seams out again restores botocore exactly. aiobotocore's clients have functions of their own: they are
left alone.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from importlib.util import find_spec

from .. import _kombu
from .._lock import lock
from .._when_imported import WhenImported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .call_path import CallPath
    from .client import Seams

_MODULE = "botocore.client"

#: The oldest botocore whose clients are put on the core: that of boto3 1.28.
OLDEST = (1, 31)

_logger = logging.getLogger("turbosqs")


def patch() -> None:
    """Put boto3's own SQS clients on the Rust core, everywhere in this process and in children that it forks.

    Clients, resources and sessions made before are included, and so is a ``boto3.client`` that somebody imported by
    name. They stay boto3's objects; a call goes to the core unless somebody listens to it, see ``turbosqs.stats``.
    With a boto3 older than 1.28 everything stays as it is, and a line in the log ``turbosqs`` says so.
    Needs boto3 or botocore installed, but imports neither: what is imported later is patched then. Patching twice is
    patching once.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    _state.is_wanted = True
    _state.settle()


def unpatch() -> None:
    """Put everything back as it was before ``patch``; calls that are under way are finished.

    Within a ``with patched():`` block, that is when the block ends.
    """
    _state.is_wanted = False
    _state.settle()


@contextmanager
def patched() -> Iterator[None]:
    """``with turbosqs.patched():`` patches for as long as the block lasts. Blocks may overlap and nest.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    _state.enter(1)
    try:
        yield
    finally:
        _state.enter(-1)


def patch_when_imported() -> None:
    """``patch`` for a process that may never use boto3, and may not even have it."""
    _state.is_wanted = True
    _state.settle(needed=False)


class _State:
    """What is wanted, and what is done about it."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._blocks = 0
        self._waiting = WhenImported(_MODULE, self.settle)
        self._seams: Seams | None = None
        # That this botocore's clients cannot be put on the core.
        self._is_told = False

    def enter(self, blocks: int) -> None:
        with lock():
            self._blocks += blocks
        try:
            self.settle()
        except ModuleNotFoundError:
            with lock():
                self._blocks -= blocks
            raise

    def settle(self, needed: bool = True) -> None:
        """Make what is done what is wanted."""
        (_kombu.install if self.is_wanted or self._blocks > 0 else _kombu.uninstall)()
        # Imports may have to wait for another thread's, which may have to wait for our lock: so they come first.
        client = _imported_client()
        if client is None:
            with lock():
                is_wanted = self.is_wanted or self._blocks > 0
                if is_wanted and needed and find_spec("botocore") is None:
                    self.is_wanted = False
                    _kombu.uninstall()
                    message = "patch() puts boto3's clients on the core and needs boto3: pip install boto3"
                    raise ModuleNotFoundError(message, name="botocore")
                self._waiting.stop()
                if is_wanted:
                    # In front of whatever has come meanwhile.
                    self._waiting.wait()
            return
        if _is_too_old():
            with lock():
                self._waiting.stop()
                if (self.is_wanted or self._blocks > 0) and not self._is_told:
                    self._is_told = True
                    message = (
                        "boto3's SQS clients stay as they are: turbosqs needs boto3 1.28 or newer, not botocore %s"
                    )
                    _logger.warning(message, sys.modules["botocore"].__version__)
            return
        # Imported here, as above.
        from . import client as _  # noqa: F401

        with lock():
            self._waiting.stop()
            is_wanted = self.is_wanted or self._blocks > 0
            if is_wanted:
                self._find()
            if self._seams is not None and is_wanted is not self._seams.is_patched:
                if is_wanted:
                    self._seams.patch()
                else:
                    self._seams.unpatch()

    def _find(self) -> None:
        """Find the seams, the first time."""
        from .client import Seams

        if self._seams is None and not self._is_told:
            try:
                self._seams = Seams()
            except LookupError as error:
                # Nothing that a program could do about it, and botocore's path is always good.
                self._is_told = True
                _logger.warning("boto3's SQS clients stay as they are: %s", error)

    def take(self, client: Any, make: Callable[[Any], CallPath] | None) -> CallPath | None:
        with lock():
            self._find()
            return None if self._seams is None else self._seams.take(client, make)

    def stats(self, client: Any) -> dict[str, Any]:
        if self._seams is None:
            raise TypeError("stats() of a client takes a patched one: call turbosqs.patch() first")
        return self._seams.stats(client)


def take(client: Any, make: Callable[[Any], CallPath] | None = None) -> CallPath | None:
    """Put one client of botocore's on the core, whether or not all are.

    Args:
        client: a client of SQS.
        make: makes its call path; None for a patched client's.

    Returns:
        The call path; None if this botocore has no seam.
    """
    return _state.take(client, make)


def of_client(client: Any) -> dict[str, Any]:
    """How many of a patched client's calls went which way, and what its core counts."""
    return _state.stats(client)


def _imported_client() -> Any:
    """``botocore.client`` if somebody has imported it; if somebody is about to, once it is there."""
    if _MODULE not in sys.modules:
        return None
    from importlib import import_module

    return import_module(_MODULE)


def _is_too_old() -> bool:
    version: str = sys.modules["botocore"].__version__
    return tuple(int(part) for part in version.split(".")[:2]) < OLDEST


_state = _State()
