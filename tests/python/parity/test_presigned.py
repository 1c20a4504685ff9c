"""``generate_presigned_url``: the same URL, signed so that it holds."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore
import botocore.auth
import pytest
from support.libraries import BOTO3, SUBJECT, Library, ours
from support.observe import Raised, Returned, outcome, same

OPTIONS: dict[str, Callable[[Library], dict[str, Any]]] = {
    "by default": lambda _: {},
    "with a token": lambda _: {"aws_session_token": "token/with+odd=characters"},
    "elsewhere": lambda _: {"endpoint_url": "http://127.0.0.1:9324/some/path"},
    "in another region": lambda _: {"region_name": "cn-north-1"},
    "unsigned": lambda library: {"config": library.config(signature_version=botocore.UNSIGNED)},
}
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "nothing": (("list_queues",), {}),
    "a text": (("get_queue_url",), {"Params": {"QueueName": "q"}}),
    "many": (
        ("send_message",),
        {"Params": {"QueueUrl": "http://h/1/q", "MessageBody": "a b&c=d/ü🚀+%", "DelaySeconds": 5}},
    ),
    "nested": (
        ("send_message_batch",),
        {
            "Params": {
                "QueueUrl": "u",
                "Entries": [
                    {
                        "Id": "a",
                        "MessageBody": "b",
                        "MessageAttributes": {"x": {"DataType": "Binary", "BinaryValue": b"\0\1"}},
                    }
                ],
            }
        },
    ),
    "a list": (("get_queue_attributes",), {"Params": {"QueueUrl": "u", "AttributeNames": ["All", "Policy"]}}),
    "a time": (("list_queues",), {"ExpiresIn": 60}),
    "a time of zero": (("list_queues",), {"ExpiresIn": 0}),
    "a time as text": (("list_queues",), {"ExpiresIn": "60"}),
    "a time too long": (("list_queues",), {"ExpiresIn": 10**9}),
    "a time that is None": (("list_queues",), {"ExpiresIn": None}),
    "a time as long as can be": (("list_queues",), {"ExpiresIn": 2**64 - 1}),
    "another method": (("list_queues",), {"HttpMethod": "GET"}),
    "a method that is none": (("list_queues",), {"HttpMethod": "NONSENSE"}),
    "all by position": (("get_queue_url", {"QueueName": "q"}, 60, "GET"), {}),
    "no parameters": (("list_queues",), {"Params": None}),
    "a missing parameter": (("get_queue_url",), {}),
    "a wrong parameter": (("get_queue_url",), {"Params": {"QueueName": 5, "Nonsense": 1}}),
    "an unknown operation": (("nonsense",), {}),
    "an operation by its API name": (("ListQueues",), {}),
    "no operation": ((), {}),
    "an unknown argument": (("list_queues",), {"Nonsense": 1}),
}
CHANGING = {"X-Amz-Date", "X-Amz-Signature", "X-Amz-Credential"}


def parts(url: str) -> dict[str, Any]:
    """The parts of a URL in their order, with what the clock decides taken out."""
    split = urlsplit(url)
    query = [
        (name, "" if name in CHANGING else value) for name, value in parse_qsl(split.query, keep_blank_values=True)
    ]
    key = dict(parse_qsl(split.query)).get("X-Amz-Credential", "").split("/")
    return {
        "scheme": split.scheme,
        "host": split.netloc,
        "path": split.path,
        "query": query,
        "scope": key[:1] + key[2:],
    }


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", CALLS)
def test_url(name: str, options: str) -> None:
    arguments, keywords = CALLS[name]
    results = []
    for library in (BOTO3, SUBJECT):
        client = library.client(**OPTIONS[options](library))
        result = outcome(client.generate_presigned_url, *arguments, **keywords)
        results.append(Returned(parts(result.value)) if isinstance(result, Returned) else result)
    if isinstance(results[0], Raised) and isinstance(results[0].error, TypeError):
        # Python's own sentence names the function as its author wrote it.
        assert isinstance(results[1], Raised)
        assert type(results[1].error) is TypeError
    else:
        same(*results)


@pytest.mark.parametrize("seconds", [-1, 2**64, 10**30, "", "soon", "-5", "1.5"], ids=repr)
def test_impossible_expiries(seconds: Any) -> None:
    """boto3 signs them."""
    boto3, subject = (library.client() for library in (BOTO3, SUBJECT))
    assert f"X-Amz-Expires={seconds}&" in boto3.generate_presigned_url("list_queues", ExpiresIn=seconds)
    if ours("impossible expiries"):
        with pytest.raises(ValueError, match="ExpiresIn must be a number of seconds, not " + re.escape(repr(seconds))):
            subject.generate_presigned_url("list_queues", ExpiresIn=seconds)


@pytest.mark.parametrize("options", ["by default", "with a token", "elsewhere", "in another region"])
@pytest.mark.parametrize("name", ["nothing", "a text", "many", "nested", "a time", "a time as text", "another method"])
def test_signature(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole URL, signature and all, is the one that boto3 makes at the moment which the URL names."""
    arguments, keywords = CALLS[name]
    boto3, subject = (library.client(**OPTIONS[options](library)) for library in (BOTO3, SUBJECT))
    url = subject.generate_presigned_url(*arguments, **keywords)
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    moment = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 60
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
    assert url == boto3.generate_presigned_url(*arguments, **keywords)
