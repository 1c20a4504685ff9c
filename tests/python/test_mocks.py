"""Mocks and instrumentation of botocore around our own clients: they are honoured, or said to be no use here."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent
from threading import Event
from typing import Any
from unittest import mock
from weakref import ref

import botocore.awsrequest
import botocore.client
import botocore.endpoint
import botocore.history
import botocore.httpsession
import botocore.session
import botocore.signers
import pytest
import turbosqs
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError, HTTPClientError
from botocore.stub import Stubber
from moto import mock_aws
from support import needs
from support.fakes import Scripted, ok
from support.libraries import KEYS, Library
from support.scripts import run
from turbosqs import _delegate, _watching

SETTINGS = {"region_name": "us-east-1", **KEYS}


@pytest.fixture
def client(scripted: Scripted) -> Any:
    return turbosqs.Session().client("sqs", endpoint_url=scripted.url, **SETTINGS)


def ways(client: Any) -> dict[str, int]:
    """Without the names of those who are the reason."""
    found: dict[str, int] = {}
    for way, number in client.stats()["botocore"].items():
        name = way.partition(":")[0]
        found[name] = found.get(name, 0) + number
    return found


def ask(client: Any) -> Any:
    return client.get_queue_url(QueueName="q")


# --- mocks -----------------------------------------------------------------------------------------------------------


def test_nobody_listens(scripted: Scripted, client: Any) -> None:
    assert ask(client)["QueueUrl"] == "u"
    assert (ways(client), client.stats()["requests"]) == ({}, {"GetQueueUrl": 1})
    assert client._listened.delegate is None
    assert len(scripted.requests) == 1


def test_a_mock_of_make_api_call(scripted: Scripted, client: Any) -> None:
    """The recipe of moto's documentation, and those of many test suites."""
    original = botocore.client.BaseClient._make_api_call

    def fake(self: Any, operation_name: str, kwargs: Any) -> Any:
        assert isinstance(self, botocore.client.BaseClient)
        return {"faked": kwargs} if operation_name == "GetQueueUrl" else original(self, operation_name, kwargs)

    with mock.patch("botocore.client.BaseClient._make_api_call", new=fake):
        assert ask(client) == {"faked": {"QueueName": "q"}}
        assert scripted.requests == []
        assert "ResponseMetadata" in client.list_queues()
    assert len(scripted.requests) == 1
    with mock.patch("botocore.client.BaseClient._make_api_call", return_value=5) as whole:
        assert client.list_queues() == 5
        whole.assert_called_once_with("ListQueues", {})
    error = client.exceptions.QueueDoesNotExist({"Error": {"Code": "c", "Message": "m"}}, "GetQueueUrl")
    with (
        mock.patch("botocore.client.BaseClient._make_api_call", side_effect=error),
        pytest.raises(client.exceptions.QueueDoesNotExist),
    ):
        ask(client)
    assert ways(client) == {"wrapped": 4}
    assert ask(client)["QueueUrl"] == "u"
    assert ways(client) == {"wrapped": 4}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (botocore.client.BaseClient, "_make_request"),
        (botocore.endpoint.Endpoint, "make_request"),
        (botocore.endpoint.Endpoint, "_send"),
        (botocore.httpsession.URLLib3Session, "send"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_a_mock_further_down(owner: Any, name: str, scripted: Scripted, client: Any) -> None:
    with mock.patch.object(owner, name, side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        ask(client)
    assert (ways(client), scripted.requests) == ({"wrapped": 1}, [])


def test_a_mock_below_botocore(scripted: Scripted, client: Any) -> None:
    with (
        mock.patch("urllib3.connectionpool.HTTPConnectionPool.urlopen", side_effect=OSError("mocked")),
        pytest.raises(HTTPClientError, match="mocked"),
    ):
        ask(client)
    assert (ways(client), scripted.requests) == ({"wrapped": 1}, [])


def test_sockets_that_are_forbidden(scripted: Scripted, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pytest-socket does it."""

    class Guarded(socket.socket):
        def __new__(cls, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no sockets in this test")

    with monkeypatch.context() as patching:
        patching.setattr(socket, "socket", Guarded)
        with pytest.raises(HTTPClientError, match="no sockets"):
            ask(client)
        with pytest.raises(RuntimeError, match="what has replaced Python's sockets hears nothing of it"):
            client.poll_messages(QueueUrl="u")
    assert (ways(client), scripted.requests) == ({"sockets": 1}, [])


def test_sockets_without_botocore(scripted: Scripted) -> None:
    """Where botocore is not imported, sockets are looked at all the same; not installed, the core is all there is."""
    program = """
        import sys, socket
        if sys.argv[2] == "missing":
            sys.modules["botocore"] = None
        import turbosqs
        client = turbosqs.client("sqs", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="a",
                                 aws_secret_access_key="b")
        client.get_queue_url(QueueName="q")
        assert not sys.modules.get("botocore")
        class Replaced(socket.socket): pass
        socket.socket = Replaced
        print(client.get_queue_url(QueueName="q")["QueueUrl"], client.stats()["botocore"])
    """
    scripted.play(ok(QueueUrl="u"))
    assert alone(program, scripted.url, "installed") == "u {'sockets': 1}\n"
    assert alone(program, scripted.url, "missing") == "u {}\n"


def test_the_history(client: Any) -> None:
    recorder = botocore.history.get_global_history_recorder()
    ask(client)
    recorder.enable()
    try:
        ask(client)
    finally:
        recorder.disable()
    ask(client)
    assert ways(client) == {"history": 1}


@contextmanager
def instrumented() -> Iterator[list[str]]:
    """botocore's calls, wrapped as tools do it, with what the wrapper has seen."""
    original = botocore.client.BaseClient._make_api_call
    seen = []

    @functools.wraps(original)
    def wrapper(self: Any, operation_name: str, kwargs: Any) -> Any:
        seen.append(operation_name)
        return original(self, operation_name, kwargs)

    with mock.patch.object(botocore.client.BaseClient, "_make_api_call", wrapper):
        yield seen


def test_instrumentation(embedded: Any) -> None:
    """It sees calls; what does not come that way is not kept from going its own."""
    embedded.reset()
    client = turbosqs.Session().client("sqs", endpoint_url=embedded.endpoint_url, **SETTINGS)
    with instrumented() as seen:
        url = client.create_queue(QueueName="q")["QueueUrl"]
        with client.batch_writer(QueueUrl=url) as batch:
            batch.send_message(MessageBody="b")
        assert [message["Body"] for message in client.poll_messages(QueueUrl=url, max_messages=1)] == ["b"]
    assert seen == ["CreateQueue"]
    assert ways(client) == {"wrapped": 1}


def test_beside_patched_clients(scripted: Scripted, client: Any) -> None:
    """Neither takes the other for what it is not."""
    assert isinstance(client, botocore.client.BaseClient)
    kind = client.__class__.__mro__
    with turbosqs.patched(), Stubber(client) as stubber:
        stubber.add_response("list_queues", {"QueueUrls": ["stubbed"]})
        assert client.list_queues()["QueueUrls"] == ["stubbed"]
        assert client.__class__.__mro__ == kind
        stubber.deactivate()
        ask(client)
        other = turbosqs.Session().client("sqs", endpoint_url=scripted.url, **SETTINGS)
        other.meta.events.register("before-call", print_nothing)
        ask(other)
    assert (ways(client), ways(other)) == ({"stubber": 1}, {"events": 1})


@needs.FORK
def test_a_forked_child_has_connections_of_its_own(scripted: Scripted) -> None:
    scripted.play(ok(QueueUrl="u"))
    before = scripted.connections
    printed = run(
        Library("turbosqs"),
        scripted.url,
        """
        sqs = client()
        sqs.meta.events.register("before-call", lambda **_: None)
        sqs.list_queues()
        child = os.fork()
        sqs.list_queues()
        if child == 0:
            sqs.list_queues()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        sqs.list_queues()
        say(str(sqs.stats()["botocore"]))
        """,
        timeout=50,
    )
    assert printed == "{'events: __main__.<lambda>': 3}\n"
    assert (scripted.connections - before, len(scripted.requests)) == (2, 5)


# --- moto ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """What stands for the world."""
    with Scripted() as world:
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, world.url)
        yield world


def test_moto_mocks_our_clients(outside: Scripted) -> None:
    client = turbosqs.Session().client("sqs", **SETTINGS)
    for _ in range(2):
        with mock_aws():
            url = client.create_queue(QueueName="q")["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody="b")
            (message,) = client.receive_message(QueueUrl=url)["Messages"]
            assert message["Body"] == "b"
            resource = turbosqs.Session().resource("sqs", **SETTINGS)
            assert [queue.url for queue in resource.queues.all()] == [url]
            with pytest.raises(client.exceptions.QueueDoesNotExist):
                client.get_queue_url(QueueName="none")
    assert outside.requests == []
    assert ways(client) == {"moto": 8}
    assert client.stats()["requests"] == {}


def test_moto_mocks_clients_that_found_no_credentials(outside: Scripted) -> None:
    """moto puts some into the environment; boto3's clients of that time have them too."""
    with mock_aws():
        client = turbosqs.Session().client("sqs", region_name="us-east-1")
        assert "QueueUrl" in client.create_queue(QueueName="q")
    assert outside.requests == []


def test_a_client_from_before_moto_was_imported(outside: Scripted) -> None:
    """Its client of botocore's too: boto3's would go out, ours does not."""
    program = """
        import turbosqs
        settings = dict(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        fresh, used = (turbosqs.client("sqs", **settings) for _ in range(2))
        used.meta.events.register("before-call", lambda **_: None)
        from moto import mock_aws
        with mock_aws():
            for client in (fresh, used):
                print("QueueUrl" in client.create_queue(QueueName="q"))
    """
    assert alone(program) == "True\nTrue\n"
    assert outside.requests == []


def alone(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", dedent(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- what does not come that way -------------------------------------------------------------------------------------


def test_what_sends_by_itself_is_refused_under_a_mock(client: Any) -> None:
    works = (
        lambda: client.batch_writer(QueueUrl="u"),
        lambda: client.poll_messages(QueueUrl="u"),
        lambda: turbosqs.Consumer(client, QueueUrl="u", handler=print),
        lambda: turbosqs.aio.SQS(client).batch_writer(QueueUrl="u"),
        lambda: turbosqs.aio.SQS(client).poll_messages(QueueUrl="u"),
    )

    def refused(listener: str) -> None:
        for work in works:
            with pytest.raises(RuntimeError, match=rf"{listener} hears nothing of it: .* turbosqs.local.Server"):
                work()

    with mock_aws():
        refused("moto's mock_aws")
    with mock.patch("botocore.client.BaseClient._make_api_call"):
        refused("the mock of botocore's functions")
    with Stubber(client):
        refused("the active Stubber")
    client.meta.events.register("before-send.sqs.DeleteMessage", print_nothing)
    refused("a handler of one of its events")
    client.meta.events.unregister("before-send.sqs.DeleteMessage", print_nothing)
    client.meta.events.register("before-send.sqs.PurgeQueue", print_nothing)
    for work in works:
        work()


def print_nothing(**_: Any) -> None:
    """A handler."""


# --- asyncio ---------------------------------------------------------------------------------------------------------


def test_asyncio_clients_are_mocked_and_listened_to(scripted: Scripted, client: Any) -> None:
    async def calls() -> None:
        sqs = turbosqs.aio.SQS(client)
        assert (await ask(sqs))["QueueUrl"] == "u"
        with mock.patch("botocore.client.BaseClient._make_api_call", return_value=5):
            assert await asyncio.gather(*(sqs.list_queues() for _ in range(3))) == [5, 5, 5]  # type: ignore[comparison-overlap]
        with mock_aws():
            assert "QueueUrls" not in await turbosqs.aio.Session().client("sqs", **SETTINGS).list_queues()
        with Stubber(sqs) as stubber:
            stubber.add_response("get_queue_url", {"QueueUrl": "stubbed"})
            assert (await ask(sqs))["QueueUrl"] == "stubbed"
            stubber.add_client_error("get_queue_url", "QueueDoesNotExist")
            with pytest.raises(sqs.exceptions.QueueDoesNotExist):
                await ask(sqs)
        heard = []
        sqs.meta.events.register("provide-client-params.sqs", lambda params, **_: heard.append(params))
        assert (await ask(sqs))["QueueUrl"] == "u"
        assert heard == [{"QueueName": "q"}]
        await sqs.generate_presigned_url("get_queue_url", {"QueueName": "other"})
        assert heard[1] == {"QueueName": "other"}
        assert ways(sqs) == {"wrapped": 3, "stubber": 2, "events": 2}
        await sqs.close()

    asyncio.run(calls())
    assert len(scripted.requests) == 2


# --- credentials of a botocore session -------------------------------------------------------------------------------


class Refreshed:
    """Credentials of a botocore session: a number for each time that they were refreshed."""

    def __init__(self) -> None:
        self.number = 0
        self.is_failing = False
        self.session = botocore.session.Session()
        self.credentials = RefreshableCredentials.create_from_metadata(self._next(), self._next, "mine")
        self.session._credentials = self.credentials

    def _next(self) -> dict[str, str]:
        if self.is_failing:
            raise CredentialRetrievalError(provider="mine", error_msg="no more")
        self.number += 1
        expiry = "2999-01-01T00:00:00Z"
        return {"access_key": f"key-{self.number}", "secret_key": "s", "token": "t", "expiry_time": expiry}

    def expire(self) -> None:
        self.credentials._expiry_time = self.credentials._time_fetcher()


def signer(server: Scripted) -> str:
    return server.requests[-1].headers["authorization"].partition("Credential=")[2].partition("/")[0]


def test_credentials_of_a_botocore_session_are_refreshed(scripted: Scripted) -> None:
    scripted.play(ok(QueueUrl="u"))
    refreshed = Refreshed()
    session = turbosqs.Session(botocore_session=refreshed.session)
    client = session.client("sqs", "us-east-1", endpoint_url=scripted.url)
    for expected in ("key-1", "key-2"):
        ask(client)
        assert signer(scripted) == expected
        refreshed.expire()
    asyncio_client = turbosqs.aio.Session(botocore_session=refreshed.session).client(
        "sqs", "us-east-1", endpoint_url=scripted.url
    )
    asyncio.run(ask(asyncio_client))
    assert signer(scripted) == "key-3"
    assert client._get_credentials().access_key == "key-3"
    refreshed.is_failing = True
    refreshed.expire()
    for call in (lambda: ask(client), lambda: asyncio.run(ask(asyncio_client))):
        with pytest.raises(CredentialRetrievalError, match="no more"):
            call()  # type: ignore[no-untyped-call]
    assert ways(client) == {}


def test_pollers_and_writers_have_them_refreshed(
    embedded: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a thread, which ends with the client."""
    due, handed = Event(), Event()

    def pause(seconds: float) -> None:
        assert seconds == _delegate.INTERVAL
        assert due.wait(20)
        due.clear()

    hand_over = _delegate.Owner.hand_over

    def watched(self: Any, core: Any) -> None:
        try:
            hand_over(self, core)
        finally:
            handed.set()

    # botocore logs the frames of a failure, which hold the client.
    monkeypatch.setattr(logging.getLogger("botocore.credentials"), "disabled", True)
    monkeypatch.setattr(_delegate, "_pause", pause)
    monkeypatch.setattr(_delegate.Owner, "hand_over", watched)
    refreshed = Refreshed()
    session = turbosqs.Session(botocore_session=refreshed.session)
    client = session.client("sqs", "us-east-1", endpoint_url=embedded.endpoint_url)
    client.batch_writer(QueueUrl="u")
    keeper = client._listened.delegate._keeper  # type: ignore[union-attr]
    client.batch_writer(QueueUrl="u")
    assert client._listened.delegate._keeper is keeper  # type: ignore[union-attr]
    for failing in (False, True, False):
        refreshed.is_failing = failing
        refreshed.expire()
        handed.clear()
        due.set()
        assert handed.wait(20)
    assert refreshed.number == 3
    assert "credentials were not refreshed: CredentialRetrievalError" in caplog.text
    messages = client.poll_messages(QueueUrl="u")
    alive = ref(client)
    del client
    gc.collect()
    assert alive() is not None
    del messages
    gc.collect()
    assert alive() is None
    due.set()
    keeper.join(20)
    assert not keeper.is_alive()


def test_a_botocore_session_that_the_core_cannot_follow(scripted: Scripted) -> None:
    """It is said, and the client is boto3's."""
    session = turbosqs.Session("a", "b", botocore_session=botocore.session.Session())
    with (
        mock.patch.object(botocore.signers.RequestSigner, "signature_version", "v4-mine"),
        pytest.warns(RuntimeWarning, match="boto3's own, .*: the signature version is v4-mine"),
    ):
        client = session.client("sqs", "us-east-1", endpoint_url=scripted.url)
    assert type(client).__module__ == "botocore.client"


def test_batching_with_a_botocore_session(scripted: Scripted) -> None:
    session = turbosqs.Session("a", "b", botocore_session=botocore.session.Session())
    for batching in (False, True):
        client = session.client("sqs", "us-east-1", endpoint_url=scripted.url, batching=batching)
        assert client._core.is_batching is batching


def test_the_look_is_kept(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    """Where nothing has changed, nothing is looked for anew."""
    ask(client)
    monkeypatch.setattr(_watching, "_look", lambda: pytest.fail("it was looked for again"))
    ask(client)
