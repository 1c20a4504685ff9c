"""Handlers written for AWS Lambda: the event that they are given, its context, and what they return."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from .._core import Client, monotonic
from ..types import Message
from .functions import name_of

#: How many messages an event has at most, unless ``batch_size`` says otherwise: Lambda's own default.
BATCH_SIZE = 10

#: How long Lambda lets a function run at most, in seconds.
TIMEOUT = 900


class Context:
    """What a Lambda handler is given beside its event.

    Attributes:
        function_name: the handler's ``__name__``.
        function_version: ``$LATEST``.
        invoked_function_arn: made of the queue's region and account and the name.
        memory_limit_in_mb: 0: there is no limit.
        aws_request_id: a new one for each call.
        log_group_name, log_stream_name: as Lambda names them.
        identity, client_context: None.
    """

    memory_limit_in_mb = 0
    identity = None
    client_context = None
    function_version = "$LATEST"

    def __init__(self, function_name: str, arn: str) -> None:
        """A call begins.

        Args:
            function_name: the handler's.
            arn: the function's.
        """
        self.function_name = function_name
        self.invoked_function_arn = arn
        self.aws_request_id = str(uuid4())
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = self.aws_request_id
        self._deadline = monotonic() + TIMEOUT

    def get_remaining_time_in_millis(self) -> int:
        """What is left of fifteen minutes, which is as long as Lambda itself lets a function run.

        Nothing happens when they are over: a consumer keeps messages for as long as their handler takes.
        """
        return max(0, int((self._deadline - monotonic()) * 1000))

    def __repr__(self) -> str:
        return f"Context(function_name={self.function_name!r}, aws_request_id={self.aws_request_id!r})"


class LambdaHandler:
    """A handler of batches that calls a function as Lambda would: with an event and a context."""

    def __init__(self, function: Callable[[dict[str, Any], Context], Any], client: Client, queue_url: str) -> None:
        """Wrap a function.

        Args:
            function: of an event and a context.
            client: for region and partition.
            queue_url: of the queue that the messages are from.
        """
        self._function = function
        self._name = name_of(function)
        url = urlsplit(queue_url)
        # https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, and what stands in for it.
        host = (url.hostname or "").split(".")
        self._region = host[1] if host[0] == "sqs" and len(host) > 3 else client.region_name
        account, _, queue = url.path.rpartition("/")
        account = account.rpartition("/")[2]
        self._source = f"arn:{client.partition}:sqs:{self._region}:{account}:{queue}"
        self._arn = f"arn:{client.partition}:lambda:{self._region}:{account}:function:{self._name}"

    def __call__(self, messages: Sequence[Message]) -> Any:
        """Call the function.

        Args:
            messages: a batch, as ``receive_message`` gives them.

        Returns:
            What it returns: a coroutine, if it is a coroutine function.
        """
        return self._function(self.event(messages), Context(self._name, self._arn))

    def event(self, messages: Sequence[Message]) -> dict[str, Any]:
        """The event that Lambda would make of these messages."""
        return {"Records": [self._record(message) for message in messages]}

    def _record(self, message: Mapping[str, Any]) -> dict[str, Any]:
        attributes = message.get("MessageAttributes", {})
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message.get("Attributes", {})),
            "messageAttributes": {name: _attribute(attribute) for name, attribute in attributes.items()},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source,
            "awsRegion": self._region,
        }
        if "MD5OfMessageAttributes" in message:
            record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
        return record


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if "StringValue" in attribute:
        made["stringValue"] = attribute["StringValue"]
    if "BinaryValue" in attribute:
        made["binaryValue"] = b64encode(attribute["BinaryValue"]).decode()
    return {**made, "stringListValues": [], "binaryListValues": [], "dataType": attribute["DataType"]}


def answer_of(result: Any) -> Any:
    """What a Lambda handler's result says of its batch: failures, if it names any; anything else is passed over."""
    return result if isinstance(result, Mapping) and "batchItemFailures" in result else None
