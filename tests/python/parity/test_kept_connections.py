"""A connection that was used before, on which something goes wrong: as in boto3, whoever waits for the reply.

By a connection that is there already a call is driven by its caller's own thread (``src/runtime/caller.rs``), without
that by the I/O thread; all of this is asked of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
from support.certificates import Authority
from support.fakes import HANG_UP, JSON, Proxy, Reply, Scripted, fault, ok
from support.libraries import BOTO3, SUBJECT, Library, ours
from support.observe import Raised, Returned, outcome, same
from turbosqs import _core

pytestmark = pytest.mark.timeout(30)

SUCCESS = ok(QueueUrl="u")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ONCE: dict[str, Any] = {"retries": {"total_max_attempts": 1}}
TWICE: dict[str, Any] = {"retries": {"total_max_attempts": 2, "mode": "standard"}}


@pytest.fixture(autouse=True, params=[True, False], ids=["in the caller's thread", "on the I/O thread"])
def _driving(request: pytest.FixtureRequest) -> Iterator[None]:
    _core.set_driving(request.param)
    yield
    _core.set_driving(True)


def second_call(library: Library, server: Scripted, *script: Reply, tls: str | None = None, **settings: Any) -> Any:
    """What a client's second call comes to, how many requests it took, and how many connections both calls."""
    server.play(SUCCESS, *script)
    client = library.client(server.url, config=library.config(**{**ONCE, **settings}), verify=tls)
    assert client.get_queue_url(QueueName="q")["QueueUrl"] == "u"
    result = outcome(client.get_queue_url, QueueName="q")
    return [result, len(server.requests) - 1, server.connections]


def both(server: Scripted, *script: Reply, tls: str | None = None, **settings: Any) -> Any:
    results = [second_call(library, server, *script, tls=tls, **settings) for library in (BOTO3, SUBJECT)]
    same(*results)
    return results[0]


@pytest.mark.parametrize(
    "reply",
    {
        "plain": SUCCESS,
        "of no length": Reply(body=b"", headers=[JSON]),
        "in chunks": Reply(raw=CHUNKED + b'10\r\n{"QueueUrl": "u"\r\n1\r\n}\r\n0\r\n\r\n'),
        "up to the end": Reply(raw=b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"QueueUrl": "u"}', close=True),
        "the last": Reply(body=SUCCESS.body, headers=[JSON, ("Connection", "close")], close=True),
        "after a hint": Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" + SUCCESS.wire()),
        "old": Reply(raw=b'HTTP/1.0 200 OK\r\nContent-Length: 17\r\n\r\n{"QueueUrl": "u"}', close=True),
        "long": ok(QueueUrl="u" * 3_000_000),
        "late": Reply(body=SUCCESS.body, delay=0.3),
        "refusal": fault(400, "com.amazonaws.sqs#QueueDoesNotExist", "text"),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_reply(reply: tuple[str, Reply], scripted: Scripted) -> None:
    assert both(scripted, reply[1])[1:] == [1, 1]


@pytest.mark.parametrize(
    "reply",
    {
        "hung up": HANG_UP,
        "half a status line": Reply(keep=5),
        "half a chunk": Reply(raw=CHUNKED + b'10\r\n{"Que', close=True),
        "not HTTP": Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close=True),
        "bad chunk size": Reply(raw=CHUNKED + b"zz\r\n{}\r\n", close=True),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_broken_reply(reply: tuple[str, Reply], scripted: Scripted) -> None:
    result, _, _ = both(scripted, reply[1])
    assert isinstance(result, Raised)


@pytest.mark.parametrize("keep", [12, 30, 80])
def test_half_a_reply(keep: int, scripted: Scripted) -> None:
    """No success: it is tried again."""
    half = Reply(body=b'{"QueueUrl": "u"}', keep=keep)
    if not ours("half replies"):
        return
    result, requests, _ = second_call(SUBJECT, scripted, half)
    assert isinstance(result, Raised)
    assert type(result.error).__name__ == "ConnectionClosedError"
    assert requests == 1
    result, requests, connections = second_call(SUBJECT, scripted, half, SUCCESS, **TWICE)
    assert isinstance(result, Returned)
    assert result.value["ResponseMetadata"]["RetryAttempts"] == 1
    assert (requests, connections) == (2, 2)


@pytest.mark.parametrize("timeout", [0.01, 0.3])
def test_silence(timeout: float, scripted: Scripted) -> None:
    """Before a reply, and in the middle of one: it is a ReadTimeoutError, whatever the thread waits for by itself."""
    for reply in (Reply(delay=30), Reply(body=b"{", headers=[JSON, ("Content-Length", "100")])):
        scripted.play(SUCCESS, reply)
        for library in (BOTO3, SUBJECT):
            scripted.play(SUCCESS, reply)
            # The first call has a timeout of its own: a busy machine may take longer than this.
            client = library.client(scripted.url, config=library.config(read_timeout=timeout, **ONCE))
            results = [outcome(client.get_queue_url, QueueName="q") for _ in range(2)]
            assert isinstance(results[1], Raised)
            assert type(results[1].error).__name__ == "ReadTimeoutError"


def test_retries(scripted: Scripted) -> None:
    """The delay before another attempt is waited for elsewhere; the attempt goes by the same connection."""
    result = both(scripted, Reply(503), SUCCESS, **TWICE)
    assert isinstance(result[0], Returned)
    assert result[1:] == [2, 1]


@pytest.mark.parametrize("how", ["said", "unsaid"])
def test_a_peer_that_closes_after_each_reply(how: str, scripted: Scripted) -> None:
    """It is no failure, whether it has said so or not: the next call has its own connection, and loses no attempt."""
    headers = [JSON, ("Connection", "close")] if how == "said" else [JSON]
    last = Reply(body=SUCCESS.body, headers=headers, close=True)
    for library in (BOTO3, SUBJECT):
        scripted.play(last)
        client = library.client(scripted.url, config=library.config(**TWICE))
        for calls in range(1, 6):
            reply = client.get_queue_url(QueueName="q")
            assert reply["ResponseMetadata"]["RetryAttempts"] == 0
            assert (len(scripted.requests), scripted.connections) == (calls, calls)
            # When it is answered the peer may not have closed yet; that it has is what this is about.
            scripted.until_closed()


def test_one_connection_is_enough(scripted: Scripted) -> None:
    """For all calls of one thread, those that take their time among them."""
    slow = Reply(body=SUCCESS.body, delay=0.1)
    scripted.play(SUCCESS, SUCCESS, slow, SUCCESS, slow, slow, SUCCESS)
    client = SUBJECT.client(scripted.url)
    for _ in range(9):
        assert client.get_queue_url(QueueName="q")["QueueUrl"] == "u"
    assert (len(scripted.requests), scripted.connections) == (9, 1)


def test_a_long_request(scripted: Scripted) -> None:
    """Longer than what a socket takes at once."""
    scripted.play(SUCCESS, ok(MessageId="m"))
    client = SUBJECT.client(scripted.url)
    client.get_queue_url(QueueName="q")
    body = "x" * 20_000_000
    assert client.send_message(QueueUrl="u", MessageBody=body)["MessageId"] == "m"
    assert scripted.requests[1].json["MessageBody"] == body
    assert scripted.connections == 1


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
def test_what_is_there_is_not_waited_for(is_secure: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A read waits for 50 ms when there is nothing. One of many calls, at least, is over sooner on any machine."""
    authority = Authority(tmp_path_factory.mktemp("authority")) if is_secure else None
    chunks = Reply(raw=CHUNKED + b'10\r\n{"QueueUrl": "u"\r\n1\r\n}\r\n0\r\n\r\n')
    hint = Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" + SUCCESS.wire())
    with Scripted(tls=None if authority is None else authority.server()) as server:
        client = SUBJECT.client(server.url, verify=None if authority is None else str(authority.bundle))
        for reply in (SUCCESS, chunks, hint, ok(QueueUrl="u" * 30_000)):
            server.play(reply)
            took = []
            for _ in range(50):
                began = perf_counter()
                client.get_queue_url(QueueName="q")
                took.append(perf_counter() - began)
            assert min(took) < 0.05


def test_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with Scripted(tls=authority.server()) as server:
        for script in ([SUCCESS], [ok(QueueUrl="u" * 3_000_000)], [Reply(body=SUCCESS.body, delay=0.2)]):
            assert both(server, *script, tls=str(authority.bundle))[1:] == [1, 1]
        assert isinstance(both(server, HANG_UP, tls=str(authority.bundle))[0], Raised)


def test_a_proxy(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    # The proxy ends a connection when the service does.
    scripted.play(*3 * [Reply(body=SUCCESS.body, headers=[JSON], close=True)])
    with Proxy(scripted.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        client = SUBJECT.client("http://sqs.far-away.invalid")
        for _ in range(3):
            assert client.get_queue_url(QueueName="q")["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert len(proxy.seen) == 3
