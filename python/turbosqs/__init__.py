"""boto3's SQS client on a Rust core.

    import turbosqs as boto3

    sqs = boto3.client("sqs")

Importing this module imports nothing else: sessions, clients and exceptions load when they are first used.

The modules, outermost first; each imports what stands below it, never what stands above:

- `__main__` the command `turbosqs`
- `_run` `turbosqs run`: a program with boto3's clients patched
- `_serve` `turbosqs serve`: the embedded SQS as a process
- `_console` `turbosqs console`: the console for any SQS
- `_queues` the queues that a server is to have from the start
- `pytest_plugin` fixtures for pytest
- `_consume` ``turbosqs consume``: a consumer as a command
- `kombu` Celery and kombu: a transport that receives, acknowledges and publishes in batches
- `dramatiq` a heartbeat for the workers of dramatiq-sqs
- `aio` clients, writers, iterators and consumers for asyncio
- `session` sessions, and the clients made from them
- `_session_events` `session.events`
- `_clients` how a session's SQS clients are made
- `sqs` the client
- `keeping` ``keep_invisible``: messages that a program has received by itself stay its own
- `consuming` consumers that run a handler for each message
- `polling` iterators over messages
- `writer` `batch_writer`: many messages from one who does not wait for each answer
- `progress` a progress bar for writers
- `paginate` paginators
- `base` what the sync and the asyncio client have in common
- `meta` `client.meta`
- `_listened` calls of a client that somebody listens to: which they are, and who makes them
- `_delegate` the botocore client behind one of ours, for the calls that somebody listens to
- `_watching` whether somebody in the process may listen to the calls of our clients
- `patching` boto3's own clients on the core
- `_exchange` one event loop's exchange with the core
- `telemetry` OpenTelemetry's spans and metrics of our clients, once somebody asks for them
- `_kombu` how kombu finds the transport of `kombu`, once it is imported
- `service_model` `client.meta.service_model`
- `_in_force` a client's config as it is applied, for ``client.meta.config``
- `_resource` what `resource()` answers
- `_cost` what calls are billed
- `batching` the settings `Batching`
- `config` the settings `Config`
- `_private` private names of botocore's clients that programs read all the same
- `_credentials` the core's credentials as an object like botocore's, for those who look for them in a client
- `errorfactory` exceptions made from what the core reports
- `_general` settings that boto3 checks for every client, though SQS has no use for most of them
- `exceptions` botocore's exceptions, or our own of the same names
- `_exceptions` botocore's exceptions where botocore is not installed
- `_own_exceptions` exceptions that botocore does not have
- `local` the embedded SQS, for tests and development
- `_operations` the client's methods; generated
- `_model` the service model; generated
- `_signatures` signatures of functions that take their arguments whole, to those who ask for them
- `types` the types of arguments and replies; generated
- `_annotations` what type checkers alone read: our types as those of the stub packages, where these are installed
- `_green` waiting in programs whose threads are greenlets: those that gevent or eventlet has patched
- `_logs` what the core has to say, handed to Python's loggers
- `_at_exit` what still waits when the interpreter ends is sent
- `_signals` the signals that ask a program to end or to begin again
- `_platform` whether to do without what only Unix has
- `_when_imported` something to be done once a module is imported that may never be
- `_lock` the one lock, which a forked child finds free
- `_codes` one-time codes of devices (``mfa_serial``), which a person is asked for in the thread that makes the call
- `_core` the extension module, in Rust; where there is none, a Python module that says so
- `_missing` what to do where the extension module is missing or cannot be loaded
"""

from __future__ import annotations

import sys

# From Python 3.7 on, this file can be read.
if sys.version_info < (3, 10):  # noqa: UP036
    raise ImportError(f"turbosqs needs Python 3.10 or newer; {sys.executable} is Python {sys.version.split()[0]}")

from ._lock import lock
from ._signatures import takes_as

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import aio as aio
    from . import exceptions as exceptions
    from . import local as local
    from . import session as session
    from . import telemetry as telemetry
    from ._core import __version__ as __version__
    from ._cost import Cost as Cost
    from ._cost import Prices as Prices
    from ._cost import cost as cost
    from .batching import Batching as Batching
    from .config import Config as Config
    from .consuming import Backoff as Backoff
    from .consuming import Consumer as Consumer
    from .consuming import lease_lost as lease_lost
    from .patching import patch as patch
    from .patching import patched as patched
    from .patching import stats as stats
    from .patching import unpatch as unpatch
    from .session import Session as Session

__all__ = [
    "DEFAULT_SESSION",
    "Backoff",
    "Batching",
    "Config",
    "Consumer",
    "Cost",
    "Prices",
    "Session",
    "aio",
    "client",
    "cost",
    "exceptions",
    "lease_lost",
    "local",
    "patch",
    "patched",
    "resource",
    "session",
    "set_stream_logger",
    "setup_default_session",
    "stats",
    "telemetry",
    "unpatch",
]

# The session behind ``client`` and ``resource``, made when one of them is first called.
DEFAULT_SESSION: Session | None = None


if TYPE_CHECKING:

    def setup_default_session(
        *,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        botocore_session: Any = None,
        profile_name: str | None = None,
        aws_account_id: str | None = None,
    ) -> None: ...

else:

    def setup_default_session(**kwargs):
        """Replace the default session; needed only to give it arguments.

        Args:
            kwargs: what ``Session`` takes.
        """
        global DEFAULT_SESSION
        DEFAULT_SESSION = _load("session").Session(**kwargs)


takes_as(setup_default_session, "Session")


def _load(module: str) -> Any:
    """A module of the package.

    Raises:
        ImportError: there is no extension module for this Python on this machine; the text says what to do.
    """
    try:
        # First, so that this is where it fails, if it does: whatever is asked for here needs it sooner or later, but
        # for patching in a process that never makes a call.
        if module != "patching":
            __import__(f"{__name__}._core")
        # Not ``from . import``: that asks for the attribute first, and may end up here again. Nor ``importlib``, which
        # takes as long to import as a good part of this package.
        __import__(f"{__name__}.{module}")
        return sys.modules[f"{__name__}.{module}"]
    except ImportError as error:
        # With a path it is the loader's, of a file for another machine; without one it says all this already.
        if error.name not in ("_core", f"{__name__}._core") or error.path is None:
            raise
        from ._missing import explain

        raise explain(str(error)) from error


def _default_session() -> Session:
    if DEFAULT_SESSION is None:
        with lock():
            if DEFAULT_SESSION is None:
                setup_default_session()
    return DEFAULT_SESSION  # type: ignore[return-value]


if TYPE_CHECKING:
    # With the signatures of the methods, overloads and all.
    client = _default_session().client
    resource = _default_session().resource
else:

    def client(*args, **kwargs):
        """A client of the default session; see ``Session.client``."""
        return _default_session().client(*args, **kwargs)

    takes_as(client, "Session.client")

    def resource(*args, **kwargs):
        """A resource of the default session; see ``Session.resource``."""
        return _default_session().resource(*args, **kwargs)

    takes_as(resource, "Session.resource")


def set_stream_logger(name: str = "turbosqs", level: int = 10, format_string: str | None = None) -> None:
    """Print a logger's messages to standard error.

    Args:
        name: the logger; ``""`` for everything.
        level: the least important level shown; the default is ``logging.DEBUG``.
        format_string: as ``logging.Formatter`` takes it; None for time, name, level and message.
    """
    import logging

    handler = logging.StreamHandler()
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(format_string or "%(asctime)s %(name)s [%(levelname)s] %(message)s"))
    logger = logging.getLogger(name)
    logger.setLevel(level)
    logger.addHandler(handler)


if not TYPE_CHECKING:

    def __getattr__(name):
        if name in ("aio", "exceptions", "local", "session", "telemetry"):
            return _load(name)
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_load(_PLACES[name]), name)
        return value

    # Where each name is that is loaded when it is first used.
    _PLACES = {
        "Session": "session",
        "Config": "config",
        "Batching": "batching",
        **dict.fromkeys(("patch", "patched", "stats", "unpatch"), "patching"),
        **dict.fromkeys(("Consumer", "Backoff", "lease_lost"), "consuming"),
        **dict.fromkeys(("Cost", "Prices", "cost"), "_cost"),
        "__version__": "_core",
    }


def __dir__() -> list[str]:
    hidden = {"TYPE_CHECKING", "annotations", "lock", "sys", "takes_as"}
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, "__version__"} - hidden)
