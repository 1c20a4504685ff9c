"""The network at its worst: the same exception in the same words, promptly."""

from __future__ import annotations

import time
from typing import Any

import botocore.exceptions
import pytest
from support import needs
from support.fakes import HANG_UP, JSON, Reply, Scripted, black_hole, ok, refused_port
from support.libraries import BOTO3, DIFFERENCES, SUBJECT, Library, ours
from support.observe import Outcome, Raised, Returned, alike, outcome, same

pytestmark = pytest.mark.timeout(90)

ONCE = {"retries": {"total_max_attempts": 1}}


def ask(library: Library, url: str, method: str = "get_queue_url", /, **settings: Any) -> Outcome:
    """One call with these Config settings; the arguments are the least that the method takes."""
    client = library.client(url, config=library.config(**{**ONCE, **settings}))
    arguments = {"QueueName": "q"} if method == "get_queue_url" else {"QueueUrl": "u", **WAITS.get(method, {})}
    return outcome(getattr(client, method), **arguments)


WAITS = {"receive_message": {"WaitTimeSeconds": 1}}


def both(url: str, **settings: Any) -> None:
    """Both end in the same exception, in well under the time that nobody would wait."""
    results = []
    for library in (BOTO3, SUBJECT):
        began = time.monotonic()
        results.append(ask(library, url, **settings))
        assert time.monotonic() - began < 15, library.name
    assert isinstance(results[0], Raised)
    same(*results)


def test_refused_port() -> None:
    both(f"http://127.0.0.1:{refused_port()}")


def test_refused_port_with_a_path() -> None:
    both(f"http://127.0.0.1:{refused_port()}/some/path")


def test_refused_port_after_retries() -> None:
    both(f"http://127.0.0.1:{refused_port()}", retries={"total_max_attempts": 2})


def test_unknown_host() -> None:
    both("http://no-such-host.invalid:9324")


def test_unreachable_address() -> None:
    """A broadcast address cannot be connected to."""
    both("http://255.255.255.255:9324", connect_timeout=0.3)


@needs.BACKLOG
def test_black_hole() -> None:
    """A peer that never answers a SYN ends in a ConnectTimeoutError after connect_timeout."""
    with black_hole() as url:
        both(url, connect_timeout=0.3)


def test_slow_reply() -> None:
    """A peer that takes the request and says nothing ends in a ReadTimeoutError after read_timeout."""
    with Scripted(Reply(delay=30)) as server:
        both(server.url, read_timeout=0.3)


def test_slow_body() -> None:
    """So does one that stops in the middle of its reply, without closing."""
    head = Reply(body=b"", headers=[JSON, ("Content-Length", "100")])
    with Scripted(head) as server:
        both(server.url, read_timeout=0.3)


@pytest.mark.parametrize(
    "reply",
    {
        "hung up": HANG_UP,
        "half a status line": Reply(keep=5),
        "half a chunk": Reply(raw=b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"Que', close=True),
        "not HTTP": Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close=True),
        "bad chunk size": Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", close=True),
    }.items(),
    ids=lambda item: item[0],
)
def test_broken_reply(reply: tuple[str, Reply]) -> None:
    with Scripted(reply[1]) as server:
        results = []
        for library in (BOTO3, SUBJECT):
            server.play(reply[1])
            results.append([ask(library, server.url), len(server.requests)])
        same(*results)


@pytest.mark.parametrize(
    "reply",
    {
        "half a head": Reply(keep=12),
        "half a header": Reply(keep=30),
        "half a body": Reply(body=b'{"QueueUrl": "u"}', keep=80),
        "bad length": Reply(headers=[JSON, ("Content-Length", "many")], close=True),
    }.items(),
    ids=lambda item: item[0],
)
def test_half_a_reply(reply: tuple[str, Reply]) -> None:
    """No success: it is tried again, as often as any lost connection, and then it is one."""
    twice = {"retries": {"total_max_attempts": 2, "mode": "standard"}}
    with Scripted(reply[1]) as server:
        result = ask(BOTO3, server.url, **twice)
        assert isinstance(result, Returned)
        assert "QueueUrl" not in result.value
        assert len(server.requests) == 1
        if not ours("half replies"):
            return
        for attempts, settings in ((1, ONCE), (2, twice)):
            server.play(reply[1])
            result = ask(SUBJECT, server.url, **settings)
            assert isinstance(result, Raised)
            assert type(result.error) is botocore.exceptions.ConnectionClosedError
            assert result.error.kwargs["endpoint_url"] == f"{server.url}/"  # type: ignore[attr-defined]
            assert len(server.requests) == attempts
        server.play(reply[1], ok(QueueUrl="u"))
        result = ask(SUBJECT, server.url, **twice)
        assert isinstance(result, Returned)
        assert result.value["QueueUrl"] == "u"
        assert result.value["ResponseMetadata"]["RetryAttempts"] == 1


def test_connect_timeout_is_not_read_timeout() -> None:
    """A slow reply within read_timeout arrives, whatever connect_timeout is."""
    with Scripted(Reply(delay=0.5)) as server:
        for library in (BOTO3, SUBJECT):
            assert isinstance(ask(library, server.url, connect_timeout=0.1, read_timeout=10), Returned)


def test_read_timeout_of_a_long_poll() -> None:
    """A long poll may outlast read_timeout by the time it asked to wait; boto3 gives up."""
    assert "long poll" in DIFFERENCES
    with Scripted(Reply(delay=0.8)) as server:
        assert isinstance(ask(BOTO3, server.url, "receive_message", read_timeout=0.3), Raised)
        assert isinstance(ask(SUBJECT, server.url, "receive_message", read_timeout=0.3), Returned) or SUBJECT == BOTO3


def test_long_poll_still_times_out() -> None:
    """A long poll that outlasts its wait and read_timeout together ends as any other."""
    with Scripted(Reply(delay=30)) as server:
        results = []
        for library in (BOTO3, SUBJECT):
            began = time.monotonic()
            results.append(ask(library, server.url, "receive_message", read_timeout=0.2))
            assert time.monotonic() - began < 15
        same(*results)


def test_a_stale_connection_is_replaced() -> None:
    """A connection that the server closed after a reply costs the next call nothing but a new one."""
    for library in (BOTO3, SUBJECT):
        with Scripted(Reply(body=b'{"QueueUrl": "u"}', close=True)) as server:
            client = library.client(server.url, config=library.config(**ONCE))
            for _ in range(3):
                reply = client.get_queue_url(QueueName="q")
                assert reply["ResponseMetadata"]["RetryAttempts"] == 0
                # Until its end has arrived here.
                time.sleep(0.1)
            assert server.connections == 3


def test_connections_are_kept() -> None:
    """Calls one after another share one connection."""
    for library in (BOTO3, SUBJECT):
        with Scripted(ok(QueueUrl="u")) as server:
            client = library.client(server.url)
            for _ in range(5):
                client.get_queue_url(QueueName="q")
            assert server.connections == 1, library.name


def test_usable_after_a_fault() -> None:
    """A fault leaves the client as good as new."""
    for library in (BOTO3, SUBJECT):
        with Scripted(HANG_UP, Reply(delay=30), ok(QueueUrl="u")) as server:
            client = library.client(server.url, config=library.config(read_timeout=0.3, **ONCE))
            assert isinstance(outcome(client.get_queue_url, QueueName="q"), Raised)
            assert isinstance(outcome(client.get_queue_url, QueueName="q"), Raised)
            assert client.get_queue_url(QueueName="q")["QueueUrl"] == "u"


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout"])
@pytest.mark.parametrize("value", [None, 5, 0.5, 0, -1, "5", "soon", True, [], (1, 2)], ids=repr)
def test_timeout_values(name: str, value: Any) -> None:
    """What a timeout may be."""
    with Scripted(ok(QueueUrl="u")) as server:
        same(*(ask_made(library, server.url, {name: value}) for library in (BOTO3, SUBJECT)))


def ask_made(library: Library, url: str, settings: dict[str, Any]) -> Outcome:
    """As ``ask``, with the making of the client inside."""
    return outcome(
        lambda: library.client(url, config=library.config(**ONCE, **settings)).get_queue_url(QueueName="q")["QueueUrl"]
    )


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "127.0.0.1:9324",
        "http://",
        "http:///path",
        "ftp://127.0.0.1",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:-1",
        "http://exa mple.com",
        "http://[::1",
        "//127.0.0.1",
        "",
        "http://under_score.invalid",
        "http://127.0.0.1:1#fragment",
        "http://127.0.0.1:1/path#fragment",
    ],
    ids=repr,
)
def test_bad_endpoint(url: Any) -> None:
    """An endpoint that is none: at the making of the client or at the call, as boto3."""
    same(*(ask_made(library, url, {"connect_timeout": 0.3}) for library in (BOTO3, SUBJECT)))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://user:password@127.0.0.1:1", "http://***@127.0.0.1:1/"),
        ("http://127.0.0.1:1?query=1", "http://127.0.0.1:1/?***"),
    ],
)
def test_an_address_with_a_secret(url: str, masked: str) -> None:
    """It is masked in exceptions, and the same but for that."""
    theirs, mine = (ask_made(library, url, {"connect_timeout": 0.3}) for library in (BOTO3, SUBJECT))
    assert isinstance(theirs, Raised)
    assert isinstance(mine, Raised)
    assert type(mine.error).__name__ == type(theirs.error).__name__ == "EndpointConnectionError"
    if ours("masked addresses"):
        assert str(mine.error) == f'Could not connect to the endpoint URL: "{masked}"'
    else:
        assert str(mine.error) == str(theirs.error)


@pytest.mark.parametrize(
    "region", ["nowhere", "us east 1", "", "us-east-1.", "-", "a" * 64, "évian", "us_east_1", "*"], ids=repr
)
def test_bad_region(region: Any) -> None:
    """A region that is no host label."""
    port = refused_port()

    def call(library: Library) -> Any:
        config = library.config(**ONCE)
        return library.client(f"http://127.0.0.1:{port}", region_name=region, config=config).list_queues()

    alike(call)
