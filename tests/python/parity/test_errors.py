"""How a refusal of the service becomes an exception: scripted replies, one attempt."""

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
import pytest
from support.arguments import model
from support.fakes import JSON, Reply, Scripted, fault
from support.libraries import ours
from support.observe import Raised, outcome, same

Both = tuple[Scripted, Any, Any]
PREFIX = "com.amazonaws.sqs#"
MODELLED = [shape.name for shape in model().error_shapes]


def compare(both: Both, reply: Reply) -> None:
    """The same exception, of the same modelled class or none, after the same number of requests."""
    server, *clients = both
    results = []
    for client in clients:
        server.play(reply)
        result = outcome(client.send_message, QueueUrl="u", MessageBody="b")
        error = getattr(result, "error", None)
        caught = [name for name in (*MODELLED, "ClientError") if isinstance(error, getattr(client.exceptions, name))]
        results.append([result, caught, len(server.requests)])
    same(*results, about=repr(reply))


@pytest.mark.parametrize("name", MODELLED)
def test_modelled(name: str, both: Both) -> None:
    """Every modelled error: with its query code, without one, with another, as SQS and as emulators send them."""
    code = model().shape_for(name).metadata.get("error", {}).get("code", name)
    for reply in (
        fault(400, PREFIX + name, "text", f"{code};Sender"),
        fault(400, PREFIX + name, "text"),
        fault(400, name, "text", f"{code};Receiver"),
        fault(400, PREFIX + name, "text", f"{name};Sender"),
        fault(400, PREFIX + name, "text", "Something.Else;Sender"),
        fault(400, PREFIX + code, "text", f"{code};Sender"),
        fault(400, code, "text"),
        fault(400, PREFIX + name, None, f"{code};Sender", extra=1, Message="upper case", Detail={"a": None}),
    ):
        compare(both, reply)


CODE = PREFIX + "QueueDoesNotExist"
FAULTS: dict[str, Reply] = {
    "unmodelled": fault(400, "Nonsense", "text"),
    "unmodelled with a query code": fault(400, PREFIX + "Nonsense", "text", "Old.Nonsense;Sender"),
    "access denied": fault(403, "AccessDeniedException", "not you", "AccessDenied;Sender"),
    "an expired token": fault(403, "ExpiredTokenException", "late", "ExpiredToken;Sender"),
    "a bad signature": fault(403, "SignatureDoesNotMatch", "no", "SignatureDoesNotMatch;Sender"),
    "a query code alone": fault(400, None, "text", "Old.Code;Sender"),
    "a query code without a type": fault(400, CODE, "text", "Old.Code"),
    "a query code with too much": fault(400, CODE, "text", "Old.Code;Sender;More"),
    "an empty query code": fault(400, CODE, "text", ""),
    "a semicolon": fault(400, CODE, "text", ";"),
    "a query type alone": fault(400, CODE, "text", ";Sender"),
    "a query code and an empty type": fault(400, CODE, "text", "Old.Code;"),
    "a query code with spaces": fault(400, CODE, "text", " Old.Code ; Sender"),
    "a URL before the type": fault(400, "http://internal.amazon.com/coral/" + CODE, "text"),
    "a colon after the type": fault(400, CODE + ":http://internal.amazon.com/", "text"),
    "two hashes": fault(400, "a#b#QueueDoesNotExist", "text"),
    "code in lower case": fault(400, None, "text", code="QueueDoesNotExist"),
    "code in upper case": fault(400, None, "text", Code="QueueDoesNotExist"),
    "code and type": fault(400, "QueueDoesNotExist", "text", code="OverLimit"),
    "code as a number": fault(400, None, "text", code=5),
    "a type that is null": Reply(400, b'{"__type": null, "message": "text"}'),
    "an empty type": fault(400, "", "text"),
    "no message": fault(400, CODE, None, "AWS.SimpleQueueService.NonExistentQueue;Sender"),
    "an empty message": fault(400, CODE, ""),
    "Message in upper case": fault(400, CODE, None, None, Message="upper"),
    "message in both cases": fault(400, CODE, "lower", None, Message="upper"),
    "errorMessage": fault(400, CODE, None, None, errorMessage="other"),
    "a message that is null": Reply(400, b'{"__type": "QueueDoesNotExist", "message": null}'),
    "a message that is a number": Reply(400, b'{"__type": "QueueDoesNotExist", "message": 5}'),
    "a message that is an object": Reply(400, b'{"__type": "QueueDoesNotExist", "message": {"a": 1}}'),
    "a message in unicode": fault(400, CODE, "Zürich 🚀 \n{0} %s"),
    "NaN beside": Reply(
        400, b'{"__type": "QueueDoesNotExist", "message": "m", "Limit": NaN, "a": [-Infinity, Infinity]}'
    ),
    "NaN beside a query code": Reply(
        400,
        b'{"Limit": NaN, "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "NaN \\" Infinity"}',
        [JSON, ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")],
    ),
    "NaN in a text alone": Reply(400, b'{"__type": "QueueDoesNotExist", "message": "NaN, \\"NaN\\" and -Infinity"}'),
    "a message that is NaN": Reply(400, b'{"__type": "QueueDoesNotExist", "message": NaN}'),
    "a message with infinities": Reply(
        400, b'{"__type": "ReceiptHandleIsInvalid", "message": {"a": [Infinity, 1E999]}}'
    ),
    "a message with a large number": Reply(400, b'{"__type": "QueueDoesNotExist", "message": 1' + b"0" * 400 + b"}"),
    "a message in an order": Reply(
        400, b'{"__type": "QueueDoesNotExist", "message": {"z": 1, "a": 1.50, "m": "\\u00e9"}}'
    ),
    "NaN misspelt": Reply(400, b'{"__type": "QueueDoesNotExist", "Limit": nan}'),
    "NaN with a sign": Reply(400, b'{"__type": "QueueDoesNotExist", "Limit": -NaN}'),
    "infinity with a plus": Reply(400, b'{"__type": "QueueDoesNotExist", "Limit": +Infinity}'),
    "NaN as a name": Reply(400, b'{"__type": "QueueDoesNotExist", NaN: 1}'),
    "deep nesting": Reply(
        400, b'{"a": ' + b"[" * 400 + b"]" * 400 + b', "__type": "QueueDoesNotExist", "message": "deep"}'
    ),
    "a message in deep nesting": Reply(
        400, b'{"message": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b', "__type": "QueueDoesNotExist"}'
    ),
    "a name twice": Reply(
        400, b'{"__type": "OverLimit", "message": "1", "__type": "QueueDoesNotExist", "message": "2"}'
    ),
    "half a surrogate pair beside": Reply(
        400, b'{"__type": "QueueDoesNotExist", "message": "m", "\\ud800": "\\udfff"}'
    ),
    "a header for the code": Reply(400, b"{}", [JSON, ("x-amzn-ErrorType", "QueueDoesNotExist:http://x/")]),
    "a header and a type": Reply(400, b'{"__type": "OverLimit"}', [JSON, ("x-amzn-errortype", "QueueDoesNotExist")]),
    "an empty object": Reply(400, b"{}"),
    "an empty body": Reply(400, b""),
    "half of an object": Reply(400, b'{"__type": "Queue'),
    "HTML": Reply(400, b"<html><body>Bad</body></html>", [("Content-Type", "text/html")]),
    "XML": Reply(
        400,
        b"<ErrorResponse><Error><Type>Sender</Type><Code>Old</Code><Message>m</Message></Error>"
        b"<RequestId>id</RequestId></ErrorResponse>",
        [("Content-Type", "text/xml")],
    ),
    "a request id": Reply(400, b'{"__type": "QueueDoesNotExist"}', [JSON, ("x-amzn-RequestId", "id-1")]),
    "a host id": Reply(400, b"{}", [JSON, ("x-amz-request-id", "id-1"), ("x-amz-id-2", "id-2")]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, both: Both) -> None:
    compare(both, FAULTS[name])


#: On these botocore's parser itself fails. With what it raises, and the code and message that ours has.
BROKEN: dict[str, tuple[bytes, type[Exception], str, str]] = {
    "a type that is a number": (b'{"__type": 5, "message": "text"}', TypeError, "400", "text"),
    "null": (b"null", AttributeError, "400", ""),
    "a list": (b"[]", AttributeError, "400", ""),
    "a text": (b'"text"', AttributeError, "400", ""),
    "invalid UTF-8": (
        b'{"__type": "QueueDoesNotExist", "message": "\xff"}',
        UnicodeDecodeError,
        "QueueDoesNotExist",
        "\N{REPLACEMENT CHARACTER}",
    ),
    "invalid UTF-8 and no JSON": (b"\xff", UnicodeDecodeError, "400", "\N{REPLACEMENT CHARACTER}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_refusal(name: str, both: Both) -> None:
    body, theirs, code, message = BROKEN[name]
    server, boto3, subject = both
    server.play(Reply(400, body))
    with pytest.raises(theirs):
        boto3.send_message(QueueUrl="u", MessageBody="b")
    if ours("broken refusals"):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            subject.send_message(QueueUrl="u", MessageBody="b")
        assert caught.value.response["Error"] == {"Message": message, "Code": code}
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert len(server.requests) == 2


#: Of every JSON type, with what botocore looks for in a text: in a key, in an item and in a text.
VALUES: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "zero": b"0",
    "a number": b"400",
    "a decimal": b"-1.50",
    "NaN": b"NaN",
    "an empty text": b'""',
    "a text": b'"OverLimit"',
    "a text with a hash": b'"a#OverLimit"',
    "a text with a colon": b'"OverLimit:http://x/#y"',
    "a text with both": b'"a#b#OverLimit:c#d:e"',
    "a hash": b'"#"',
    "a colon": b'":"',
    "a semicolon": b'"Over;Limit"',
    "a text that is null": b'"null"',
    "a text that is an object": b'"{}"',
    "an empty object": b"{}",
    "an object": b'{"OverLimit": 1}',
    "an object with a hash": b'{"#": 1}',
    "an object with a colon": b'{":": null}',
    "an empty list": b"[]",
    "a list": b'["OverLimit"]',
    "a list with a hash": b'["#"]',
    "a list with a colon": b'[":", {}]',
}
#: The header that brings the query protocol's code, a line for each value.
QUERY_ERRORS: dict[str, list[str]] = {
    "no header": [],
    "a header": ["AWS.SimpleQueueService.NonExistentQueue;Sender"],
    "a modelled code": ["OverLimit;Sender"],
    "an empty type": ["OverLimit;"],
    "a code alone": ["OverLimit"],
    "a type alone": [";Sender"],
    "too much": ["OverLimit;Sender;"],
    "an empty header": [""],
    "two headers": ["OverLimit;Sender", "OverLimit;Sender"],
    "two halves": ["OverLimit", "x;Sender"],
}
WELL_FORMED = {"a header", "a modelled code", "an empty type", "two halves"}


@pytest.mark.parametrize("header", QUERY_ERRORS)
def test_a_type_of_every_type(header: str, both: Both) -> None:
    """With and without a header: as boto3 has it, or a ClientError where its parser fails."""
    server, boto3, subject = both
    headers = [JSON, *(("x-amzn-query-error", value) for value in QUERY_ERRORS[header])]
    for value in VALUES.values():
        reply = Reply(400, b'{"message": "text", "__type": %s}' % value, headers)
        server.play(reply)
        theirs = outcome(boto3.send_message, QueueUrl="u", MessageBody="b")
        assert isinstance(theirs, Raised)
        if isinstance(theirs.error, botocore.exceptions.ClientError) or not ours("broken refusals"):
            compare(both, reply)
            continue
        server.play(reply)
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            subject.send_message(QueueUrl="u", MessageBody="b")
        error = {"Message": "text", "Code": "400"}
        if header in WELL_FORMED:
            code, fault = ", ".join(QUERY_ERRORS[header]).split(";")
            error |= {"Code": code, "QueryErrorCode": json.loads(value), "Type": fault}
        same(error, caught.value.response["Error"], about=repr(reply))
        assert type(caught.value) is subject.exceptions.from_code(error["Code"])
        assert len(server.requests) == 1


@pytest.mark.parametrize("member", ["message", "Message", "code", "Code"])
def test_a_member_of_every_type(member: str, both: Both) -> None:
    for value in VALUES.values():
        for header in ("no header", "a header"):
            headers = [JSON, *(("x-amzn-query-error", value) for value in QUERY_ERRORS[header])]
            for kind in (b"QueueDoesNotExist", b"OverLimit"):
                compare(both, Reply(400, b'{"__type": "%s", "%s": %s}' % (kind, member.encode(), value), headers))


def refusals(both: Both, reply: Reply) -> list[dict[str, Any]]:
    """The responses in the exceptions of both."""
    server, *clients = both
    server.play(reply)
    responses = []
    for client in clients:
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            client.send_message(QueueUrl="u", MessageBody="b")
        responses.append(caught.value.response)
    return responses


def test_a_lone_surrogate(both: Both) -> None:
    boto3, subject = refusals(both, fault(400, CODE, "\ud800 \U0001f680 x\udc00"))
    if ours("lone surrogates"):
        boto3["Error"]["Message"] = boto3["message"] = "\N{REPLACEMENT CHARACTER} \U0001f680 x\N{REPLACEMENT CHARACTER}"
    same(boto3, subject)


def test_blanks_after_a_header(both: Both) -> None:
    boto3, subject = refusals(both, fault(400, CODE, "text", " Old.Code ; Sender  "))
    if ours("header blanks"):
        boto3["Error"]["Type"] = boto3["Error"]["Type"].rstrip()
        headers = boto3["ResponseMetadata"]["HTTPHeaders"]
        headers["x-amzn-query-error"] = headers["x-amzn-query-error"].rstrip()
    same(boto3, subject)


def test_status_300(both: Both) -> None:
    boto3, subject = refusals(both, Reply(300, b'{"__type": "Nonsense", "message": "text"}'))
    if ours("status 300"):
        assert "Error" not in boto3
        boto3 = {"Error": {"Message": "text", "Code": "Nonsense"}, **boto3}
    same(boto3, subject)
    boto3, subject = refusals(both, Reply(300, b""))
    if ours("status 300"):
        assert subject["Error"] == {"Message": "", "Code": "300"}


STATUSES = (
    301,
    302,
    304,
    307,
    308,
    400,
    401,
    403,
    404,
    405,
    408,
    409,
    413,
    418,
    429,
    431,
    499,
    500,
    501,
    502,
    503,
    504,
    599,
)


@pytest.mark.parametrize("status", STATUSES)
def test_status(status: int, both: Both) -> None:
    """Each status by itself, with and without something to say."""
    bodies = (b"",) if status == 304 else (b"", b"{}", b"<html></html>", b'{"__type": "Nonsense", "message": "text"}')
    for body in bodies:
        compare(both, Reply(status, body))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirections_are_not_followed(status: int, both: Both) -> None:
    for target in ("http://127.0.0.1:1/elsewhere", "/elsewhere", ""):
        compare(both, Reply(status, b"", [("Location", target)]))
