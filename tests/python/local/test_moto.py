"""The embedded SQS beside moto's server: boto3 plays the parity cases on both, and they agree, or it says here why not.

Where the two differ, AWS's documentation is named; "recorded" is what the real service answered to the same request.
No case shows two more differences, both of FIFO queues and both as AWS-validated tests of LocalStack have it:

* Messages before the one in flight can be had (LocalStack PR 13386); moto locks the whole group.
* A group that comes back stands at the end; moto goes by the order of sending.

`test_fifo.py` tests ours.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.cases import CASES
from support.cases.language import BOTH, Case, drive
from support.libraries import BOTO3
from support.observe import Outcome, Returned
from turbosqs.local import Server

#: Members that each server invents, or that name the server.
OWN = {
    "RequestId",
    "HTTPHeaders",
    "MessageId",
    "ReceiptHandle",
    "SequenceNumber",
    "SenderId",
    "NextToken",
    "resume",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
}

#: Members left out of every comparison, with the reason.
PASSED_OVER = {
    "Message": "moto words many refusals in its own way; ours are the service's, as recorded, and tested as such",
    "QueryErrorCode": "moto repeats Code; the service names its shapes (recorded: InvalidParameterValueException)",
    "HTTPStatusCode": "moto takes it from the model of the query protocol in places where the service says 400",
    "MD5OfMessageSystemAttributes": "API_SendMessage: returned with message system attributes; moto leaves it out",
    "Version": "of a policy made by AddPermission: 2008-10-17 (recorded)",
}

#: Cases in which the two come to different things, with the reason.
DIFFERENCES = {
    r"paginate list_queues with (a token of its own|bad settings)": "API_ListQueues: MaxResults is from 1 to 1000, and "
    "NextToken must be one that the service returned; moto checks neither",
    r"set_queue_attributes policy": "API_GetQueueAttributes: Policy returns the policy; moto drops one that is empty",
    r"a queue URL that is (empty|of another scheme)": "QueueUrl is a required address; moto looks at its end",
    r"create_queue fifo without the attribute": "API_CreateQueue: FifoQueue must be provided to make a FIFO queue",
    r"create_queue with a dead-letter queue that is not there": "the policy is what is invalid, not the queue asked of",
    r"purged twice": "API_PurgeQueue: once in 60 seconds; off here unless asked for with sixty_second_rules",
    r"send_message with an empty body": "API_SendMessage: the minimum length is one character",
    r"send_message with (a null|a backspace|an escape|a form feed|U\+FFF[EF])": "API_SendMessage: refused characters",
    r"send_message with (a high surrogate|a low surrogate|surrogates in)": "no Unicode text: moto fails with a 500",
    r"send_message with a (negative|huge) delay": "API_SendMessage: DelaySeconds from 0 to 900",
    r"send_message with a group on a standard queue": "API_SendMessage: the characters that MessageGroupId may have",
    r"send_message with 11 attributes": "message metadata: up to 10 attributes",
    r"send_message with a reserved attribute name": "message metadata: names must not begin with AWS. or Amazon.",
    r"send_message with an attribute name (with two dots|too long)": "message metadata: no two periods in a row, and "
    "at most 256 characters",
    r"send_message with (an empty (text|binary)|a (text as|binary as|list of|word for)|no value)": "message metadata: "
    "a value is not empty, fits its type, and is no list",
    r"change_message_visibility of a deleted message": "recorded: InvalidParameterValue, the handle being a good one",
    r"send_message_batch with one (refused|empty|bad)": "API_SendMessageBatch: entries fail one by one",
    r"delete_message_batch with an id twice": "API_DeleteMessageBatch: BatchEntryIdsNotDistinct; moto does not look",
    r"change_message_visibility_batch of none": "EmptyBatchRequest; moto does not look",
    r"(receive_message|change_message_visibility) of \d{19,}": "no 64-bit integer: SerializationException",
}


def essence(value: Any) -> Any:
    """A reply without what each server makes up itself."""
    match value:
        case dict():
            kept = {key: essence(member) for key, member in value.items() if key not in OWN | set(PASSED_OVER)}
            # API_SendMessageBatch and its like: the service leaves an empty list out, and no tags are no Tags
            # (recorded); moto writes both.
            return {
                key: member for key, member in kept.items() if key not in ("Failed", "Successful", "Tags") or member
            }
        case list():
            return [essence(member) for member in value]
        case str() if value.startswith("{"):
            try:
                return essence(json.loads(value))
            except ValueError:
                return value
        case str():
            return re.sub(r"http://127\.0\.0\.1:\d+", "http://server", value)
        case _:
            return value


def outcome_of(method: str, outcome: Outcome) -> Any:
    if isinstance(outcome, Returned):
        return method, essence(outcome.value)
    if isinstance(outcome.error, ClientError):
        return method, outcome.error.response["Error"]["Code"]
    return method, type(outcome.error), str(outcome.error)


@pytest.fixture(scope="module")
def pair(moto_url: str) -> Iterator[tuple[Any, Any, Server]]:
    """A client of moto, one of ours, and our server; moto's account is another than ours would be."""
    with Server(account="123456789012") as server:
        clients = BOTO3.client(moto_url), BOTO3.client(server.endpoint_url)
        yield (*clients, server)
        for client in clients:
            client.close()


def transcript(case: Case, client: Any, advance: Any) -> list[Any]:
    return [outcome_of(method, outcome) for method, outcome in drive(case, client, advance)]


SHARED = [case for case in CASES if case.servers == BOTH]


def reason(case: Case) -> str | None:
    return next((why for name, why in DIFFERENCES.items() if re.match(name, case.name)), None)


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_they_agree_or_it_is_said_why(case: Case, pair: tuple[Any, Any, Server], moto_url: str) -> None:
    moto, embedded, server = pair
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST"), timeout=10).close()
    server.reset()
    theirs = transcript(case, moto, None)
    ours = transcript(case, embedded, server.advance)
    if reason(case) is None:
        assert ours == theirs
    else:
        # An excuse that is no longer needed goes.
        assert ours != theirs
