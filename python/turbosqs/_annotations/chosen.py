"""The types of requests and replies: those of a stub package, or else ours."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import *
    from mypy_boto3_sqs.literals import *
    from types_boto3_sqs.type_defs import *
    from types_boto3_sqs.literals import *
    from types_aiobotocore_sqs.type_defs import *
    from types_aiobotocore_sqs.literals import *
    from .own import *
    from types_aiobotocore_sqs.literals import *
    from types_aiobotocore_sqs.type_defs import *
    from types_boto3_sqs.literals import *
    from types_boto3_sqs.type_defs import *
    from mypy_boto3_sqs.literals import *
    from mypy_boto3_sqs.type_defs import *
