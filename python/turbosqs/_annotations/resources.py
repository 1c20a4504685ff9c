"""boto3's resource of SQS."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import type_check_only

    from . import resources_of_mypy_boto3, resources_of_types_boto3

    @type_check_only
    class Resource(resources_of_mypy_boto3.Resource, resources_of_types_boto3.Resource):
        """What code takes that is annotated with either package's ``SQSServiceResource``."""
