"""What a failure of the core means for a worker: whether it may pass, and what is raised if it may not."""

from __future__ import annotations

import os
import threading

from .._core import Failure
from ..errorfactory import exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The way to the service, or a source of credentials, as botocore's exceptions name it.
_WAYS = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyConnectionError",
        "ConnectionClosedError",
        "HTTPClientError",
        "CredentialRetrievalError",
    }
)

#: Too much was asked, or a signature was too old: credentials are asked for again with the next attempt.
_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "OverLimit",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

#: The message is not in flight any more, or not by this receipt handle.
GONE = frozenset({"InvalidParameterValue", "InvalidParameterValueException", "ReceiptHandleIsInvalid"})


class ReceiveError(ConnectionError):
    """A queue cannot be received from, for a reason that does not pass by itself: no access, no such queue.

    It is one of the transport's ``connection_errors``, so Celery logs it and connects anew. ``__cause__`` is boto3's
    exception.
    """


def may_pass(failure: BaseException) -> bool:
    """Whether it is worth asking again."""
    if not isinstance(failure, Failure):
        return isinstance(failure, OSError)
    if len(failure.args) == 3:
        _, response, _ = failure.args
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or code(failure) in _CODES
    return failure.args[0] in _WAYS


def code(failure: BaseException) -> str | None:
    """The service's word for a refusal, without its prefix; None if the service did not answer."""
    if not isinstance(failure, Failure) or len(failure.args) != 3:
        return None
    found: Any = failure.args[1]["Error"].get("Code")
    return str(found).removeprefix("AWS.SimpleQueueService.")


def as_exception(failure: BaseException) -> BaseException:
    """boto3's exception for a failure; any other is what it is."""
    return exception(failure) if isinstance(failure, Failure) else failure


def note_failure() -> None:
    """A worker of this thread is about to connect anew, because a queue could not be received from."""
    _failed.add((os.getpid(), threading.get_ident()))


def has_failed() -> bool:
    """Whether that was so before in this thread."""
    return (os.getpid(), threading.get_ident()) in _failed


_failed: set[tuple[int, int]] = set()
