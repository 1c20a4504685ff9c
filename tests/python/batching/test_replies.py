"""A call that shared a request has exactly the reply that a call of its own would have had."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.observe import Returned, describe, same
from support.relay import Relay
from support.together import connect, drain, together
from turbosqs.local import Server
from turbosqs.sqs import SQS

ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "Größe 🚀"},
    "number": {"DataType": "Number", "StringValue": "-12.5e3"},
    "binary": {"DataType": "Binary", "BinaryValue": b"\x00\xff\xfe"},
    "own.text": {"DataType": "String.json", "StringValue": '{"a": "\\"}'},
    "own.binary": {"DataType": "Binary.png", "BinaryValue": bytearray(b"\x89PNG")},
}
TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
#: One more than a batch holds is the opener; these fill one request.
SENDS: list[dict[str, Any]] = [
    {"MessageBody": "x"},
    {"MessageBody": 'quote " backslash \\ newline \n tab \t'},
    {"MessageBody": "Ünï🚀 \u2028 \ufffd", "DelaySeconds": 0},
    {"MessageBody": "attributes", "MessageAttributes": ATTRIBUTES},
    {"MessageBody": "trace", "MessageSystemAttributes": TRACE},
    {"MessageBody": "both", "MessageAttributes": {"a": ATTRIBUTES["binary"]}, "MessageSystemAttributes": TRACE},
    {"MessageBody": "late", "DelaySeconds": 900},
    {"MessageBody": "fair", "MessageGroupId": "tenant"},
    {"MessageBody": " \n "},
    {"MessageBody": '{"QueueUrl":"no","Entries":[]}', "MessageAttributes": {}},
]


def split(result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reply without its metadata, and the metadata."""
    assert isinstance(result, Returned), describe(result)
    reply = dict(result.value)
    return reply, reply.pop("ResponseMetadata")


def check(sqs: SQS, relay: Relay, first: Any, pairs: list[tuple[Any, Any]], action: str) -> None:
    """Calls of ours that share a request, each beside boto3's own: same members, in the same order."""
    results = together(relay, sqs, first, [ours for ours, _ in pairs])
    [request] = relay.of(f"{action}Batch")
    assert len(request.entries) == len(pairs)
    for result, (_, theirs) in zip(results, pairs, strict=True):
        reply, metadata = split(result)
        expected, expected_metadata = split(Returned(theirs()))
        same(Returned(expected), Returned(reply))
        assert list(result.value) == [*expected, "ResponseMetadata"]  # type: ignore[union-attr]
        assert list(metadata) == list(expected_metadata)


def test_sends(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    ours, theirs = server.create_queue("ours"), server.create_queue("theirs")
    pairs = [
        (partial(sqs.send_message, QueueUrl=ours, **send), partial(boto.send_message, QueueUrl=theirs, **send))
        for send in SENDS
    ]
    opener = partial(sqs.send_message, QueueUrl=ours, MessageBody="opener")
    boto.send_message(QueueUrl=theirs, MessageBody="opener")
    check(sqs, relay, opener, pairs, "SendMessage")
    server.advance(900)

    def look(url: str) -> list[str]:
        """What a receiver sees, but for what the service made up."""
        messages = drain(boto, url)
        assert len(messages) == len(SENDS) + 1
        return sorted(describe({**message, "MessageId": "", "ReceiptHandle": ""}) for message in messages)

    assert look(ours) == look(theirs)


def test_sends_to_a_fifo_queue(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    ours, theirs = server.create_queue("ours.fifo"), server.create_queue("theirs.fifo")
    sends: list[Any] = [
        {"MessageBody": f"{n}", "MessageGroupId": f"{n % 3}", "MessageDeduplicationId": f"d{n}"} for n in range(8)
    ] + [{"MessageBody": "again", "MessageGroupId": "0", "MessageDeduplicationId": "d0"}]
    pairs = [
        (partial(sqs.send_message, QueueUrl=ours, **send), partial(boto.send_message, QueueUrl=theirs, **send))
        for send in sends
    ]
    opener = partial(
        sqs.send_message, QueueUrl=ours, MessageBody="o", MessageGroupId="opener", MessageDeduplicationId="o"
    )
    check(sqs, relay, opener, pairs, "SendMessage")


def test_deletes_and_visibility_changes(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    queues = server.create_queue("ours"), server.create_queue("theirs")
    ours, theirs = queues
    for url in queues:
        for batch in range(3):
            entries = [{"Id": str(n), "MessageBody": f"{batch}{n}"} for n in range(10)]
            boto.send_message_batch(QueueUrl=url, Entries=entries)

    def handles(url: str) -> list[str]:
        got = [boto.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"] for _ in range(3)]
        return [message["ReceiptHandle"] for messages in got for message in messages]

    mine, others = handles(ours), handles(theirs)
    for action, method, more in [
        ("ChangeMessageVisibility", "change_message_visibility", {"VisibilityTimeout": 77}),
        ("DeleteMessage", "delete_message", {}),
    ]:
        relay.forget()
        call, theirs_call = (getattr(client, method) for client in (sqs, boto))
        pairs = [
            (
                partial(call, QueueUrl=ours, ReceiptHandle=left, **more),
                partial(theirs_call, QueueUrl=theirs, ReceiptHandle=right, **more),
            )
            for left, right in zip(mine[1:11], others[1:11], strict=True)
        ]
        opener = partial(call, QueueUrl=ours, ReceiptHandle=mine[0], **more)
        check(sqs, relay, opener, pairs, action)
        assert "VisibilityTimeout" not in more or {
            e["VisibilityTimeout"] for e in relay.of(f"{action}Batch")[0].entries
        } == {77}
    left = boto.get_queue_attributes(QueueUrl=ours, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    assert left["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "19"


def test_metadata_is_that_of_the_shared_request(sqs: SQS, relay: Relay, server: Server) -> None:
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(5)]
    )
    all_metadata = [split(result)[1] for result in results]
    first = all_metadata[0]
    assert all(metadata == first for metadata in all_metadata)
    assert (first["HTTPStatusCode"], first["RetryAttempts"]) == (200, 0)
    # The entries of the batch, not an entry's own few bytes: the headers are those that came.
    [batch] = relay.of("SendMessageBatch")
    assert int(first["HTTPHeaders"]["content-length"]) > 5 * 100
    assert first["HTTPHeaders"]["x-amzn-requestid"] == first["RequestId"]
    assert len(batch.reply["Successful"]) == 5
    # No two of them own a piece of the same dict.
    all_metadata[0]["HTTPHeaders"]["mine"] = "alone"
    all_metadata[0]["RetryAttempts"] = 9
    results[0].value["MessageId"] = "changed"  # type: ignore[union-attr]
    assert all("mine" not in metadata["HTTPHeaders"] for metadata in all_metadata[1:])
    assert {metadata["RetryAttempts"] for metadata in all_metadata[1:]} == {0}
    assert "changed" not in {result.value["MessageId"] for result in results[1:]}  # type: ignore[union-attr]


def test_each_caller_has_the_reply_to_its_own_message(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Ten in a request, by body: a reply given to the wrong caller would show in the MD5 or in the id."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(25)]
    )
    ids = {message["Body"]: (message["MessageId"], message["MD5OfBody"]) for message in drain(boto, url)}
    got = {f"{n}": (result.value["MessageId"], result.value["MD5OfMessageBody"]) for n, result in enumerate(results)}  # type: ignore[union-attr]
    assert got == {body: found for body, found in ids.items() if body != "o"}
    assert [len(batch.entries) for batch in relay.of("SendMessageBatch")] == [10, 10, 5]


@pytest.mark.parametrize("reversed_order", [False, True])
def test_replies_are_found_by_id_and_not_by_place(reversed_order: bool, server: Server, boto: Any) -> None:
    """The service owes nobody an order of the entries of a reply; a relay that turns it round proves that none is
    relied on."""
    url = server.create_queue("q")

    class Turning(Relay):
        def _pass_on(self, connection: Any, upstream: Any, request: Any) -> bool:
            class Connection:
                def sendall(self, wire: bytes) -> None:
                    head, _, body = wire.partition(b"\r\n\r\n")
                    said = json.loads(body)
                    if "Successful" in said and reversed_order:
                        said["Successful"].reverse()
                    body = json.dumps(said, separators=(",", ":")).encode()
                    lines = [
                        line
                        for line in head.split(b"\r\n")
                        if not line.lower().startswith((b"content-length", b"x-amz-crc32"))
                    ]
                    connection.sendall(b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", b""]) + body)

                def __getattr__(self, name: str) -> Any:
                    return getattr(connection, name)

            return super()._pass_on(Connection(), upstream, request)  # type: ignore[arg-type]

    with Turning(server.port) as turning:
        sqs = connect(turning.url, batching=turbosqs.Batching(linger=60))
        send = partial(sqs.send_message, QueueUrl=url)
        results = together(
            turning, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(7)]
        )
        sqs.close()
    ids = {message["Body"]: message["MessageId"] for message in drain(boto, url)}
    assert [split(result)[0]["MessageId"] for result in results] == [ids[f"{n}"] for n in range(7)]
