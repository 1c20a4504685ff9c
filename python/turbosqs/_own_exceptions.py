"""Exceptions for what boto3 does not have; ``turbosqs.exceptions`` hands them out beside boto3's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FailedEntry:
    """An entry of a ``batch_writer`` that was not accepted.

    Attributes:
        operation: ``SendMessage``, ``DeleteMessage`` or ``ChangeMessageVisibility``.
        params: the arguments that the entry was given with, ``QueueUrl`` included: what to call again.
        error: what a call of its own would have raised; most often a ``ClientError``.
    """

    def __init__(self, operation: str, params: dict[str, Any], error: Exception, position: int = 0) -> None:
        # Among all that the writer was given.
        self._position = position
        self.operation = operation
        self.params = params
        self.error = error

    @property
    def code(self) -> str:
        """The error's code (``InvalidMessageContents``), or the name of its class if the service gave none."""
        # botocore's transport errors have one that is None.
        response: Any = getattr(self.error, "response", None) or {}
        code: str = response.get("Error", {}).get("Code") or type(self.error).__name__
        return code

    def __repr__(self) -> str:
        return f"FailedEntry({self.operation}, {self.params!r}, {self.error!r})"


class BatchWriterError(Exception):
    """Entries of a ``batch_writer`` were not accepted. All others were.

    Attributes:
        failures: a ``FailedEntry`` for each, in the order in which they were given.
    """

    __module__ = "turbosqs.exceptions"

    def __init__(self, failures: list[FailedEntry]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        codes: dict[str, int] = {}
        for failure in self.failures:
            codes[failure.code] = codes.get(failure.code, 0) + 1
        kinds = ", ".join(f"{count:,} {code}" for code, count in codes.items())
        number = f"{len(self.failures):,} {'entry was' if len(self.failures) == 1 else 'entries were'}"
        return f"{number} not accepted ({kinds}); the first: {self.failures[0].error}"


class InsecureRequestWarning(Warning):
    """A client takes any certificate (``verify=False``). urllib3's class of that name is used where it is loaded."""

    __module__ = "turbosqs.exceptions"
