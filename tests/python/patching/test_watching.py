"""What a call's way is decided by is looked at before each call: whatever has changed since the last one is noticed."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest import mock

import botocore.awsrequest
import botocore.client
import pytest
import turbosqs
from botocore.credentials import Credentials, RefreshableCredentials
from support.fakes import Scripted, ok
from support.libraries import BOTO3, KEYS
from support.waiting import until
from support.ways import gone
from turbosqs import _core
from turbosqs.patching import listeners
from urllib3.connectionpool import HTTPConnectionPool

pytestmark = pytest.mark.usefixtures("patched")


class Watching:
    """The watch over a client's ``ListQueues``, and what it was made from."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = client
        made: list[Any] = []

        def make(*arguments: Any) -> Any:
            made.append((arguments, _core.ClientWatch(*arguments)))
            return made[-1][1]

        monkeypatch.setattr(listeners, "ClientWatch", make)
        client.list_queues()
        [(self._arguments, self._watch)] = made

    def is_same(self, leaving_out: Callable[[Any, str | None], bool] | None = None) -> bool:
        """Whether all is as it was.

        Args:
            leaving_out: is given each namespace and name that is watched, and says whether not to.
        """
        if leaving_out is None:
            return bool(self._watch.is_same(self._client, vars(self._client)))
        functions, _, attributes, parts, size, watched, sizes = self._arguments
        kept = [entry for entry in watched if not leaving_out(*entry[:2])]
        kept_parts = [part for part in parts if not leaving_out(vars(self._client), part[0])]
        kept_sizes = [entry for entry in sizes if not leaving_out(entry[0], None)]
        if leaving_out(vars(self._client), None):
            size = len(vars(self._client))
        if leaving_out(type, "functions"):
            functions = _core.Watch([])
        watch = _core.ClientWatch(functions, self._client, attributes, kept_parts, size, kept, kept_sizes)
        return watch.is_same(self._client, vars(self._client))


@pytest.fixture
def watching(client: Any, monkeypatch: pytest.MonkeyPatch) -> Watching:
    # To import moto is to register what listens while it is on.
    pytest.importorskip("moto.core.models")
    return Watching(client, monkeypatch)


def _enable_moto(_: Any) -> Any:
    from moto.core.models import botocore_stubber

    return mock.patch.object(botocore_stubber, "enabled", True)


class Mixin:
    """A class to be put before others."""


def _part(name: str) -> Any:
    return (
        lambda client: mock.patch.object(client, name, mock.MagicMock()),
        lambda client: (vars(client), name),
    )


#: What may change, and what is watched to notice it: a namespace, and a name in it; None for how many there are.
CHANGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], tuple[Any, str | None]]]] = {
    **{f"the client's {name}": _part(name) for name in listeners._PARTS},
    "handlers": (
        lambda client: mock.patch.object(client.meta.events._emitter, "_lookup_cache", {}),
        lambda client: (vars(client.meta.events._emitter), "_lookup_cache"),
    ),
    "the emitter": (
        lambda client: mock.patch.object(client.meta, "events", mock.MagicMock()),
        lambda client: (vars(client.meta), "events"),
    ),
    "the HTTP session": (
        lambda client: mock.patch.object(client._endpoint, "http_session", mock.MagicMock()),
        lambda client: (vars(client._endpoint), "http_session"),
    ),
    "a method of the client's own": (
        lambda client: mock.patch.object(client, "_make_request", mock.MagicMock()),
        lambda client: (vars(client), None),
    ),
    "a method of the endpoint's own": (
        lambda client: mock.patch.object(client._endpoint, "_send", mock.MagicMock()),
        lambda client: (vars(client._endpoint), None),
    ),
    "a method of the session's own": (
        lambda client: mock.patch.object(client._endpoint.http_session, "send", mock.MagicMock()),
        lambda client: (vars(client._endpoint.http_session), None),
    ),
    "a method of the signer's own": (
        lambda client: mock.patch.object(client._request_signer, "sign", mock.MagicMock()),
        lambda client: (vars(client._request_signer), None),
    ),
    "a method of the class's own": (
        lambda client: mock.patch.object(type(client), "_make_api_call", mock.MagicMock()),
        lambda client: (vars(type(client)), "_make_api_call"),
    ),
    "the history": (
        lambda _: mock.patch.object(listeners._history, "_enabled", True),
        lambda _: (vars(listeners._history), "_enabled"),
    ),
    "moto": (_enable_moto, lambda _: (vars(_enable_moto(None).getter()), "enabled")),
    "functions of all clients": (
        lambda _: mock.patch.object(botocore.client.BaseClient, "_make_request", mock.MagicMock()),
        lambda _: (type, "functions"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change(change: str, client: Any, watching: Watching) -> None:
    """It is noticed for as long as it lasts, and would not be if it were not watched."""
    make, find = CHANGES[change]
    namespace, name = find(client)

    def is_watching_it(found: Any, found_name: str | None) -> bool:
        # Namespaces of classes are made anew each time.
        return found_name == name and (found is namespace or found == namespace)

    assert watching.is_same()
    with make(client):
        assert not watching.is_same()
        assert watching.is_same(is_watching_it)
    assert watching.is_same()


def test_the_class(client: Any, watching: Watching) -> None:
    cls = type(client)
    client.__class__ = type("Other", (cls,), {})
    assert not watching.is_same()
    client.__class__ = cls
    assert watching.is_same()


def test_the_bases_of_the_class(client: Any, watching: Watching) -> None:
    cls, before = type(client), type(client).__bases__
    cls.__bases__ = (Mixin, *before)
    assert not watching.is_same()
    cls.__bases__ = before


#: Whose functions carry the calls of all clients.
OWNERS: tuple[Any, ...] = (
    *listeners._METHODS,
    botocore.awsrequest,
    botocore.awsrequest.AWSHTTPConnectionPool,
    botocore.awsrequest.AWSHTTPSConnectionPool,
    HTTPConnectionPool,
    socket,
)


@pytest.mark.parametrize("number", range(len(listeners.BOTOCORE.watched)))
def test_a_function_that_is_replaced(number: int) -> None:
    """Each of those that carry calls is watched, by one watch for all clients."""
    namespace, name, *_ = listeners.BOTOCORE.watched[number]
    owner = next(each for each in OWNERS if vars(each) == namespace)
    found = listeners.Replaced(listeners.BOTOCORE).found
    others = [each for index, each in enumerate(found) if index != number]
    assert _core.Watch(found).is_same()
    with mock.patch.object(owner, name, mock.MagicMock()):
        assert not _core.Watch(found).is_same()
        assert _core.Watch(others).is_same()
    assert _core.Watch(found).is_same()


def send(scripted: Scripted, client: Any, operation: str = "get_queue_url") -> str:
    """A call; whom it was signed for."""
    scripted.play(ok(QueueUrl="u"))
    arguments = {"get_queue_url": {"QueueName": "q"}, "list_queues": {}}[operation]
    getattr(client, operation)(**arguments)
    [request] = scripted.requests
    access_key: str = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
    return access_key + request.headers.get("x-amz-security-token", "")


def is_taken(client: Any) -> bool:
    """Whether the next call takes the shortcut that the last one has taken. Makes a call."""
    return _core.take_shortcut(client, "GetQueueUrl", {"QueueName": "q"}) is not None


@pytest.mark.parametrize("name", ["access_key", "token"])
def test_keys_that_are_replaced_in_place(name: str, scripted: Scripted) -> None:
    client = BOTO3.client(scripted.url)
    credentials = client._request_signer._credentials
    send(scripted, client)
    assert is_taken(client)
    with mock.patch.object(credentials, name, "other"):
        assert not is_taken(client)
        assert "other" in send(scripted, client)
        assert is_taken(client)
    assert not is_taken(client)
    assert "other" not in send(scripted, client)
    # A secret is in no request; its signature is.
    with mock.patch.object(credentials, "secret_key", "other"):
        assert not is_taken(client)
    assert gone(client) == {"fast": 5}


def test_credentials_that_come_back(scripted: Scripted) -> None:
    """Another operation's shortcut has been made with the first ones, and the core has the second ones meanwhile."""
    client = BOTO3.client(scripted.url)
    signer = client._request_signer
    first, second = signer._credentials, Credentials("second", "s")
    before = send(scripted, client), send(scripted, client, "list_queues")
    signer._credentials = second
    assert send(scripted, client, "list_queues") == "second"
    signer._credentials = first
    assert (send(scripted, client), send(scripted, client, "list_queues")) == before


@pytest.mark.parametrize("whose", ["class", "object"])
def test_whoever_is_asked_for_credentials(whose: str, scripted: Scripted) -> None:
    client = BOTO3.client(scripted.url)
    send(scripted, client)
    owner = Credentials if whose == "class" else client._request_signer._credentials
    frozen = Credentials("mocked", "s").get_frozen_credentials()
    with mock.patch.object(owner, "get_frozen_credentials", return_value=frozen):
        assert [send(scripted, client) for _ in range(2)] == ["mocked"] * 2
    assert send(scripted, client) != "mocked"
    assert gone(client) == {"fast": 4}


def refreshed(seconds: float, refresh: Callable[[], dict[str, str]]) -> RefreshableCredentials:
    """Credentials of botocore's that it refreshes when so many seconds are over."""
    life = timedelta(seconds=RefreshableCredentials._advisory_refresh_timeout + seconds)
    expiry = (datetime.now(timezone.utc) + life).isoformat()
    metadata = {"access_key": "first", "secret_key": "s", "token": "", "expiry_time": expiry}
    return RefreshableCredentials.create_from_metadata(metadata, refresh, "test")


def second() -> dict[str, str]:
    expiry = (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()
    return {"access_key": "second", "secret_key": "s", "token": "", "expiry_time": expiry}


def test_credentials_whose_time_comes(scripted: Scripted) -> None:
    """botocore would refresh them with the next call, and so it does; until then nobody has to ask."""
    client = BOTO3.client(scripted.url)
    client._request_signer._credentials = refreshed(0.5, second)
    send(scripted, client)
    until(lambda: not is_taken(client))
    assert send(scripted, client) == "second"
    assert is_taken(client)


def test_credentials_and_a_clock_of_the_tests_own(scripted: Scripted) -> None:
    time_machine = pytest.importorskip("time_machine")
    client = BOTO3.client(scripted.url)
    client._request_signer._credentials = refreshed(3_600, second)
    assert send(scripted, client) == "first"
    assert is_taken(client)
    with time_machine.travel(datetime.now(timezone.utc) + timedelta(seconds=3_700), tick=False):
        assert send(scripted, client) == "second"


#: What may be replaced of credentials that are refreshed: the owner of an attribute, the attribute, its value.
REPLACED: dict[str, tuple[Callable[[Any], Any], str, Any]] = {
    "the credentials": (lambda owner: owner, "_frozen_credentials", Credentials("x", "s").get_frozen_credentials()),
    "when they expire": (lambda owner: owner, "_expiry_time", datetime.now(timezone.utc) + timedelta(days=2)),
    "who tells the time": (lambda owner: owner, "_time_fetcher", lambda: datetime.now(timezone.utc)),
    "how early they are refreshed": (lambda owner: owner, "_advisory_refresh_timeout", 1),
    "how early all are refreshed": (lambda _: RefreshableCredentials, "_advisory_refresh_timeout", 1),
    "how they are asked for": (lambda owner: owner, "get_frozen_credentials", mock.MagicMock()),
    "how all are asked for": (lambda _: RefreshableCredentials, "get_frozen_credentials", mock.MagicMock()),
    "whether they are refreshed": (lambda owner: owner, "refresh_needed", mock.MagicMock()),
    "whether all are refreshed": (lambda _: RefreshableCredentials, "refresh_needed", mock.MagicMock()),
}


@pytest.mark.parametrize("what", REPLACED)
def test_credentials_of_which_something_is_replaced(what: str, scripted: Scripted) -> None:
    client = BOTO3.client(scripted.url)
    credentials = refreshed(3_600, second)
    client._request_signer._credentials = credentials
    send(scripted, client)
    assert is_taken(client)
    find, name, value = REPLACED[what]
    with mock.patch.object(find(credentials), name, value):
        assert not is_taken(client)
    assert is_taken(client)


def test_credentials_of_another_kind(scripted: Scripted) -> None:
    """They are asked with each call, whatever they do then."""

    class Counting(Credentials):  # type: ignore[misc]
        asked = 0

        def get_frozen_credentials(self) -> Any:
            self.asked += 1
            return Credentials(f"key{self.asked}", "s").get_frozen_credentials()

    client = BOTO3.client(scripted.url)
    client._request_signer._credentials = Counting("a", "b")
    assert [send(scripted, client) for _ in range(3)] == ["key1", "key2", "key3"]


def test_a_warning_that_waits(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The next call logs it; the one after takes the shortcut again."""
    server.create_queue("q")
    client = BOTO3.client(server.endpoint_url)
    url = client.get_queue_url(QueueName="q")["QueueUrl"]
    assert is_taken(client)
    own: Any = turbosqs.client("sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS)
    with own.keep_invisible(QueueUrl=url, ReceiptHandle="none", VisibilityTimeout=1):
        until(lambda: not _core.Watch([], heeds_log=True).is_same())
    assert not is_taken(client)
    with caplog.at_level(logging.WARNING, "turbosqs"):
        client.get_queue_url(QueueName="q")
    assert "could not be extended" in caplog.text
    assert is_taken(client)


def test_arguments_that_are_no_dict(client: Any) -> None:
    """botocore's methods pass one; whoever calls the function itself may pass another mapping."""

    class Mapping(dict[str, Any]):
        """One that is not passed on."""

    client.list_queues()
    assert "ResponseMetadata" in client._make_api_call("ListQueues", Mapping())
    assert gone(client) == {"fast": 2}


def test_a_client_is_gone_when_nobody_has_it(client: Any) -> None:
    """Its shortcuts and watches do not keep it, nor what it is made of: not even where a handler of it has it."""
    url = client.meta.endpoint_url
    gc.collect()

    def use(holds: bool) -> tuple[Any, Any]:
        used = BOTO3.client(url)
        if holds:
            used.meta.events.register("before-send.s3", lambda **_: used)
        for _ in range(2):
            used.list_queues()
        return weakref.ref(used), weakref.ref(used._turbosqs_call_path.core)

    gc.disable()
    try:
        assert [reference() for reference in use(holds=False)] == [None, None]
    finally:
        gc.enable()
    held = use(holds=True)
    gc.collect()
    assert [reference() for reference in held] == [None, None]
