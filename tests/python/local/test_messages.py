"""Sending, receiving, deleting: what a caller of the embedded SQS gets back."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from turbosqs.local import Server


def error(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def take(sqs: Any, url: str, **members: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **members).get("Messages", [])
    return messages


def counts(sqs: Any, url: str) -> list[str]:
    """How many messages are visible, and how many in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [attributes[name] for name in names]


def test_a_message_comes_back_as_it_was_sent(sqs: Any, url: str) -> None:
    attributes = {
        "text": {"DataType": "String.label", "StringValue": "wört"},
        "number": {"DataType": "Number", "StringValue": "-1.5e3"},
        "bytes": {"DataType": "Binary.gif", "BinaryValue": bytes(range(256))},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    body = 'line\n\ttab "quoted" \\ 🚀 \ud7ff\ue000'
    sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes, MessageSystemAttributes=trace)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert len(sent["MD5OfMessageSystemAttributes"]) == 32
    assert "SequenceNumber" not in sent
    [message] = take(sqs, url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])
    assert message["Body"] == body
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert set(message["Attributes"]) == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "AWSTraceHeader",
    }


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], []),
        (["All"], ["General", "Hello", "Help.Me"]),
        ([".*"], ["General", "Hello", "Help.Me"]),
        (["Hel.*"], ["Hello", "Help.Me"]),
        (["Foo", "Help"], []),
        (["Foo", "Hello"], ["Hello"]),
    ],
)
def test_attribute_names_choose_what_is_shown_and_digested(
    sqs: Any, url: str, names: list[str], shown: list[str]
) -> None:
    values = {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    sqs.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=attributes)
    [message] = take(sqs, url, MessageAttributeNames=names)
    assert sorted(message.get("MessageAttributes", {})) == shown
    # What the real service answered for these three choices.
    known = {3: "4c360f3fdafd970e05fae2f149d997f5", 1: "a311262e065454b75da111d535b8dacd", 0: None}
    if len(shown) in known:
        assert message.get("MD5OfMessageAttributes") == known[len(shown)]


def test_nothing_to_say_is_left_out(sqs: Any, url: str) -> None:
    assert set(sqs.receive_message(QueueUrl=url)) == {"ResponseMetadata"}
    sent = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "b"}])
    assert set(sent) == {"Successful", "ResponseMetadata"}
    failed = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": "garbage"}])
    assert set(failed) == {"Failed", "ResponseMetadata"}
    assert failed["Failed"] == [
        {
            "Id": "a",
            "SenderFault": True,
            "Code": "ReceiptHandleIsInvalid",
            "Message": 'The input receipt handle "garbage" is not a valid receipt handle.',
        }
    ]


def test_a_batch_fails_by_its_entries(sqs: Any, server: Server) -> None:
    url = server.create_queue("small", {"MaximumMessageSize": "1024"})
    reply = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "fits", "MessageBody": "a" * 1024},
            {"Id": "long", "MessageBody": "a" * 1025},
            {"Id": "bad", "MessageBody": "\x08"},
            {"Id": "late", "MessageBody": "a", "DelaySeconds": 901},
            {"Id": "empty", "MessageBody": ""},
        ],
    )
    assert [entry["Id"] for entry in reply["Successful"]] == ["fits"]
    failed = {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in reply["Failed"]}
    assert failed == {
        "long": ("InvalidParameterValue", True),
        "bad": ("InvalidMessageContents", True),
        "late": ("InvalidParameterValue", True),
        # Recorded (redpanda-data/connect issue 1070): alone it is MissingParameter.
        "empty": ("EmptyValue", True),
    }
    assert reply["Failed"][3]["Message"] == "No Value Found for SendMessageBatchRequestEntry.5.MessageBody."
    assert reply["Failed"][0]["Message"] == (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    )


BATCH_ERRORS = [
    ([], "EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request."),
    (
        [{"Id": str(i), "MessageBody": "b"} for i in range(11)],
        "TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 11.",
    ),
    ([{"Id": "a", "MessageBody": "b"}] * 2, "BatchEntryIdsNotDistinct", "Id a repeated."),
    (
        [{"Id": "a b", "MessageBody": "b"}],
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
        "It can be at most 80 letters long.",
    ),
    (
        [{"Id": str(i), "MessageBody": "a" * 600_000} for i in range(2)],
        "BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1200000 bytes.",
    ),
]


@pytest.mark.parametrize(("entries", "code", "text"), BATCH_ERRORS, ids=[row[1] for row in BATCH_ERRORS])
def test_a_batch_is_refused_as_a_whole(sqs: Any, url: str, entries: list[Any], code: str, text: str) -> None:
    assert error(sqs.send_message_batch, QueueUrl=url, Entries=entries) == (f"AWS.SimpleQueueService.{code}", text)
    assert take(sqs, url) == []


def test_list_values_refuse_all_of_a_batch(sqs: Any, url: str) -> None:
    # Recorded (ruby-shoryuken issue 769), with lists that were empty.
    for value in (
        {"DataType": "String", "StringValue": "v", "StringListValues": []},
        {"DataType": "B", "BinaryListValues": [b""]},
    ):
        entries = [{"Id": "a", "MessageBody": "b"}, {"Id": "b", "MessageBody": "b", "MessageAttributes": {"n": value}}]
        assert error(sqs.send_message_batch, QueueUrl=url, Entries=entries) == (
            "AWS.SimpleQueueService.UnsupportedOperation",
            "Message attribute list values in SendMessageBatch operation are not supported.",
        )
        assert error(sqs.send_message, QueueUrl=url, MessageBody="b", MessageAttributes={"n": value}) == (
            "AWS.SimpleQueueService.UnsupportedOperation",
            "Message attribute list values in SendMessage operation are not supported.",
        )
    assert take(sqs, url) == []


def test_what_an_entry_has_that_its_queue_does_not_know(sqs: Any, url: str) -> None:
    # Recorded without the sentence that SendMessage puts around it (aws-sdk-js issue 3187).
    reply = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "b", "MessageDeduplicationId": "d"}]
    )
    assert reply["Failed"] == [
        {
            "Id": "a",
            "SenderFault": True,
            "Code": "InvalidParameterValue",
            "Message": "The request include parameter that is not valid for this queue type",
        }
    ]


TEXT = {"DataType": "String", "StringValue": "v"}
SEND_ERRORS: list[tuple[str, dict[str, Any], str, str]] = [
    ("empty", {"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
    (
        "too long",
        {"MessageBody": "a" * 1_048_577},
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    ),
    (
        "too long with attributes",
        {"MessageBody": "a" * 1_048_560, "MessageAttributes": {"name": TEXT, "other": TEXT}},
        "InvalidParameterValue",
        "Message must be shorter",
    ),
    ("control character", {"MessageBody": "a\x0bb"}, "InvalidMessageContents", "Invalid characters found."),
    ("U+FFFE", {"MessageBody": "a\ufffe"}, "InvalidMessageContents", "Invalid characters found."),
    (
        "delay",
        {"MessageBody": "a", "DelaySeconds": 901},
        "InvalidParameterValue",
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
    ),
    (
        "eleven attributes",
        {"MessageBody": "a", "MessageAttributes": {f"a{i}": TEXT for i in range(11)}},
        "InvalidParameterValue",
        "Number of message attributes [11] exceeds the allowed maximum [10].",
    ),
    (
        "attribute type",
        {"MessageBody": "a", "MessageAttributes": {"a": {"DataType": "Text", "StringValue": "v"}}},
        "InvalidParameterValue",
        "You must use only the following supported type prefixes: Binary, Number, String.",
    ),
    (
        "empty attribute",
        {"MessageBody": "a", "MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}},
        "InvalidParameterValue",
        "Message (user) attribute 'a' must contain a non-empty value of type 'String'.",
    ),
    (
        "not a number",
        {"MessageBody": "a", "MessageAttributes": {"a": {"DataType": "Number", "StringValue": "ten"}}},
        "InvalidParameterValue",
        "Can't cast the value of message (user) attribute 'a' to a number.",
    ),
    *(
        (
            f"attribute name {name!r}",
            {"MessageBody": "a", "MessageAttributes": {name: TEXT}},
            "InvalidParameterValue",
            "Message (user) attribute" if "." not in name else "You can't use message attribute names",
        )
        for name in ["a b", "n" * 257, ".a", "a.", "AWS.a", "amazon.a"]
    ),
    (
        "deduplication on a standard queue",
        {"MessageBody": "a", "MessageDeduplicationId": "d"},
        "InvalidParameterValue",
        "The request include parameter that is not valid for this queue type",
    ),
    (
        "group id",
        {"MessageBody": "a", "MessageGroupId": "group 123"},
        "InvalidParameterValue",
        "Value group 123 for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include "
        "alphanumeric and punctuation characters. 1 to 128 in length.",
    ),
    (
        "system attribute",
        {"MessageBody": "a", "MessageSystemAttributes": {"Other": TEXT}},
        "InvalidParameterValue",
        "AWSTraceHeader",
    ),
]


@pytest.mark.parametrize(("members", "code", "text"), [row[1:] for row in SEND_ERRORS], ids=[r[0] for r in SEND_ERRORS])
def test_what_cannot_be_sent(sqs: Any, url: str, members: dict[str, Any], code: str, text: str) -> None:
    got, message = error(sqs.send_message, QueueUrl=url, **members)
    assert got == code
    assert text in message


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"MaxNumberOfMessages": 11},
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between",
        ),
        ({"MaxNumberOfMessages": 0}, "Value 0 for parameter MaxNumberOfMessages is invalid."),
        ({"WaitTimeSeconds": 21}, "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20"),
        ({"VisibilityTimeout": 43201}, "Value 43201 for parameter VisibilityTimeout is invalid."),
        ({"ReceiveRequestAttemptId": "a"}, "not valid for this queue type"),
    ],
)
def test_what_cannot_be_asked_of_a_receive(sqs: Any, url: str, members: dict[str, Any], text: str) -> None:
    code, message = error(sqs.receive_message, QueueUrl=url, **members)
    assert code == "InvalidParameterValue"
    assert text in message


def test_an_unknown_system_attribute(sqs: Any, url: str) -> None:
    assert error(sqs.receive_message, QueueUrl=url, AttributeNames=["Colour"]) == (
        "InvalidAttributeName",
        "Unknown Attribute Colour.",
    )


def test_visibility_ends(sqs: Any, server: Server, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [first] = take(sqs, url, VisibilityTimeout=30)
    server.advance(29.9)
    assert take(sqs, url) == []
    server.advance(0.1)
    [second] = take(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}


@pytest.mark.parametrize("received_again", [True, False])
def test_an_old_handle_deletes(sqs: Any, server: Server, url: str, received_again: bool) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [first] = take(sqs, url, VisibilityTimeout=1)
    server.advance(1)
    if received_again:
        [_] = take(sqs, url)
    for _ in range(3):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert set(counts(sqs, url)) == {"0"}


def test_an_old_handle_changes_the_visibility_of_what_another_has(sqs: Any, server: Server, url: str) -> None:
    # As the real service was seen to (LocalStack's test_terminate_visibility_timeout_after_receive).
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [first] = take(sqs, url, VisibilityTimeout=0)
    [_] = take(sqs, url, VisibilityTimeout=300)
    entry = {"Id": "old", "ReceiptHandle": first["ReceiptHandle"], "VisibilityTimeout": 2}
    reply = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])
    assert reply["Successful"] == [{"Id": "old"}]
    assert take(sqs, url) == []
    server.advance(2)
    assert len(take(sqs, url)) == 1
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert len(take(sqs, url)) == 1


def test_an_old_handle_hides_what_is_visible_again(sqs: Any, server: Server, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [first] = take(sqs, url, VisibilityTimeout=1)
    server.advance(2)
    handle = {"QueueUrl": url, "ReceiptHandle": first["ReceiptHandle"]}
    sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    assert counts(sqs, url) == ["1", "0"]
    sqs.change_message_visibility(**handle, VisibilityTimeout=30)
    assert counts(sqs, url) == ["0", "1"]
    assert take(sqs, url) == []
    server.advance(30)
    # The twelve hours count from the latest receive.
    server.advance(12 * 3600)
    code, text = error(sqs.change_message_visibility, **handle, VisibilityTimeout=30)
    assert (code, text[:44]) == ("InvalidParameterValue", "Value 30 for parameter VisibilityTimeout is ")
    assert len(take(sqs, url)) == 1
    sqs.change_message_visibility(**handle, VisibilityTimeout=43200)


def test_changing_visibility(sqs: Any, server: Server, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [message] = take(sqs, url)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=100)
    server.advance(99)
    assert take(sqs, url) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    [message] = take(sqs, url)
    reply = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 5},
            {"Id": "bad", "ReceiptHandle": "x", "VisibilityTimeout": 5},
            {"Id": "long", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 43201},
        ],
    )
    assert reply["Successful"] == [{"Id": "good"}]
    assert [entry["Code"] for entry in reply["Failed"]] == ["ReceiptHandleIsInvalid", "InvalidParameterValue"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    code, text = error(
        sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5
    )
    assert code == "InvalidParameterValue"
    assert text.endswith("Reason: Message does not exist or is not available for visibility timeout change.")


def test_a_handle_of_another_queue_is_not_a_handle(sqs: Any, server: Server, url: str) -> None:
    other = server.create_queue("other")
    sqs.send_message(QueueUrl=other, MessageBody="a")
    [message] = take(sqs, other)
    code, _ = error(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert code == "ReceiptHandleIsInvalid"


def test_delay_of_message_and_queue(sqs: Any, server: Server) -> None:
    url = server.create_queue("slow", {"DelaySeconds": "10"})
    sqs.send_message(QueueUrl=url, MessageBody="queue")
    sqs.send_message(QueueUrl=url, MessageBody="own", DelaySeconds=5)
    sqs.send_message(QueueUrl=url, MessageBody="none", DelaySeconds=0)
    seen = []
    for _ in range(3):
        seen.append([message["Body"] for message in take(sqs, url, MaxNumberOfMessages=10)])
        server.advance(5)
    assert seen == [["none"], ["own"], ["queue"]]


def test_retention(sqs: Any, server: Server) -> None:
    url = server.create_queue("short", {"MessageRetentionPeriod": "60"})
    sqs.send_message(QueueUrl=url, MessageBody="a")
    server.advance(60)
    assert take(sqs, url) == []
    assert counts(sqs, url) == ["0", "0"]


@pytest.mark.parametrize("why", ["arrival", "visibility", "delay", "change"])
def test_a_long_poll_wakes(sqs: Any, server: Server, url: str, why: str) -> None:
    if why == "delay":
        sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=10)
    elif why != "arrival":
        sqs.send_message(QueueUrl=url, MessageBody="a")
        [message] = take(sqs, url, VisibilityTimeout=10)
    before = server.stats()["requests"].get("ReceiveMessage", 0)
    got: list[str] = []
    waiting = threading.Thread(target=lambda: got.extend(m["Body"] for m in take(sqs, url, WaitTimeSeconds=20)))
    waiting.start()
    while server.stats()["requests"].get("ReceiveMessage", 0) == before:
        pass
    server.advance(9.9)
    assert waiting.is_alive()
    match why:
        case "arrival":
            sqs.send_message(QueueUrl=url, MessageBody="a")
        case "change":
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        case _:
            server.advance(0.1)
    waiting.join(5)
    assert got == ["a"]


@pytest.mark.parametrize("why", ["visibility", "delay"])
def test_a_long_poll_wakes_by_the_machines_clock(connect: Any, why: str) -> None:
    with Server(queues=["orders"]) as server:
        sqs = connect(server)
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=1 if why == "delay" else 0)
        if why == "visibility":
            take(sqs, url, VisibilityTimeout=1)
        # It comes when it is due and not when the poll ends: the poll would outlive the client's patience.
        assert [m["Body"] for m in take(connect(server, config=Config(read_timeout=10)), url, WaitTimeSeconds=20)] == [
            "a"
        ]


def test_a_long_poll_ends_when_its_queue_is_deleted(sqs: Any, server: Server, url: str) -> None:
    caught: list[str] = []

    def poll() -> None:
        try:
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        except ClientError as problem:
            caught.append(problem.response["Error"]["Code"])

    waiting = threading.Thread(target=poll)
    waiting.start()
    while not server.stats()["requests"].get("ReceiveMessage"):
        pass
    sqs.delete_queue(QueueUrl=url)
    waiting.join(5)
    assert caught == ["AWS.SimpleQueueService.NonExistentQueue"]


def test_a_poll_by_the_queues_own_wait_time(server: Server, sqs: Any) -> None:
    url = server.create_queue("patient", {"ReceiveMessageWaitTimeSeconds": "20"})
    waiting = threading.Thread(target=take, args=(sqs, url))
    waiting.start()
    while not server.stats()["requests"].get("ReceiveMessage"):
        pass
    assert waiting.is_alive()
    server.advance(20)
    waiting.join(5)
    assert not waiting.is_alive()
    # 0 in the request overrules it.
    assert take(sqs, url, WaitTimeSeconds=0) == []
