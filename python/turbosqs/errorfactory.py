"""``client.exceptions``: a class for each error that the service model names.

As in boto3 the classes are made at run time, below ``ClientError``. boto3 makes a set for each session; here one set
serves the process, so that ``except one_client.exceptions.QueueDoesNotExist`` catches what another client raises.
"""

from __future__ import annotations

from ._core import guarded
from ._lock import lock
from ._logs import flush
from ._operations import ERRORS, Errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from . import exceptions as _exceptions
    from ._core import Failure

_made: SQSExceptions | None = None
#: The exceptions that failures of the core have become so far, by name.
_classes: dict[str, type[Exception]] = {}


class SQSExceptions(Errors):
    """The service's errors by name: ``QueueDoesNotExist`` and 27 more, and ``ClientError``, the base of them all.

    Attributes:
        ClientError: the class for an error that the model does not name.
    """

    ClientError: type[_exceptions.ClientError]

    def __init__(self, code_to_exception: dict[str, type[_exceptions.ClientError]]) -> None:
        self._code_to_exception = code_to_exception

    def from_code(self, error_code: str | None) -> type[_exceptions.ClientError]:
        """The class for an error code.

        Args:
            error_code: a name of the model, such as ``QueueDoesNotExist``: ``response["Error"]["QueryErrorCode"]``.

        Returns:
            The class of that name, or ``ClientError``.
        """
        return self._code_to_exception.get(error_code, self.ClientError)  # type: ignore[arg-type]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            known = ", ".join(cls.__name__ for cls in self._code_to_exception.values())
            raise AttributeError(f"{self} object has no attribute {name}. Valid exceptions are: {known}")


def exceptions() -> SQSExceptions:
    """The one set of this process, made when it is first needed."""
    global _made
    if _made is None:
        with lock():
            if _made is None:
                _made = _make()
    return _made


def exception(failure: Failure) -> Exception:
    """The exception that a failure of the core stands for. The core makes none itself: see ``src/py/error.rs``."""
    # What led to it comes before it.
    flush()
    if len(failure.args) == 3:
        code, response, operation = failure.args
        # The first one imports, maybe in a daemon thread when the interpreter is about to end.
        made = _made if _made is not None else guarded(exceptions)
        return made.from_code(code)(response, operation)
    name, kwargs = failure.args
    if name not in _classes:
        _classes[name] = guarded(_class, name)
    error = _classes[name](**kwargs)
    if failure.__cause__ is not None:
        # What a file raised when it was read.
        error.__cause__ = failure.__cause__
    return error


def _class(name: str) -> type[Exception]:
    from . import exceptions

    found: type[Exception] = getattr(exceptions, name)
    return found


def _make() -> SQSExceptions:
    from .exceptions import ClientError

    # Tracebacks and error trackers name a class by its module: with botocore installed, by the one they know.
    module = "botocore.errorfactory" if ClientError.__module__ == "botocore.exceptions" else "turbosqs.exceptions"
    classes: dict[str, Any] = {name: type(name, (ClientError,), {"__module__": module}) for name in ERRORS}
    members = {"__module__": module, "ClientError": ClientError, **classes}
    named: type[SQSExceptions] = type("SQSExceptions", (SQSExceptions,), members)
    return named(classes)
