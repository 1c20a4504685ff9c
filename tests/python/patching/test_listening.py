"""A call takes botocore's own path whenever somebody would miss it otherwise, and the counts say why."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.awsrequest
import botocore.endpoint
import botocore.handlers
import botocore.history
import botocore.httpsession
import botocore.signers
import pytest
import turbosqs
from botocore.client import BaseClient
from botocore.exceptions import HTTPClientError, NoCredentialsError, ParamValidationError, UnknownSignatureVersionError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber
from support.libraries import BOTO3
from support.ways import does_not_exist, gone
from turbosqs.patching.listeners import EVENTS

pytestmark = pytest.mark.usefixtures("patched")


def listening(client: Any, way: str) -> None:
    """A call now goes that way, and arrives all the same."""
    before = gone(client)
    assert "ResponseMetadata" in client.list_queues()
    assert {name for name, number in gone(client).items() if number != before.get(name, 0)} == {way}


def test_nobody_listens(client: Any) -> None:
    client.list_queues()
    assert gone(client) == {"fast": 1}


#: botocore 1.31, of boto3 1.28, has no before-parse.
HEARD = [
    event
    for event in EVENTS
    if event != "after-call-error" and (event != "before-parse" or botocore.__version__ > "1.32")
]


@pytest.mark.parametrize("event", HEARD)
def test_a_handler(event: str, client: Any) -> None:
    """It is called, for the operation that it is for and for no other; taken out, calls are fast again."""
    heard = []

    def handler(event_name: str, **_: Any) -> None:
        heard.append(event_name)

    name = f"{event}.sqs" if event == "before-endpoint-resolution" else f"{event}.sqs.ListQueues"
    client.list_queues()
    client.meta.events.register(name, handler)
    listening(client, "events")
    assert heard
    heard.clear()
    if name.endswith("ListQueues"):
        with pytest.raises(does_not_exist(client)):
            client.get_queue_url(QueueName="none")
        assert not heard
        assert gone(client) == {"fast": 2, "events": 1}
    client.meta.events.unregister(name, handler)
    listening(client, "fast")


def test_a_handler_that_is_told_of_failures(client: Any) -> None:
    heard = []
    client.meta.events.register("after-call-error", lambda **kwargs: heard.append(kwargs["exception"]))
    with (
        mock.patch.object(client._endpoint, "_send", side_effect=ValueError("lost")),
        pytest.raises(ValueError, match="lost"),
    ):
        client.list_queues()
    assert [str(error) for error in heard] == ["lost"]


@pytest.mark.parametrize("name", ["before-call", "before-call.sqs", "before-call.*", "before-call.*.ListQueues", "*"])
def test_names_of_events(name: str, client: Any) -> None:
    client.meta.events.register(name, lambda **_: None)
    listening(client, "events")


@pytest.mark.parametrize("name", ["before-call.sns", "before-call.sqs.SendMessage", "creating-client-class.sqs", "x"])
def test_names_that_no_call_has(name: str, client: Any) -> None:
    client.meta.events.register(name, lambda **_: None)
    listening(client, "fast")


def test_a_handler_of_the_session(embedded: Any) -> None:
    session = BOTO3.session()
    session.events.register("before-send.sqs", lambda **_: None)
    client = session.client("sqs", region_name="us-east-1", endpoint_url=embedded.endpoint_url, **KEYS)
    listening(client, "events")


KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


def test_a_handler_that_botocore_has_but_sqs_has_not(client: Any) -> None:
    """botocore's own function, registered by a program: it means that nothing is signed."""
    client.meta.events.register("choose-signer.sqs.*", botocore.handlers.disable_signing)
    listening(client, "events")


@pytest.mark.parametrize(
    ("event", "handler"),
    [
        # Older botocores have not all of them.
        *(entry[:2] for entry in botocore.handlers.BUILTIN_HANDLERS if entry[0] == "after-call.sqs.*"),
        ("before-parameter-build", botocore.handlers.generate_idempotent_uuid),
        ("request-created", botocore.handlers.add_retry_headers),
    ],
)
def test_a_handler_of_botocores_own_that_was_taken_out(event: str, handler: Any, client: Any) -> None:
    assert (event, handler) in [entry[:2] for entry in botocore.handlers.BUILTIN_HANDLERS]
    client.list_queues()
    client.meta.events.unregister(event, handler)
    listening(client, "events")


def test_retries_that_were_taken_out(client: Any) -> None:
    client.meta.events.unregister("needs-retry.sqs", unique_id="retry-config-sqs")
    listening(client, "events")


def test_a_stubber(client: Any) -> None:
    client.list_queues()
    with Stubber(client) as stubber:
        stubber.add_response("get_queue_url", {"QueueUrl": "http://stubbed"}, {"QueueName": "q"})
        assert client.get_queue_url(QueueName="q")["QueueUrl"] == "http://stubbed"
        stubber.add_client_error("get_queue_url", "QueueDoesNotExist")
        with pytest.raises(does_not_exist(client)):
            client.get_queue_url(QueueName="q")
    assert gone(client) == {"fast": 1, "stubber": 2}
    listening(client, "fast")


@contextmanager
def attribute(owner: Any, name: str) -> Iterator[mock.MagicMock]:
    """A wrapper around a method, as instrumentation puts it."""
    original = getattr(owner, name)
    spy = mock.MagicMock(side_effect=lambda *args, **kwargs: original(*args, **kwargs))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return spy(*args, **kwargs)

    # As decorators do: a wrapper looks like what it wraps.
    wrapper.__module__, wrapper.__qualname__, wrapper.__wrapped__ = original.__module__, "x", original  # type: ignore
    with mock.patch.object(owner, name, wrapper):
        yield spy


WRAPPED: dict[str, Callable[[Any], AbstractContextManager[Any]]] = {
    "BaseClient._make_api_call": lambda _: attribute(BaseClient, "_make_api_call"),
    "BaseClient._make_request": lambda _: attribute(BaseClient, "_make_request"),
    "Endpoint.prepare_request": lambda _: attribute(botocore.endpoint.Endpoint, "prepare_request"),
    "Endpoint._send": lambda _: attribute(botocore.endpoint.Endpoint, "_send"),
    "URLLib3Session.send": lambda _: attribute(botocore.httpsession.URLLib3Session, "send"),
    "RequestSigner.sign": lambda _: attribute(botocore.signers.RequestSigner, "sign"),
    "the endpoint's own _send": lambda client: attribute(client._endpoint, "_send"),
    "the session's own send": lambda client: attribute(client._endpoint.http_session, "send"),
    "the signer's own sign": lambda client: attribute(client._request_signer, "sign"),
    "the client's own _make_request": lambda client: attribute(client, "_make_request"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapper(name: str, client: Any) -> None:
    """It is called, once for each call; taken off, calls are fast again."""
    client.list_queues()
    with WRAPPED[name](client) as spy:
        listening(client, "wrapped")
        listening(client, "wrapped")
        assert spy.call_count == 2
    listening(client, "fast")


def test_a_wrapper_from_before_patch(client: Any) -> None:
    turbosqs.unpatch()
    with attribute(BaseClient, "_make_api_call") as spy:
        with turbosqs.patched():
            listening(client, "wrapped")
        assert spy.call_count == 1
    listening(client, "fast")


def test_a_mock(client: Any) -> None:
    """The recipe of moto's documentation and of many test suites."""
    original = BaseClient._make_api_call

    def fake(self: Any, operation_name: str, kwargs: Any) -> Any:
        return {"faked": kwargs} if operation_name == "GetQueueUrl" else original(self, operation_name, kwargs)

    with mock.patch("botocore.client.BaseClient._make_api_call", new=fake):
        assert client.get_queue_url(QueueName="q") == {"faked": {"QueueName": "q"}}
        assert "ResponseMetadata" in client.list_queues()
    with mock.patch("botocore.client.BaseClient._make_api_call", return_value=5) as whole:
        assert client.list_queues() == 5
        whole.assert_called_once_with("ListQueues", {})
    with mock.patch("botocore.client.BaseClient._make_api_call", side_effect=lambda name, _: name):
        assert client.list_queues() == "ListQueues"
    # Those that end in the mock do not reach us.
    assert gone(client) == {"wrapped": 1}


def test_a_mock_below_botocore(client: Any) -> None:
    """urllib3's, which botocore's pools inherit: what is mocked there must not leave the process."""
    client.list_queues()
    with (
        mock.patch("urllib3.connectionpool.HTTPConnectionPool.urlopen", side_effect=OSError("mocked")),
        pytest.raises(HTTPClientError, match="mocked"),
    ):
        client.list_queues()
    assert gone(client) == {"fast": 1, "wrapped": 1}


def test_a_wrapper_of_the_class_or_of_the_client(client: Any) -> None:
    """It stands before us: when it calls on, the call is botocore's."""
    for owner in (type(client), client):
        with attribute(owner, "_make_api_call") as spy:
            listening(client, "wrapped")
            assert spy.call_count == 1
    listening(client, "fast")


def test_sockets_that_are_not_pythons(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent and pytest-socket, say: what they do to sockets, the core's would escape."""

    class Guarded(socket.socket):
        def __new__(cls, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no sockets in this test")

    with monkeypatch.context() as patching:
        patching.setattr(socket, "socket", Guarded)
        with pytest.raises(HTTPClientError, match="no sockets"):
            client.list_queues()
    assert gone(client) == {"sockets": 1}
    listening(client, "fast")


def test_a_recorded_cassette(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """vcrpy exchanges the connection classes."""
    with monkeypatch.context() as patching:
        connection = type("VCRConnection", (botocore.awsrequest.AWSHTTPConnection,), {})
        patching.setattr(botocore.awsrequest, "AWSHTTPConnection", connection)
        listening(client, "wrapped")
    listening(client, "fast")


def test_the_history(client: Any) -> None:
    recorder = botocore.history.get_global_history_recorder()
    recorder.enable()
    try:
        listening(client, "history")
    finally:
        recorder.disable()
    listening(client, "fast")


def test_no_credentials(embedded: Any) -> None:
    client = BOTO3.bare(region_name="us-east-1", endpoint_url=embedded.endpoint_url)
    with pytest.raises(NoCredentialsError):
        client.list_queues()
    with pytest.raises(ParamValidationError):
        client.list_queues(Nonsense=5)
    assert gone(client) == {"credentials": 2}


def test_a_model_that_knows_more(client: Any) -> None:
    """A botocore newer than the core, or a model of the user's own: only the operations that differ are botocore's."""
    model = client.meta.service_model
    model._shape_resolver._shape_map = {
        **model._shape_resolver._shape_map,
        "ListQueuesRequest": {"type": "structure", "members": {"New": {"shape": "String"}}},
    }
    before = gone(client)
    client.list_queues(New="x")
    with pytest.raises(does_not_exist(client)):
        client.get_queue_url(QueueName="none")
    assert (before, gone(client)) == ({}, {"model": 1, "fast": 1})


@pytest.mark.parametrize("part", ["endpoint", "session", "protocol", "signature"])
def test_settings_that_the_core_does_not_know(
    part: str, client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    match part:
        case "endpoint":
            client._endpoint.__class__ = type("Mine", (botocore.endpoint.Endpoint,), {})
        case "session":
            session = client._endpoint.http_session
            session.__class__ = type("Mine", (botocore.httpsession.URLLib3Session,), {})
        case "protocol":
            for name in ("protocol", "resolved_protocol"):
                monkeypatch.setitem(client.meta.service_model.__dict__, name, "rest-xml")
        case "signature":
            client._request_signer._signature_version = "v4-custom"
    if part in ("protocol", "signature"):
        # botocore can do nothing with these two either, and says so itself; an older one does not mind the first.
        with contextlib.suppress(ResponseParserError), contextlib.suppress(UnknownSignatureVersionError):
            client.list_queues()
        assert gone(client) == {"settings": 1}
    else:
        listening(client, "settings")
    assert "stays on botocore's path" in caplog.text


def test_an_emitter_that_is_not_botocores(client: Any) -> None:
    events = client.meta.events
    client.meta.events = SimpleNamespace(emit=events.emit, emit_until_response=events.emit_until_response)
    listening(client, "settings")


def test_importing_moto_is_not_listening(client: Any) -> None:
    """moto leaves a stubber in botocore that does nothing until it is enabled."""
    pytest.importorskip("moto")
    import moto  # noqa: F401
    from moto.core.models import botocore_stubber

    session_client = BOTO3.client(client.meta.endpoint_url)
    name = "before-send.sqs.ListQueues"
    assert botocore_stubber in session_client.meta.events._emitter._handlers.prefix_search(name)
    listening(session_client, "fast")
