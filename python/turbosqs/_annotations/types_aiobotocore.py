"""``types_aiobotocore_sqs``'s classes, as bases of ours: code takes ours that is annotated with them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import type_check_only

    from types_aiobotocore_sqs.client import *
    from types_aiobotocore_sqs.paginator import *
    from .absent_awaited import *
    from types_aiobotocore_sqs.paginator import *
    from types_aiobotocore_sqs.client import *

    @type_check_only
    class Client(SQSClient):
        """A client."""

    @type_check_only
    class ListQueues(ListQueuesPaginator):
        """A paginator of ``list_queues``."""

    @type_check_only
    class ListDeadLetterSourceQueues(ListDeadLetterSourceQueuesPaginator):
        """A paginator of ``list_dead_letter_source_queues``."""
