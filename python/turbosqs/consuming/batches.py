"""What a batch handler's answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..types import Message


class BadBatchResultError(ValueError):
    """A batch handler returned what is no answer: all its messages count as failed."""


class HandlerFailure(Exception):  # noqa: N818 (it is a report, not an error of its own)
    """What stands for the error of a message that a batch handler named among its failures."""


def failures_of(result: Any, messages: Sequence[Message]) -> set[str]:
    """The ids of the messages that a batch handler says have failed, in Lambda's form.

    Raises:
        BadBatchResultError: it says so in no such form, or of a message that it was not given.
    """
    if not result:
        return set()
    listed = result.get("batchItemFailures") if isinstance(result, Mapping) else 0
    if listed is None and "batchItemFailures" in result:
        return set()
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadBatchResultError(f"a batch handler returns None or a dict with 'batchItemFailures', not {result!r}")
    failed = {item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in listed}
    unknown = failed - {message.get("MessageId") for message in messages}
    if unknown:
        raise BadBatchResultError(f"a batch handler names messages that it was not given: {sorted(map(repr, unknown))}")
    return {str(identifier) for identifier in failed}
