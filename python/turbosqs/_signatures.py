"""Signatures of functions that take their arguments whole, as ``**kwargs``: which there are, to those who ask.

Completion in IPython, ``help`` and ``inspect.signature`` go by a function's ``__signature__``. To make one takes
``inspect`` and the types of all arguments, which a program that only makes calls has no use for: so it is made when
somebody looks at it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from inspect import Signature
    from typing import Any


class Later:
    """An ``inspect.Signature`` that is made when somebody looks at it.

    ``inspect.signature`` asks whether ``__signature__`` is one by ``isinstance``, which goes by ``__class__``. It makes
    another of it for a method, and hands it over as it is for a function: so it is to be told from the one that is made
    by nothing but its type.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Signature]) -> None:
        """Nothing is made yet.

        Args:
            make: makes it.
        """
        self._make = make
        self._made: Signature | None = None

    def _signature(self) -> Signature:
        if self._made is None:
            self._made = self._make()
        return self._made

    if not TYPE_CHECKING:

        @property
        def __class__(self):
            return type(self._signature())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signature(), name)

    def __eq__(self, other: object) -> bool:
        return self._signature() == (other._signature() if type(other) is Later else other)

    def __hash__(self) -> int:
        return hash(self._signature())

    def __repr__(self) -> str:
        return repr(self._signature())

    def __str__(self) -> str:
        return str(self._signature())

    def __reduce__(self) -> Any:
        return self._signature().__reduce__()


def takes(
    function: Callable[..., Any], name: str, module: str = "turbosqs.types", *, known: Collection[str] = ()
) -> None:
    """What a function takes as ``**kwargs`` are the members of a TypedDict.

    Nothing is changed of the function, or of what a call of it costs; and it is no decorator, of which type checkers
    would believe that it does. Members that are not required have ``...`` for their default: they are left out of a
    call, and there is no value that would be the same.

    Args:
        function: it.
        name: of the TypedDict.
        module: where that is.
        known: members that it knows by itself.
    """
    says(function, lambda: _unpacked(function, name, module, known))


def takes_as(function: Callable[..., Any], place: str) -> None:
    """A function hands on all that it takes.

    Args:
        function: it.
        place: whom to, a class or a class's method, by its name in the package: ``Session.client``.
    """
    says(function, lambda: _bound(function, place))


def says(function: Callable[..., Any], make: Callable[[], Signature]) -> None:
    """The signature of a function is what ``make`` makes, when somebody looks at it."""
    function.__signature__ = Later(make)  # type: ignore[attr-defined]


def _unpacked(function: Callable[..., Any], name: str, module: str, known: Collection[str]) -> Signature:
    from importlib import import_module
    from inspect import Parameter, Signature, signature
    from types import FunctionType

    # The function as it would be without a signature of its own.
    bare = FunctionType(function.__code__, function.__globals__, closure=function.__closure__)
    bare.__defaults__ = function.__defaults__
    bare.__kwdefaults__ = function.__kwdefaults__
    bare.__annotations__ = function.__annotations__
    written = [each for each in signature(bare).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    if any(each.kind is Parameter.VAR_POSITIONAL for each in written):
        # ``self`` is one of ``*args``. So it is not told a second time by what copies this signature from a method that
        # is bound already, as ``functools.wraps`` does.
        written = written[1:]
    options = getattr(import_module(module), name)
    return Signature(
        [
            *written,
            *(
                Parameter(
                    member,
                    Parameter.KEYWORD_ONLY,
                    default=Parameter.empty if member in options.__required_keys__ else ...,
                    annotation=getattr(annotation, "__forward_arg__", annotation),
                )
                for member, annotation in options.__annotations__.items()
                if member not in known
            ),
        ]
    )


def _bound(function: Callable[..., Any], place: str) -> Signature:
    """The signature of a class, or of a class's method as it is with an object; by name alone if ``function`` is."""
    from inspect import CO_VARARGS, Parameter, Signature, isclass, signature

    import turbosqs

    found: Any = turbosqs
    for name in place.split("."):
        found = getattr(found, name)
    parameters = list(signature(found).parameters.values())[0 if isclass(found) else 1 :]
    if not function.__code__.co_flags & CO_VARARGS:
        parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    return Signature(parameters)
