"""What the core has to say, handed to Python's loggers: ``turbosqs``, ``turbosqs.retry`` and ``turbosqs.credentials``.

The core's threads have no interpreter, so its records wait in the core. While a logger wants DEBUG, or a consumer
runs, a thread comes for them. Warnings are rare, and no reason to have a thread: the next call finds that one waits.
Before a call raises, all that waits is logged, so that the attempts stand before their exception. In greenlets, where a
thread would have all of them wait, it is logged after each call.

A program that has not imported ``logging`` has set no level, and is spared that: it would be most of the time that the
first client takes.

Whether a level is on is not asked with each record: Python's loggers remember their answers, and forget them whenever
any level changes (``setLevel``, ``logging.disable``). The moment they forget is the moment to tell the core.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys

from ._core import open_log, set_log_level, take_log_records, wait_for_log_records
from ._lock import lock
from ._when_imported import WhenImported

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    import threading
    from typing import Any

#: Those that the core writes to.
LOGGERS = ("turbosqs", "turbosqs.retry", "turbosqs.credentials")

#: Above every level.
_NEVER = 255

#: How long a thread waits for another that is at it, in seconds: records come before the exception that they explain,
#: and still a handler that makes calls of its own cannot stop the world.
_PATIENT = 1.0


class _Answers(dict[int, bool]):
    """What a logger remembers: whether it is enabled for a level."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def clear(self) -> None:
        """Some level has changed."""
        super().clear()
        _settle(self._logger)


class _Reader:
    """Who takes the records, one at a time, and the thread that does so by itself.

    ``threading`` is imported for that thread, since most programs have none, and it would be a third of the time that
    the first client takes.
    """

    def __init__(self) -> None:
        self.lock = _thread.allocate_lock()
        # The thread that has the lock.
        self.owner: int | None = None
        self.thread: threading.Thread | None = None
        # The loggers that want DEBUG.
        self.debugged: set[str] = set()
        # How many consumers run: they make no calls that would find a warning.
        self.consumers = 0

    def start(self) -> None:
        """Have a thread, if one is needed."""
        if not _are_threads():
            return
        if (self.debugged or self.consumers) and (self.thread is None or not self.thread.is_alive()):
            import threading

            _heed_forks()
            open_log(True)
            self.thread = threading.Thread(target=self._run, name="turbosqs-log", daemon=True)
            self.thread.start()

    def stop_if_idle(self) -> None:
        """Have none, unless one is needed."""
        if not self.debugged and not self.consumers:
            self.stop()

    def stop(self, timeout: float = 0.0) -> None:
        """Have none."""
        open_log(False)
        thread, self.thread = self.thread, None
        if timeout and thread is not None and thread.ident != _thread.get_ident():
            thread.join(timeout)

    def _run(self) -> None:
        while wait_for_log_records(600.0):
            # Whoever stops the thread does so at any time.
            thread = self.thread
            if thread is None or thread.ident != _thread.get_ident():
                break
            flush()


_reader = _Reader()


def _are_threads() -> bool:
    """Whether threads are threads, and not greenlets, of which all would wait for records."""
    return _thread.get_ident.__module__ == "_thread"


def is_debugged() -> bool:
    """Whether a logger wants DEBUG."""
    return bool(_reader.debugged)


def install() -> None:
    """See to it that the core knows what the loggers want, from now on."""
    if "logging" not in sys.modules:
        # Warnings are wanted then, as the core takes it until it is told.
        _logging.wait()
        return
    import logging

    for name in LOGGERS:
        logger: Any = logging.getLogger(name)
        if not isinstance(logger._cache, _Answers):
            logger._cache = _Answers(logger)
            _settle(logger)


def _when_imported() -> None:
    _logging.stop()
    install()


_logging = WhenImported("logging", _when_imported)


def _settle(logger: logging.Logger) -> None:
    """Tell the core what a logger wants."""
    import logging

    wanted = (level for level in (logging.DEBUG, logging.WARNING) if logger.isEnabledFor(level))
    least = next(wanted, _NEVER)
    set_log_level(logger.name, least)
    (_reader.debugged.add if least == logging.DEBUG else _reader.debugged.discard)(logger.name)
    # Whoever changes a level holds logging's lock: there is no waiting for a thread that logs.
    _reader.start()
    _reader.stop_if_idle()


def consumes(change: int) -> None:
    """One consumer more runs, or one less."""
    with lock():
        _reader.consumers += change
        _reader.start()
        _reader.stop_if_idle()


def flush() -> None:
    """Log what waits, in the thread that asks."""
    reader, thread = _reader, _thread.get_ident()
    if reader.owner == thread:
        # A handler that makes calls of its own.
        return
    if not reader.lock.acquire(timeout=_PATIENT):
        return
    reader.owner = thread
    try:
        records, lost = take_log_records()
        for record in records:
            _log(*record)
        if lost:
            import logging

            logging.getLogger("turbosqs").warning("%d records of the core were lost: too many at a time", lost)
    finally:
        reader.owner = None
        reader.lock.release()


#: Before it, what lingers is sent: see ``_at_exit``.
atexit.register(flush)


def _log(name: str, level: int, at: float, text: str) -> None:
    import logging

    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(name, level, "turbosqs", 0, "%s", (text,), None)
    record.relativeCreated += (at - record.created) * 1000
    record.created, record.msecs = at, at % 1 * 1000
    logger.handle(record)


def _after_fork_in_child() -> None:
    """The parent logs its own records; its thread is not here."""
    global _reader
    debugged = _reader.debugged
    _reader = _Reader()
    _reader.debugged = debugged
    take_log_records()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

# Whether forks find the thread stopped, and start it again.
_forks_are_heeded = False


def _heed_forks() -> None:
    """See to it, once there is to be a thread: after ``threading`` has, which takes all threads that there are in a
    child for the parent's."""
    global _forks_are_heeded
    if _forks_are_heeded or not hasattr(os, "register_at_fork"):
        return
    _forks_are_heeded = True
    hooks: dict[str, Any] = {
        # Python warns of threads that a fork finds.
        "before": lambda: _reader.stop(_PATIENT),
        "after_in_parent": lambda: _reader.start(),
        "after_in_child": lambda: _reader.start(),
    }
    os.register_at_fork(**hooks)
