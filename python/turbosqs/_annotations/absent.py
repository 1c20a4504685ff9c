"""What takes the place of a stub package's classes where the package is not installed: nothing is known of them."""

from __future__ import annotations

from typing import Any


class SQSClient:
    """A client."""


class ListQueuesPaginator:
    """A paginator."""


class ListDeadLetterSourceQueuesPaginator:
    """A paginator."""


#: Without stubs nothing is known of boto3's resources.
SQSServiceResource = Any
