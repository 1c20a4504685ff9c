"""When boto3's SQS clients are on the core, and from when on: botocore's functions have a seam for it (``seam.py``).

All clients have those functions, whatever class they are of and whoever made them, and whatever others put around
them. To take the seams out again restores botocore exactly. aiobotocore's clients have functions of their own, with
seams of their own.
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

#: The oldest botocore whose clients are put on the core: that of boto3 1.28.
OLDEST = (1, 31)
#: The oldest aiobotocore: that of aioboto3 15.5.
OLDEST_AWAITED = (2, 25)

_logger = logging.getLogger("turbosqs")


def patch() -> None:
    """Put boto3's own SQS clients on the Rust core, everywhere in this process and in children that it forks.

    Clients, resources and sessions made before are included, and so is a ``boto3.client`` that somebody imported by
    name; the same goes for aiobotocore's and aioboto3's. They stay boto3's objects; a call goes to the core unless
    somebody listens to it, see ``turbosqs.stats``. With a boto3 older than 1.28, or an aiobotocore older than 2.25,
    everything of it stays as it is, and a line in the log ``turbosqs`` says so.
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


class _Library:
    """One library's clients.

    Attributes:
        seams: where its calls leave it, once they have been found.
    """

    def __init__(
        self, module: str, client: str, oldest: tuple[int, int], words: tuple[str, str], settle: Callable[[], None]
    ) -> None:
        """Nothing is done yet.

        Args:
            module: has the class of its clients.
            client: the name of that class.
            oldest: the oldest version whose clients are put on the core.
            words: whose clients they are; and what they would need, where they are older.
            settle: what is done when the module is imported.
        """
        self._module = module
        self._client = client
        self._package = module.partition(".")[0]
        self._oldest = oldest
        self._words = words
        self._waiting = WhenImported(module, settle)
        # That this version's clients cannot be put on the core.
        self._is_told = False
        self.seams: Seams | None = None

    def is_imported(self) -> bool:
        """Whether somebody has imported it; if somebody is about to, once it is there."""
        if self._module not in sys.modules:
            return False
        from importlib import import_module

        if not hasattr(import_module(self._module), self._client):
            # This very thread is at its beginning, where it imports botocore.
            return False
        if not self._is_too_old():
            self._kind()
        return True

    def settle(self, is_imported: bool, is_wanted: bool) -> None:
        """Make what is done what is wanted."""
        self._waiting.stop()
        if not is_imported:
            if is_wanted:
                # In front of whatever has come meanwhile.
                self._waiting.wait()
            return
        if is_wanted:
            self.find()
        if self.seams is not None and is_wanted is not self.seams.is_patched:
            if is_wanted:
                self.seams.patch()
            else:
                self.seams.unpatch()

    def find(self) -> None:
        """Find the seams, the first time."""
        if self.seams is not None or self._is_told:
            return
        whose, needed = self._words
        if self._is_too_old():
            self._is_told = True
            version = sys.modules[self._package].__version__
            _logger.warning("%s SQS clients stay as they are: turbosqs needs %s %s", whose, needed, version)
            return
        try:
            self.seams = self._kind()(getattr(sys.modules[self._module], self._client))
        except LookupError as error:
            # Nothing that a program could do about it, and the library's own path is always good.
            self._is_told = True
            _logger.warning("%s SQS clients stay as they are: %s", whose, error)

    def _kind(self) -> type[Seams]:
        if self._package == "botocore":
            from .client import Seams

            return Seams
        from .awaited.client import AwaitedSeams

        return AwaitedSeams

    def _is_too_old(self) -> bool:
        version: str = sys.modules[self._package].__version__
        return tuple(int(part) for part in version.split(".")[:2]) < self._oldest


class _State:
    """What is wanted, and what is done about it."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._blocks = 0
        self._botocore = _Library(
            "botocore.client", "BaseClient", OLDEST, ("boto3's", "boto3 1.28 or newer, not botocore"), self.settle
        )
        self._aiobotocore = _Library(
            "aiobotocore.client",
            "AioBaseClient",
            OLDEST_AWAITED,
            ("aiobotocore's", "aiobotocore 2.25 or newer, not"),
            self.settle,
        )

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
        for library in (self._botocore, self._aiobotocore):
            # Imports may have to wait for another thread's, which may have to wait for our lock: so they come first.
            is_imported = library.is_imported()
            with lock():
                is_wanted = self.is_wanted or self._blocks > 0
                if is_wanted and needed and not is_imported and find_spec("botocore") is None:
                    self.is_wanted = False
                    _kombu.uninstall()
                    message = "patch() puts boto3's clients on the core and needs boto3: pip install boto3"
                    raise ModuleNotFoundError(message, name="botocore")
                library.settle(is_imported, is_wanted)

    def take(self, client: Any, make: Callable[[Any], CallPath] | None) -> CallPath | None:
        library = self._library(client)
        with lock():
            library.find()
            return None if library.seams is None else library.seams.take(client, make)

    def path(self, client: Any) -> CallPath | None:
        seams = self._library(client).seams
        return None if seams is None else seams.path(client)

    def stats(self, client: Any) -> dict[str, Any]:
        seams = self._library(client).seams
        if seams is None:
            raise TypeError("stats() of a client takes a patched one: call turbosqs.patch() first")
        return seams.stats(client)

    def _library(self, client: Any) -> _Library:
        awaited = getattr(sys.modules.get("aiobotocore.client"), "AioBaseClient", ())
        return self._aiobotocore if isinstance(client, awaited) else self._botocore


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


def path_of(client: Any) -> CallPath | None:
    """A patched client's call path; None if it is none of SQS, or its calls are the library's own."""
    return _state.path(client)


_state = _State()
