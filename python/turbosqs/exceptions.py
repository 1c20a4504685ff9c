"""The exceptions that calls raise: botocore's own classes where botocore is installed, else ours of the same names.

``except botocore.exceptions.ClientError`` and ``except turbosqs.exceptions.ClientError`` catch the same thing. Which
classes those are is decided when the first one is asked for, so that ``import turbosqs`` imports no botocore. boto3's
own exceptions (``Boto3Error``) are found here too, for ``import turbosqs as boto3``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from ._exceptions import *  # noqa: F403
    from ._own_exceptions import *  # noqa: F403
else:

    def __getattr__(name: str) -> type[BaseException]:
        # Names with an underscore are what the import system and inspectors ask for; none is an exception.
        found = None if name.startswith("_") else _find(name)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # From now on an ordinary attribute. Two threads that come here at once store the same class.
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    from . import _exceptions, _own_exceptions

    both = {**vars(_exceptions), **vars(_own_exceptions)}
    ours = [name for name, value in both.items() if isinstance(value, type) and issubclass(value, BaseException)]
    return sorted({*globals(), *ours})


def _find(name: str) -> type[BaseException] | None:
    for module_name in ("botocore.exceptions", "boto3.exceptions", "turbosqs._exceptions", "turbosqs._own_exceptions"):
        found = getattr(_module(module_name), name, None)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
    return None


def _module(name: str) -> ModuleType | None:
    """The module, or None where its package is not installed; one that is installed and broken says so itself."""
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0], "botocore"):
            raise
        return None
