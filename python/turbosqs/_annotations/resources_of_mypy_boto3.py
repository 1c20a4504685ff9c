"""``mypy_boto3_sqs``'s resource, or where it is not installed the other package's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import type_check_only

    from mypy_boto3_sqs.service_resource import *
    from types_boto3_sqs.service_resource import *
    from .absent import *
    from types_boto3_sqs.service_resource import *
    from mypy_boto3_sqs.service_resource import *

    @type_check_only
    class Resource(SQSServiceResource):  # type: ignore[misc, unused-ignore]
        """A resource."""
