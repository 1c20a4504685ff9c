"""What holds with every boto3 from 1.28 on; ``make test-versions`` runs it with several, each in its own environment.

Stock behaviour of that version is what a patched client is held to. Some of them speak the older protocol of SQS, so
the server is moto's, which speaks both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import boto3
import botocore
import pytest
import turbosqs
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from support.libraries import KEYS
from support.observe import Raised, Returned, outcome, same
from support.ways import does_not_exist, gone
from turbosqs.patching import hook

SETTINGS = {"region_name": "us-east-1", **KEYS}


@pytest.fixture
def client(moto_url: str) -> Any:
    return boto3.Session().client("sqs", endpoint_url=moto_url, **SETTINGS)


def without_headers(result: Any) -> Any:
    """What is compared: all but what is the protocol's, which is the headers and the server's choice of words."""
    if isinstance(result, Raised) and isinstance(result.error, ClientError):
        error = result.error
        described = {name: error.response["Error"].get(name) for name in ("Code", "Type", "QueryErrorCode")}
        words = str(error).replace(" for this wsdl version", "")
        metadata = {**error.response["ResponseMetadata"], "HTTPHeaders": None}
        return [type(error).__name__, words, error.operation_name, described, metadata]
    if isinstance(result, Returned) and isinstance(result.value, dict):
        return Returned({**result.value, "ResponseMetadata": {**result.value["ResponseMetadata"], "HTTPHeaders": None}})
    return result


def story(client: Any, name: str) -> list[Any]:
    """Calls of all kinds, what works and what does not."""
    results: list[Any] = []

    def call(method: str, **arguments: Any) -> Any:
        result = outcome(getattr(client, method), **arguments)
        results.append(without_headers(result))
        return getattr(result, "value", {})

    missing = f"{client.meta.endpoint_url}/123456789012/missing"
    call("list_queues", QueueNamePrefix=name)
    url = call("create_queue", QueueName=name, Attributes={"VisibilityTimeout": "5"}, tags={"a": "b"})["QueueUrl"]
    call("get_queue_url", QueueName=name)
    call("list_queues", QueueNamePrefix=name)
    call("get_queue_attributes", QueueUrl=url, AttributeNames=["VisibilityTimeout", "DelaySeconds"])
    call("set_queue_attributes", QueueUrl=url, Attributes={"DelaySeconds": "0"})
    call("list_queue_tags", QueueUrl=url)
    call("receive_message", QueueUrl=url)
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }
    call("send_message", QueueUrl=url, MessageBody="<&>", MessageAttributes=attributes)
    received = call("receive_message", QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])
    handle = received["Messages"][0]["ReceiptHandle"]
    call("change_message_visibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=10)
    call("delete_message", QueueUrl=url, ReceiptHandle=handle)
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(3)]
    call("send_message_batch", QueueUrl=url, Entries=entries)
    got = call("receive_message", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    handles = [{"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(got)]
    call("delete_message_batch", QueueUrl=url, Entries=handles)
    call("send_message_batch", QueueUrl=url, Entries=[entries[0], entries[0]])
    call("send_message_batch", QueueUrl=url, Entries=[])
    call("get_queue_url", QueueName="missing")
    call("send_message", QueueUrl=missing, MessageBody="b")
    call("receive_message", QueueUrl=url, Nonsense=5)
    call("send_message", QueueUrl=url, MessageBody=5, DelaySeconds="x")
    call("send_message")
    call("purge_queue", QueueUrl=url)
    call("delete_queue", QueueUrl=url)
    return results


def test_calls_are_those_of_plain_boto3(client: Any) -> None:
    plain = story(client, "a-story")
    with turbosqs.patched():
        patched = story(client, "a-story")
        ways = gone(client)
    same(plain, patched)
    # What the model of this version does not have is refused by botocore; everything else was on the core.
    assert ways["fast"] >= len(plain) - 1
    assert set(ways) <= {"fast", "model"}


def test_errors_are_of_the_clients_classes(client: Any) -> None:
    def caught() -> Any:
        try:
            client.get_queue_url(QueueName="missing")
        except does_not_exist(client) as error:
            return without_headers(Raised(error))

    plain = caught()
    with turbosqs.patched():
        same(plain, caught())
        assert gone(client) == {"fast": 1}


def test_everything_of_boto3s_is_on_the_core(moto_url: str) -> None:
    with turbosqs.patched():
        session = boto3.Session()
        made = session.client("sqs", endpoint_url=moto_url, **SETTINGS)
        resource = session.resource("sqs", endpoint_url=moto_url, **SETTINGS)
        made.list_queues()
        queue = resource.create_queue(QueueName="resource")
        queue.send_message(MessageBody="b")
        assert [message.body for message in queue.receive_messages()] == ["b"]
        queue.delete()
        assert gone(made) == {"fast": 1}
        assert gone(resource.meta.client) == {"fast": 4}
        assert type(session.client("s3", **SETTINGS)).__mro__[1] is BaseClient


LISTENERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a handler": ("events", lambda client: client.meta.events.register("before-send.sqs", lambda **_: None)),
    "a stubber": ("stubber", lambda client: _stub(client)),
    "a replaced part": (
        "wrapped",
        lambda client: setattr(client._endpoint, "_send", client._endpoint._send),
    ),
}


def _stub(client: Any) -> None:
    stubber = Stubber(client)
    stubber.add_response("get_queue_url", {"QueueUrl": "stubbed"})
    stubber.activate()


@pytest.mark.parametrize("name", LISTENERS)
def test_who_listens_is_heard(name: str, client: Any) -> None:
    way, listen = LISTENERS[name]
    with turbosqs.patched():
        client.create_queue(QueueName="listened")
        listen(client)
        assert "QueueUrl" in client.get_queue_url(QueueName="listened")
        assert gone(client) == {"fast": 1, way: 1}
        with mock.patch.object(BaseClient, "_make_api_call", return_value=5):
            assert client.list_queues() == 5


def test_our_own_clients_beside_this_boto3(moto_url: str) -> None:
    session = turbosqs.Session()
    client = session.client("sqs", endpoint_url=moto_url, **SETTINGS)
    assert isinstance(client, BaseClient)
    client.create_queue(QueueName="own")
    with Stubber(client) as stubber:
        stubber.add_response("get_queue_url", {"QueueUrl": "stubbed"}, {"QueueName": "own"})
        assert client.get_queue_url(QueueName="own")["QueueUrl"] == "stubbed"
        stubber.add_client_error("get_queue_url", "QueueDoesNotExist")
        with pytest.raises(client.exceptions.QueueDoesNotExist):
            client.get_queue_url(QueueName="own")
    heard = []
    client.meta.events.register("before-send.sqs", lambda request, **_: heard.append(request.url))
    assert client.get_queue_url(QueueName="own")["QueueUrl"].endswith("/own")
    assert len(heard) == 1
    with mock.patch.object(BaseClient, "_make_api_call", return_value=5):
        assert client.list_queues() == 5
    ways = [way.partition(":")[0] for way in client.stats()["botocore"]]
    assert (ways, [*client.stats()["botocore"].values()]) == (["stubber", "events", "wrapped"], [2, 1, 1])
    resource = session.resource("sqs", endpoint_url=moto_url, **SETTINGS)
    assert "own" in [queue.url.rpartition("/")[2] for queue in resource.queues.all()]
    assert type(session.client("s3", **SETTINGS)).__name__ == "S3"
    client.close()


def test_a_botocore_session(moto_url: str) -> None:
    given = botocore.session.Session()
    given.set_credentials("a", "b")
    client = turbosqs.Session(botocore_session=given).client("sqs", "us-east-1", endpoint_url=moto_url)
    client.create_queue(QueueName="session")
    assert client.get_queue_url(QueueName="session")["QueueUrl"].endswith("/session")
    assert client.stats()["botocore"] == {}


@pytest.mark.parametrize("version", ["1.30.9", "1.29.165", "0.9.0", "1.29.0rc1"])
def test_a_boto3_that_is_too_old(
    version: str, client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything stays as it is, and one line says so."""
    monkeypatch.setattr(botocore, "__version__", version)
    monkeypatch.setattr(hook, "_state", hook._State())
    plain = type(client).__mro__
    for _ in range(2):
        turbosqs.patch()
    with turbosqs.patched():
        assert type(client).__mro__ == plain
        assert type(boto3.Session().client("sqs", **SETTINGS)).__mro__[1:] == plain[1:]
    (record,) = caplog.records
    assert record.name == "turbosqs"
    assert record.getMessage().endswith(f"needs boto3 1.28 or newer, not botocore {version}")
    turbosqs.unpatch()
