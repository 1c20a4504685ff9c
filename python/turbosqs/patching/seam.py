"""Where calls leave botocore for the core: in botocore's own functions, which everybody else keeps and calls.

Instrumentation replaces ``BaseClient._make_api_call`` by a wrapper of its own, or holds the function in a closure, and
calls it in the end. So the function object itself is what is changed: it is given another ``__code__``, which hands the
call to us. That reaches whoever captured the function, however and whenever, and to give the old code back restores
it exactly. ``__wrapped__``, the source and the signature stay readable, as botocore wrote them.
"""

from __future__ import annotations

import gc
import sys
from inspect import iscoroutinefunction
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class Seam:
    """One function of botocore's, and what is called in its place.

    Attributes:
        original: the function as botocore wrote it: a twin with the same code, for calls that stay botocore's.
    """

    def __init__(
        self, cls: type, name: str, handler: Callable[..., Any], first: Callable[..., Any] | None = None
    ) -> None:
        """Find the function; nothing is changed yet.

        Args:
            cls: the class of botocore's that has it.
            name: the method's.
            handler: takes the arguments of the method; what it returns is awaited if the method is.
            first: is called before the handler, with the same arguments. A dict that it returns is what the method
                returns; the handler gets anything else as one argument more.

        Raises:
            LookupError: it is not to be found.
        """
        self._function = function = _find(cls, name)
        self._name = name
        self._code = function.__code__
        self._template = _template(name, function, is_first=first is not None)
        self._handler = handler
        self._first = first
        self.original = FunctionType(
            self._code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        self.original.__qualname__ = function.__qualname__

    def install(self) -> None:
        """Hand calls to the handler from now on."""
        code = self._template.__code__
        # Stay there when the code is given back: a call that has begun may be about to look them up.
        self._function.__globals__[_HANDLER.format(self._name)] = self._handler
        if self._first is not None:
            self._function.__globals__[_FIRST.format(self._name)] = self._first
        # inspect.getsource() goes by these.
        self._function.__code__ = code.replace(
            co_filename=self._code.co_filename, co_firstlineno=self._code.co_firstlineno
        )

    def begin_with(self, first: Callable[..., Any]) -> None:
        """Have another function called before the handler."""
        self._first = self._function.__globals__[_FIRST.format(self._name)] = first

    def remove(self) -> None:
        """Give the function its own code back."""
        self._function.__code__ = self._code


#: What the code calls, among the globals of the function that gets it.
_HANDLER = "_turbosqs_{}"
_FIRST = "_turbosqs_first_{}"

#: The arguments of each method.
_ARGUMENTS = {
    "_make_api_call": "self, operation_name, api_params",
    "close": "self",
    "__aexit__": "self, exc_type, exc_val, exc_tb",
}

#: A function keeps its closure, so the code has to have its free variables. It is compiled as such: to change their
#: names in code that has none makes frames whose variables nobody can look at without the interpreter crashing.
_TEMPLATE = """
def outer({closure}):
    {is_async}def {name}({arguments}):
        {body}
        ({closure})
    return {name}
"""

_ONE = "return {awaits}{handler}({arguments})"
_TWO = """made = {first}({arguments})
        return made if type(made) is dict else {handler}({arguments}, made)"""


def _template(name: str, function: FunctionType, is_first: bool) -> Any:
    """A function whose code does for another one: it hands its arguments to the handler."""
    is_async = iscoroutinefunction(function)
    closure = function.__code__.co_freevars
    source = _TEMPLATE.format(
        closure="".join(f"{each}, " for each in closure),
        is_async="async " if is_async else "",
        name=name,
        arguments=_ARGUMENTS[name],
        body=(_TWO if is_first else _ONE).format(
            arguments=_ARGUMENTS[name],
            awaits="await " if is_async else "",
            handler=_HANDLER.format(name),
            first=_FIRST.format(name),
        ),
    )
    namespace: dict[str, Any] = {}
    exec(compile(source, __file__, "exec"), namespace)
    template = namespace["outer"](*closure)
    if template.__code__.co_freevars != closure:
        raise LookupError(f"botocore's own {name} is another function than we know")
    return template


def _find(cls: type, name: str) -> FunctionType:
    """botocore's own function, under whatever stands in its place now: with what botocore decorates it with."""
    for function in inside(vars(cls)[name]):
        if _is_botocores(function, cls, name):
            return function  # type: ignore[no-any-return]
    # Something that does not lead on, such as a mock: whoever put it there keeps the function somewhere.
    found = [function for function in gc.get_objects() if _is_botocores(function, cls, name)]
    decorated = [getattr(function, "__wrapped__", None) for function in found]
    for function in found:
        if function not in decorated:
            return function  # type: ignore[no-any-return]
    raise LookupError(f"botocore's own {cls.__qualname__}.{name} is not to be found")


def _is_botocores(value: Any, cls: type, name: str) -> bool:
    if type(value) is not FunctionType or value.__qualname__ != f"{cls.__qualname__}.{name}":
        return False
    # Decorators copy the name: where each layer was written tells.
    while value.__globals__.get("__name__", "").partition(".")[0] == cls.__module__.partition(".")[0]:
        if not hasattr(value, "__wrapped__"):
            return value.__globals__ is vars(sys.modules[cls.__module__])
        value = value.__wrapped__
        if type(value) is not FunctionType:
            return False
    return False


def inside(value: Any) -> Iterator[Any]:
    """A function, and all that it calls on to by ``__wrapped__``, by its closure, or as a bound or a partial one;
    outermost first."""
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        for name in ("__wrapped__", "__func__", "func"):
            # Not by asking a mock for an attribute, which is to get one.
            if hasattr(type(value), name) or name in getattr(value, "__dict__", {}):
                waiting.append(getattr(value, name))
        if type(value) is FunctionType:
            waiting += filter(callable, map(_contents, value.__closure__ or ()))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # Not filled yet.
        return None
