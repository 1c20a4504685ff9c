"""Which functions a consumer can call, and whether what they return means that they are done.

A function whose work only begins when it is awaited or iterated over returns at once, as one does that has succeeded.
To take that for a success would delete a message that nobody has handled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any


class UnfinishedError(TypeError):
    """What a handler or a hook returned says that its work is not done."""


def check(name: str, function: Any, *, awaits: bool) -> None:
    """Refuse a function that this kind of consumer cannot run, as far as that can be told before it is called.

    Args:
        name: of the option that it was given as.
        function: a function, a ``partial``, an object with ``__call__``, ...
        awaits: whether coroutines are awaited.

    Raises:
        TypeError: it cannot run it.
    """
    if not callable(function):
        raise TypeError(f"{name} must be callable, not {type(function).__name__}")
    for each in _layers(function):
        if inspect.isasyncgenfunction(each):
            raise TypeError(f"{name} must not be an asynchronous generator function: nobody would iterate over it")
        if inspect.iscoroutinefunction(each) or _is_old_coroutine(each):
            if not awaits:
                advice = "plain functions only" if name == "retry_delay" else "turbosqs.aio.Consumer runs coroutines"
                raise TypeError(f"{name} must not be a coroutine function here: {advice}")
        elif inspect.isgeneratorfunction(each):
            raise TypeError(f"{name} must not be a generator function: nobody would iterate over it")


def _layers(function: Any) -> Iterator[Any]:
    """A callable, and what runs when it is called."""
    while isinstance(function, partial):
        function = function.func
    yield function
    if not inspect.isroutine(function) and not inspect.isclass(function):
        yield type(function).__call__


def _is_old_coroutine(function: Any) -> bool:
    """Whether it is a generator function that ``types.coroutine`` has made awaitable."""
    flags: int = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return bool(flags & inspect.CO_ITERABLE_COROUTINE)


def check_done(name: str, result: Any, *, awaits: bool) -> None:
    """Check that what a function has returned does not stand for work that is still to be done.

    Args:
        name: of the option that the function was given as.
        result: what it returned, or what came of awaiting that.
        awaits: whether this kind of consumer awaits coroutines.

    Raises:
        UnfinishedError: it does. A coroutine or a generator is closed.
    """
    if inspect.isawaitable(result):
        what = f"returned {_named(result)}, which has not been awaited"
        advice = "await it in the coroutine" if awaits else "turbosqs.aio.Consumer runs coroutines"
    elif inspect.isgenerator(result) or inspect.isasyncgen(result):
        what, advice = f"returned {_named(result)}, of which nothing has run", "do the work before you return"
    elif callable(getattr(type(result), "add_done_callback", None)):
        what = f"returned {_named(result)}, whose work may not be done"
        advice = "await asyncio.wrap_future() of it" if awaits else "wait for its result() before you return"
    else:
        return
    # Python would warn of a coroutine that was never awaited; this says more.
    if inspect.iscoroutine(result) and inspect.getcoroutinestate(result) == inspect.CORO_CREATED:
        result.close()
    raise UnfinishedError(f"{name} {what}: {advice}")


def _named(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def name_of(function: Callable[..., Any]) -> str:
    """How a function is called in messages to people."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


def is_coroutine_function(function: Any) -> bool:
    """Whether what it returns has to be awaited, as far as that can be told before it is called."""
    return any(inspect.iscoroutinefunction(each) or _is_old_coroutine(each) for each in _layers(function))
