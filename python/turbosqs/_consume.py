"""``turbosqs consume``: a consumer as a command.

It has the consumer's own options, from the command line or the environment. SIGTERM and SIGINT drain. SIGHUP drains as
well, and then the command takes its own place (exec) with the same arguments: the new code and all that it imports, in
the same process, with nothing left over from the old. A supervisor sees no end of it. Windows has no SIGHUP.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import logging
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import turbosqs
from turbosqs import aio
from turbosqs._signals import RELOAD
from turbosqs.consuming.functions import is_coroutine_function
from turbosqs.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("turbosqs.consumer")

#: What the environment's names begin with: ``TURBOSQS_CONCURRENCY`` is ``--concurrency``.
PREFIX = "TURBOSQS_"

#: An option, the consumer's argument, how a value is read, and what is said of it.
OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--concurrency", "concurrency", int, "handlers at a time (10)"),
    ("--batch-size", "batch_size", int, "messages that a handler takes at most, in a list"),
    ("--batch-window", "batch_window", float, "seconds that a batch waits to fill up"),
    ("--retry-delay", "retry_delay", str, "seconds; 'backoff'; or a function or a Backoff as module:name"),
    ("--on-error", "on_error", str, "function as module:name"),
    ("--on-delete-failed", "on_delete_failed", str, "function as module:name"),
    ("--on-lease-lost", "on_lease_lost", str, "function as module:name"),
    ("--max-per-second", "max_per_second", float, "messages a second at most"),
    ("--shutdown-timeout", "shutdown_timeout", float, "seconds that handlers have to finish (30)"),
    ("--visibility-timeout", "VisibilityTimeout", int, "seconds; the queue's own if it is not given"),
    ("--wait-time-seconds", "WaitTimeSeconds", int, "seconds that a long poll waits (20)"),
    ("--message-attribute-names", "MessageAttributeNames", str, "names, with commas between them; All for all"),
    ("--system-attribute-names", "MessageSystemAttributeNames", str, "names, with commas between them; All for all"),
    ("--max-messages", "max_messages", int, "stop after so many"),
    ("--idle-timeout", "idle_timeout", float, "stop when no message has come for so many seconds"),
    (
        "--min-life",
        "min_life",
        float,
        "part of its visibility timeout that a message has left at least (0.5)",
    ),
    ("--max-buffered", "max_buffered", int, "messages fetched ahead at most (100)"),
    ("--max-buffered-bytes", "max_buffered_bytes", int, "bytes of them (16 MiB)"),
)

#: Arguments that are functions, and those that are lists of names.
_FUNCTIONS = ("on_error", "on_delete_failed", "on_lease_lost")
_LISTS = ("MessageAttributeNames", "MessageSystemAttributeNames")


class UsageError(Exception):
    """The command line or the environment makes no sense; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what ``turbosqs consume`` takes."""
    parser.epilog = (
        "Each option may come from the environment instead: TURBOSQS_CONCURRENCY is --concurrency, TURBOSQS_HANDLER "
        "the handler. SIGTERM and Ctrl-C drain; SIGHUP drains and begins again with the code as it is then."
    )
    handler = "function or coroutine function, as module:name"
    parser.add_argument("handler", nargs="?", default=_given("handler"), help=handler)
    parser.add_argument("--queue", default=_given("queue"), metavar="URL", help="URL or name of the queue")
    for option, argument, kind, what in OPTIONS:
        name = option[2:].replace("-", "_")
        metavar = {int: "N", float: "X"}.get(kind, "VALUE")
        parser.add_argument(option, dest=argument, type=kind, default=_given(name), metavar=metavar, help=what)
    parser.add_argument(
        "--lambda",
        dest="is_lambda",
        action=argparse.BooleanOptionalAction,
        default=_flag("lambda"),
        help="the handler is written for AWS Lambda: it takes an event and a context",
    )
    for option, what in (
        ("--region", "region of the queue"),
        ("--profile", "profile of the AWS configuration"),
        ("--endpoint-url", "where SQS is, if not at AWS"),
    ):
        parser.add_argument(option, default=_given(option[2:].replace("-", "_")), metavar="VALUE", help=what)
    levels = ("debug", "info", "warning", "error")
    parser.add_argument(
        "--log-level",
        type=str.lower,
        choices=levels,
        default=_given("log_level") or "info",
        help="what is logged to standard error (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Consumes until it is told to stop.

    Returns:
        The exit status: 0 after a drain, 1 when it could not go on, 2 when the options make no sense.
    """
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=arguments.log_level.upper(), format=form, stream=sys.stderr)
    # As for `python -m`: a console script has its own folder there instead.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 (sys.path holds strings)
    try:
        consumer = _consumer(arguments)
    except (UsageError, TypeError, ValueError, BotoCoreError, ClientError) as error:
        print(f"turbosqs consume: {error}", file=sys.stderr)
        return 2
    reloads = False

    def reload(*_: object) -> None:
        nonlocal reloads
        reloads = True
        current = consumer._run
        if current is None:
            # Nothing is in hand yet.
            _begin_again()
        current.ask_to_stop()

    # Ignored, it is to stay so: that is nohup.
    heeds = RELOAD is not None and signal.getsignal(RELOAD) is not signal.SIG_IGN
    if RELOAD is not None:
        if heeds:
            signal.signal(RELOAD, reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {RELOAD})
    try:
        if isinstance(consumer, aio.Consumer):
            asyncio.run(_in_event_loop(consumer, reload if heeds else None))
        else:
            consumer.run()
    except Exception as error:  # noqa: BLE001 (it is the command's end)
        log.error("turbosqs consume ends: %s: %s", type(error).__name__, error)  # noqa: TRY400 (its way says nothing)
        return 1
    if reloads and not consumer._run.signals:
        _begin_again()
    return 0


async def _in_event_loop(consumer: aio.Consumer, reload: Callable[[], None] | None) -> None:
    if reload is not None and RELOAD is not None:
        asyncio.get_running_loop().add_signal_handler(RELOAD, reload)
    await consumer.run()


def _begin_again() -> None:
    log.info("beginning again, with the code as it is now")
    assert RELOAD is not None
    # The next one would end the new program before it knows what to do with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {RELOAD})
    # What an exec would leave out.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _consumer(arguments: argparse.Namespace) -> turbosqs.Consumer | aio.Consumer:
    """The consumer that the options describe: for event loops, if one of the functions is a coroutine function."""
    if arguments.handler is None:
        raise UsageError("it needs a handler, as module:name (or TURBOSQS_HANDLER)")
    if arguments.queue is None:
        raise UsageError("it needs --queue URL (or TURBOSQS_QUEUE)")
    options: dict[str, Any] = {"lambda_handler" if arguments.is_lambda else "handler": _load(arguments.handler)}
    for _, argument, _, _ in OPTIONS:
        value = getattr(arguments, argument)
        if value is not None:
            options[argument] = _value(argument, value)
    session = turbosqs.Session(profile_name=arguments.profile, region_name=arguments.region)
    client = session.client("sqs", endpoint_url=arguments.endpoint_url)
    url = arguments.queue
    if "://" not in url:
        url = client.get_queue_url(QueueName=url)["QueueUrl"]
    functions = [value for value in options.values() if callable(value)]
    if any(is_coroutine_function(function) for function in functions):
        return aio.Consumer(aio.SQS(client), QueueUrl=url, **options)
    return turbosqs.Consumer(client, QueueUrl=url, **options)


def _value(argument: str, value: Any) -> Any:
    """What the consumer is given for an option."""
    if argument in _FUNCTIONS:
        return _load(value)
    if argument in _LISTS:
        return [name.strip() for name in value.split(",") if name.strip()]
    if argument != "retry_delay":
        return value
    if value == "backoff":
        return turbosqs.Backoff()
    if ":" in value:
        return _load(value)
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"--retry-delay is a number of seconds, 'backoff' or module:name, not {value!r}") from None


def _load(name: str) -> Any:
    """What ``module:name`` stands for."""
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise UsageError(f"{name!r} is not of the form module:name")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        # One that the module itself imports is for its author to see, with the way there.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"there is no module {error.name!r} in {sys.path[0]} or where Python looks else") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module} has no {path!r}")
        found = getattr(found, part)
    return found


def _given(name: str) -> str | None:
    """What the environment says of an option; what is empty says nothing."""
    return os.environ.get(PREFIX + name.upper()) or None


def _flag(name: str) -> bool:
    return (_given(name) or "").lower() in ("1", "true", "yes", "on")
