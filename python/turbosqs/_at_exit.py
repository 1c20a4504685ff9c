"""What still lingers when the interpreter ends is sent."""

from __future__ import annotations

from ._core import drain, unanswered
from ._lock import lock

#: Seconds for what is on its way then. Requests of an SQS that answers take far less.
TIMEOUT = 10.0
_registered = False


def flush_at_exit() -> None:
    """Have the end of the interpreter wait for entries that have no answer yet, at most ``TIMEOUT`` seconds."""
    global _registered
    if not _registered:
        import atexit

        with lock():
            if not _registered:
                atexit.register(_flush)
                _registered = True


def _flush() -> None:
    try:
        count = drain(TIMEOUT)
    except BaseException:
        _report(unanswered())
        raise
    _report(count)


def _report(count: int) -> None:
    if count:
        import sys

        print(
            f"turbosqs: {count} entries had no answer when the program ended; they may not have been sent",
            file=sys.stderr,
        )
