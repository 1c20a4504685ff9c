"""What a server says, and what the caller is handed: replies byte for byte from a script."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from support.arguments import OPERATIONS, example, shaken
from support.fakes import JSON, Reply, Scripted, fault, ok
from support.libraries import ours
from support.observe import describe, outcome, same

Both = tuple[Scripted, Any, Any]


def compare(both: Both, reply: Reply, method: str = "receive_message", **arguments: Any) -> None:
    """Both make the same of a reply, after the same number of requests."""
    server, *clients = both
    results = []
    for client in clients:
        server.play(reply)
        result = outcome(getattr(client, method), **{"QueueUrl": "u", **arguments})
        results.append([result, len(server.requests)])
    same(*results)


@pytest.mark.parametrize("method", OPERATIONS)
def test_every_member_of_every_reply(method: str, both: Both) -> None:
    """All members arrive, in the model's order whatever the wire's, and unknown ones do not."""
    operation = OPERATIONS[method]
    arguments = {key: value for key, value in example(operation.input_shape).items() if key != "QueueUrl"}
    if "QueueUrl" in operation.input_shape.members:
        arguments["QueueUrl"] = "u"
    body = {} if operation.output_shape is None else shaken(operation.output_shape)
    server, *clients = both
    for reply in (ok(**body), ok(**dict.fromkeys(body)), Reply(), Reply(body=b"")):
        results = []
        for client in clients:
            server.play(reply)
            results.append(outcome(getattr(client, method), **arguments))
        same(*results, about=repr(reply))


MESSAGE = {"MessageId": "m", "ReceiptHandle": "r", "MD5OfBody": "wrong", "Body": "b"}
BODIES: dict[str, Any] = {
    "no messages": {"Messages": []},
    "null for messages": {"Messages": None},
    "null in messages": {"Messages": [None, MESSAGE]},
    "an empty message": {"Messages": [{}]},
    "wrong MD5s": {"Messages": [{**MESSAGE, "MD5OfMessageAttributes": "wrong too"}]},
    "no attributes": {"Messages": [{**MESSAGE, "Attributes": {}, "MessageAttributes": {}}]},
    "null attributes": {"Messages": [{**MESSAGE, "Attributes": None, "MessageAttributes": {"a": None}}]},
    "an attribute that is null": {"Messages": [{**MESSAGE, "Attributes": {"SenderId": None}}]},
    "unknown attributes": {"Messages": [{**MESSAGE, "Attributes": {"Invented": "yes", "SenderId": "s"}}]},
    "a number for an attribute": {"Messages": [{**MESSAGE, "Attributes": {"SentTimestamp": 5}}]},
    "binary": {
        "Messages": [{**MESSAGE, "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "AAH+/w=="}}}]
    },
    "bad base64": {"Messages": [{**MESSAGE, "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "A"}}}]},
    "loose base64": {
        "Messages": [{**MESSAGE, "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "AA H+\n/w=="}}}]
    },
    "lists of values": {
        "Messages": [
            {
                **MESSAGE,
                "MessageAttributes": {
                    "a": {"DataType": "String", "StringListValues": ["x", None], "BinaryListValues": ["eA==", "eQ=="]}
                },
            }
        ]
    },
    "a number for a body": {"Messages": [{**MESSAGE, "Body": 5}]},
    "unicode": {"Messages": [{**MESSAGE, "Body": "🚀 \ud800 \x00 é"}]},
    "an object for messages": {"Messages": {}},
    "a text for messages": {"Messages": "none"},
    "a number for messages": {"Messages": 5},
    "a number for a message": {"Messages": [5]},
    "a list for a reply": [],
    "a text for a reply": "text",
    "a number for a reply": 5,
}


#: What a proxy may say with a status of 200.
PAGES = [
    b"<html><body>Sign in</body></html>",
    b"OK",
    b"[]",
    b"null",
    b"5",
    b'"text"',
    b'{"MessageId": "m"',
    b" ",
    b"\xff",
]


@pytest.mark.parametrize("body", PAGES, ids=str)
@pytest.mark.parametrize(
    "method", ["send_message", "delete_message", "change_message_visibility", "send_message_batch"]
)
def test_a_page_with_status_200(method: str, body: bytes, both: Both) -> None:
    """A caller who is handed the reply is handed what boto3 makes of it."""
    arguments = {
        "send_message": {"MessageBody": "b"},
        "delete_message": {"ReceiptHandle": "r"},
        "change_message_visibility": {"ReceiptHandle": "r", "VisibilityTimeout": 5},
        "send_message_batch": {"Entries": [{"Id": "a", "MessageBody": "b"}]},
    }
    compare(both, Reply(body=body, headers=[("Content-Type", "text/html")]), method, **arguments[method])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BODIES)
def test_receive_message(name: str, both: Both) -> None:
    """Absent is not empty, null is absent, and nothing is checked that boto3 does not check."""
    compare(both, Reply(body=json.dumps(BODIES[name]).encode()))


def test_null_for_a_reply(both: Both) -> None:
    """An AttributeError, whose text names what the parser stumbled on."""
    server, *clients = both
    for client in clients:
        server.play(Reply(body=b"null"))
        with pytest.raises(AttributeError, match="'NoneType' object has no attribute"):
            client.receive_message(QueueUrl="u")
        assert len(server.requests) == 1


BATCHES: dict[str, Any] = {
    "nothing": {},
    "both empty": {"Successful": [], "Failed": []},
    "Failed empty": {"Successful": [{"Id": "a"}], "Failed": []},
    "Failed absent": {"Successful": [{"Id": "a", "MessageId": "m", "MD5OfMessageBody": "wrong"}]},
    "Successful absent": {"Failed": [{"Id": "a", "SenderFault": True, "Code": "C"}]},
    "Failed first": {"Failed": [{"Message": "m", "Id": "a", "SenderFault": False, "Code": "C"}], "Successful": []},
    "null": {"Successful": None, "Failed": None},
    "a text for a boolean": {"Failed": [{"Id": "a", "SenderFault": "true", "Code": "C"}]},
    "a number for a boolean": {"Failed": [{"Id": "a", "SenderFault": 1, "Code": "C"}]},
    "an unknown id": {"Successful": [{"Id": "never asked for"}]},
}


@pytest.mark.parametrize("name", BATCHES)
def test_send_message_batch(name: str, both: Both) -> None:
    compare(both, ok(**BATCHES[name]), "send_message_batch", Entries=[{"Id": "a", "MessageBody": "b"}])


NUMBERS: dict[str, Any] = {
    "int": 5,
    "float": 5.5,
    "whole float": 5.0,
    "text": "5",
    "word": "five",
    "bool": True,
    "huge": 10**30,
}

#: Where integers of the two languages and floats meet.
SPELLED = [
    "-0", "-0.0", "-0e0", "0e-400", "1e400", "-1e400", "1E5", "9007199254740993", "9007199254740993.0",
    "-9223372036854775808", "-9223372036854775809", "-18446744073709551615", "18446744073709551615",
    "18446744073709551616", "5e-324", "2.2250738585072011e-308", "0.1234567890123456789", "8.442911973260991817e-15",
    "123456789012345678e-20",
]  # fmt: skip


@pytest.mark.parametrize("number", SPELLED)
def test_spelled_numbers(number: str, both: Both) -> None:
    reply = Reply(body=f'{{"ApproximateNumberOfMessagesMoved": {number}}}'.encode())
    server, *clients = both
    results = []
    for client in clients:
        server.play(reply)
        results.append(outcome(client.cancel_message_move_task, TaskHandle="h"))
    same(*results)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, both: Both) -> None:
    """A count in a reply is whatever boto3 makes of it."""
    reply = ok(ApproximateNumberOfMessagesMoved=NUMBERS[name])
    server, *clients = both
    results = []
    for client in clients:
        server.play(reply)
        results.append(outcome(client.cancel_message_move_task, TaskHandle="h"))
    same(*results)


TEXTS: dict[str, bytes] = {
    "escapes": rb'{"QueueUrl": "\u00e9 \ud83d\ude80 \ud800 \\ \/ \" \b\f\n\r\t"}',
    "UTF-8": '{"QueueUrl": "é 🚀 \u2028"}'.encode(),
    "invalid UTF-8": b'{"QueueUrl": "\xff\xfe"}',
    "invalid UTF-8 in an unknown member": b'{"x": "\xff", "QueueUrl": "u"}',
    "invalid UTF-8 in an unknown name": b'{"\xff": 1, "QueueUrl": "u"}',
    "invalid UTF-8 deep in an unknown member": b'{"QueueUrl": "u", "x": {"a": ["\xc0\xaf"]}}',
    "invalid UTF-8 behind the end": b'{"QueueUrl": "u"}\xff',
    "a UTF-8 surrogate in an unknown member": b'{"x": "\xed\xa0\x80", "QueueUrl": "u"}',
    "a UTF-8 surrogate": b'{"QueueUrl": "\xed\xa0\x80"}',
    "a byte order mark": b'\xef\xbb\xbf{"QueueUrl": "u"}',
    "UTF-16": '{"QueueUrl": "u"}'.encode("utf-16"),
    "a control character": b'{"QueueUrl": "a\x01b"}',
    "white space": b' \r\n\t{ "QueueUrl" :\n"u" } \n',
    "the same key twice": b'{"QueueUrl": "first", "QueueUrl": "second"}',
    "NaN in an unknown member": b'{"x": NaN, "QueueUrl": "u"}',
    "infinity in an unknown member": b'{"x": -Infinity, "QueueUrl": "u"}',
    "garbage": b"\x00\x01garbage",
    "half": b'{"QueueUrl": "u',
    "two": b'{"QueueUrl": "u"}{"QueueUrl": "v"}',
    "HTML": b"<html><body>Hello</body></html>",
    "nothing": b"",
    "white space alone": b"  ",
    "deep": b'{"x": ' + b"[" * 200 + b"]" * 200 + b', "QueueUrl": "u"}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_bytes(name: str, both: Both) -> None:
    """JSON that is odd, and bodies that are not JSON."""
    reply = Reply(body=TEXTS[name])
    server, *clients = both
    results = []
    for client in clients:
        server.play(reply)
        results.append(outcome(client.get_queue_url, QueueName="q"))
    same(*results)


HEADERS: dict[str, list[tuple[str, str]]] = {
    "none": [],
    "a request id": [JSON, ("x-amzn-RequestId", "id-1")],
    "the other request id": [JSON, ("x-amz-request-id", "id-2"), ("x-amz-id-2", "id-3")],
    "both request ids": [JSON, ("x-amz-request-id", "id-2"), ("x-amzn-RequestId", "id-1")],
    "an empty request id": [JSON, ("x-amzn-RequestId", "")],
    "upper and lower case": [("CONTENT-TYPE", "a"), ("X-CamelCase", "b")],
    "the same twice": [("X-Twice", "a"), ("X-Twice", "b"), ("x-twice", "c")],
    "the request id twice": [("x-amzn-RequestId", "a"), ("x-amzn-RequestId", "b")],
    "an empty value": [("X-Empty", "")],
    "white space": [("X-Space", "   a  b")],
    "latin-1": [("X-Latin", "caf\xe9")],
    "UTF-8, as latin-1": [("X-Latin", "café 🚀".encode().decode("latin-1"))],
    "latin-1 twice": [("X-Latin", "caf\xe9"), ("X-Latin", "\xff")],
    "a request id in latin-1": [JSON, ("x-amzn-RequestId", "id-\xe9")],
    "cookies": [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    "many": [(f"X-Header-{number}", str(number)) for number in range(60)],
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name: str, both: Both) -> None:
    """Lower-case keys, in the order they came, duplicates joined."""
    server, *clients = both
    results = []
    for client in clients:
        server.play(Reply(headers=HEADERS[name]))
        metadata = client.get_queue_url(QueueName="q")["ResponseMetadata"]
        results.append([metadata, repr(metadata["HTTPHeaders"])])
    same(*results)


def test_blanks_after_a_header(both: Both) -> None:
    """Blanks after a value are kept by boto3 and no part of it in HTTP."""
    server, *clients = both
    server.play(Reply(headers=[("X-Space", "   a  b   ")]))
    replies = [client.get_queue_url(QueueName="q")["ResponseMetadata"]["HTTPHeaders"]["x-space"] for client in clients]
    assert replies == ["a  b   ", "a  b" if ours("header blanks") else "a  b   "]


#: Closed afterwards, and said to be, or the next test might find the connection still open.
WIRES: dict[str, bytes] = {
    "chunked": b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"Que\r\ne\r\nueUrl": "u"}  \r\n0\r\n\r\n',
    "to the end of the connection": b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"QueueUrl": "u"}',
    "HTTP/1.0": b'HTTP/1.0 200 OK\r\nContent-Length: 17\r\n\r\n{"QueueUrl": "u"}',
    "no reason": b'HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 17\r\n\r\n{"QueueUrl": "u"}',
}


@pytest.mark.parametrize("name", WIRES)
def test_framing(name: str, both: Both) -> None:
    """However HTTP frames a body, it is read."""
    server, *clients = both
    results = []
    for client in clients:
        server.play(Reply(raw=WIRES[name], close=True))
        results.append(outcome(client.get_queue_url, QueueName="q"))
    same(*results)


@pytest.mark.parametrize("status", [201, 202, 204, 206, 299])
def test_other_successes(status: int, both: Both) -> None:
    compare(both, Reply(status, b"" if status == 204 else b'{"Messages": []}'))


def test_a_reply_is_the_callers_own(both: Both) -> None:
    """Replies and errors can be changed, copied and pickled; nothing of one call is seen in the next."""
    server, *clients = both
    for client in clients:
        server.play(ok(Messages=[MESSAGE]))
        first = client.receive_message(QueueUrl="u")
        before = describe(first)
        assert describe(pickle.loads(pickle.dumps(first))) == before
        assert describe(copy.deepcopy(first)) == before
        first["Messages"][0]["Body"] = first["ResponseMetadata"]["HTTPHeaders"]["mine"] = "changed"
        first["Messages"].append("more")
        assert describe(client.receive_message(QueueUrl="u")) == before


def test_errors_pickle(both: Both) -> None:
    """A ClientError survives a process pool; of the modelled classes, what boto3 makes of them."""
    server, *clients = both
    results = []
    for client in clients:
        errors = []
        for reply in (
            fault(400, "Unmodelled", "m"),
            fault(400, "com.amazonaws.sqs#OverLimit", "m", "OverLimit;Sender"),
        ):
            server.play(reply)
            with pytest.raises(Exception, match="m") as caught:
                client.receive_message(QueueUrl="u")
            errors.append(outcome(lambda error: pickle.loads(pickle.dumps(error)), caught.value))
            errors.append(outcome(copy.copy, caught.value))
        results.append(errors)
    same(*results)
