"""``botocore.stub.Stubber`` on our clients as on boto3's, and nothing of it reaches the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from support.fakes import Scripted
from support.libraries import SUBJECT
from support.observe import Raised, alike

URL = "http://stubbed/q"
SENT = {"MessageId": "m", "MD5OfMessageBody": "d"}
SEND = {"QueueUrl": URL, "MessageBody": "b"}


def _response(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("send_message", SENT, SEND)
    return client.send_message(**SEND), stubber.assert_no_pending_responses()


def _any(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("send_message", SENT, {"QueueUrl": ANY, "MessageBody": ANY})
    return client.send_message(QueueUrl="any", MessageBody="any")


def _unexpected(arguments: dict[str, Any]) -> Callable[[Stubber, Any], Any]:
    def call(stubber: Stubber, client: Any) -> Any:
        stubber.add_response("send_message", SENT, SEND)
        return client.send_message(**arguments)

    return call


def _other_operation(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("send_message", SENT)
    return client.list_queues()


def _pending(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("send_message", SENT)
    stubber.add_response("send_message", SENT)
    client.send_message(**SEND)
    stubber.assert_no_pending_responses()


def _in_order(stubber: Stubber, client: Any) -> Any:
    for url in ("first", "second"):
        stubber.add_response("get_queue_url", {"QueueUrl": url})
    return [client.get_queue_url(QueueName="q")["QueueUrl"] for _ in range(2)]


def _pages(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("list_queues", {"QueueUrls": ["a"], "NextToken": "t"}, {})
    stubber.add_response("list_queues", {"QueueUrls": ["b"]}, {"NextToken": "t"})
    return client.get_paginator("list_queues").paginate().build_full_result()


def _error(**given: Any) -> Callable[[Stubber, Any], Any]:
    def call(stubber: Stubber, client: Any) -> Any:
        stubber.add_client_error("get_queue_url", **given)
        return client.get_queue_url(QueueName="q")

    return call


def _caught(stubber: Stubber, client: Any) -> Any:
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist")
    try:
        client.get_queue_url(QueueName="q")
    except client.exceptions.QueueDoesNotExist as error:
        return error.response


def _inactive(stubber: Stubber, client: Any) -> Any:
    stubber.add_response("get_queue_url", {"QueueUrl": "stubbed"})
    stubbed = client.get_queue_url(QueueName="q")["QueueUrl"]
    stubber.deactivate()
    real = client.get_queue_url(QueueName="q")["QueueUrl"]
    stubber.activate()
    stubber.add_response("get_queue_url", {"QueueUrl": "stubbed again"})
    return stubbed, real, client.get_queue_url(QueueName="q")["QueueUrl"]


STUBS: dict[str, Callable[[Stubber, Any], Any]] = {
    "a response": _response,
    "any": _any,
    "an unexpected value": _unexpected({**SEND, "MessageBody": "other"}),
    "an unexpected argument": _unexpected({**SEND, "DelaySeconds": 5}),
    "a missing argument": _unexpected({"QueueUrl": URL}),
    "a wrong type": _unexpected({"QueueUrl": URL, "MessageBody": 5}),
    "another operation": _other_operation,
    "no response": lambda _, client: client.list_queues(),
    "pending": _pending,
    "in order": _in_order,
    "pages": _pages,
    "an error": _error(),
    "an error with all": _error(
        service_error_code="OverLimit",
        service_message="too many",
        http_status_code=403,
        service_error_meta={"More": 1},
        expected_params={"QueueName": "q"},
        response_meta={"RequestId": "r"},
    ),
    "an error of another code": _error(service_error_code="Nonsense"),
    "an error with unexpected params": _error(expected_params={"QueueName": "other"}),
    "caught by class": _caught,
    "no such method": lambda stubber, _: stubber.add_response("nonsense", {}),
    "a member that is none": lambda stubber, _: stubber.add_response("list_queues", {"Nonsense": 1}),
    "a member of a wrong type": lambda stubber, _: stubber.add_response("list_queues", {"QueueUrls": "a"}),
    "expected params that are none": lambda stubber, _: stubber.add_response("list_queues", {}, {"Nonsense": 1}),
}


@pytest.mark.parametrize("name", STUBS)
def test_a_stub(name: str, scripted: Scripted, pair: tuple[Any, Any]) -> None:
    def stubbed(client: Any) -> Any:
        with Stubber(client) as stubber:
            return STUBS[name](stubber, client)

    alike(stubbed, pair)
    assert scripted.requests == []


def test_one_that_is_switched_off_and_on(scripted: Scripted, pair: tuple[Any, Any]) -> None:
    def stubbed(client: Any) -> Any:
        with Stubber(client) as stubber:
            return _inactive(stubber, client)

    alike(stubbed, pair)
    assert len(scripted.requests) == 2


def test_a_stub_needs_no_credentials(scripted: Scripted) -> None:
    """As in a test suite on a machine that has none."""

    def stubbed(library: Any) -> Any:
        client = library.bare(region_name="us-east-1", endpoint_url=scripted.url)
        with Stubber(client) as stubber:
            stubber.add_response("list_queues", {"QueueUrls": ["a"]})
            return client.list_queues()

    alike(stubbed)


def test_after_a_stub_calls_are_as_before(pair: tuple[Any, Any]) -> None:
    _, subject = pair
    with Stubber(subject) as stubber:
        stubber.add_response("list_queues", {})
        subject.list_queues()
    assert subject.get_queue_url(QueueName="q")["QueueUrl"] == "u"
    if SUBJECT.name == "turbosqs":
        assert subject.stats()["botocore"] == {"stubber": 1}
        assert subject.stats()["requests"] == {"GetQueueUrl": 1}


def test_a_resource(scripted: Scripted) -> None:
    def stubbed(library: Any) -> Any:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        resource = library.session().resource("sqs", "us-east-1", endpoint_url=scripted.url, **keys)
        with Stubber(resource.meta.client) as stubber:
            stubber.add_response("send_message", SENT, SEND)
            return resource.Queue(URL).send_message(MessageBody="b")

    assert not isinstance(alike(stubbed), Raised)
