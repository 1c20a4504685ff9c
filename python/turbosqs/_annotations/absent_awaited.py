"""The same for ``types_aiobotocore_sqs``: its client is another than that of the packages for boto3."""

from __future__ import annotations

from .absent import ListDeadLetterSourceQueuesPaginator as ListDeadLetterSourceQueuesPaginator
from .absent import ListQueuesPaginator as ListQueuesPaginator


class SQSClient:
    """A client whose methods are awaited."""
