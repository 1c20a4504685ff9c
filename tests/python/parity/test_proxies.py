"""Proxies: which setting sends what through which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.fakes import Proxy, Reply, Scripted, ok, refused_port
from support.libraries import BOTO3, SUBJECT, Library
from support.observe import Outcome, Raised, Returned, alike, describe, outcome, same

pytestmark = pytest.mark.timeout(90)

SUCCESS = ok(QueueUrl="u")
#: A name that only a proxy could find: it resolves nowhere.
AWAY = "http://sqs.far-away.invalid"


@pytest.fixture
def proxy(scripted: Scripted) -> Iterator[Proxy]:
    with Proxy(scripted.port) as listening:
        yield listening


def ask(library: Library, url: str, settings: dict[str, Any] | None = None, **options: Any) -> Outcome:
    config = library.config(retries={"total_max_attempts": 1}, connect_timeout=5, **(settings or {}))
    return outcome(lambda: library.client(url, config=config, **options).get_queue_url(QueueName="q")["QueueUrl"])


def compare(
    proxy: Proxy, url: str, settings: dict[str, Any] | None = None, **options: Any
) -> tuple[Outcome, list[Any]]:
    """Both come to the same, and the proxy saw the same of both. What boto3 came to, for a closer look."""
    results = []
    for library in (BOTO3, SUBJECT):
        proxy.seen.clear()
        results.append((ask(library, url, settings, **options), [vars(seen) for seen in proxy.seen]))
    same(*(describe([result, seen]) for result, seen in results))
    return results[0]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
def test_environment(name: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever boto3 takes a proxy from; HTTPS_PROXY is nothing to plain HTTP."""
    monkeypatch.setenv(name, proxy.url)
    _, seen = compare(proxy, AWAY)
    assert bool(seen) == (name.lower() == "http_proxy")


def test_environment_without_a_scheme(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    assert compare(proxy, AWAY)[1]


def test_lower_case_beats_upper_case(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setenv("http_proxy", proxy.url)
    compare(proxy, AWAY)


@pytest.mark.parametrize(
    "exempt",
    [
        "*",
        "127.0.0.1",
        "localhost",
        "127.0.0.0/8",
        ".0.0.1",
        "127.0.0.1:{port}",
        "127.0.0.1:1",
        "other, 127.0.0.1",
        "",
        "0.0.1",
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_exemptions(name: str, exempt: str, scripted: Scripted, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY, as boto3 reads it."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv(name, exempt.format(port=scripted.port))
    assert compare(proxy, scripted.url)[0] == Returned("u")


def test_config(proxy: Proxy) -> None:
    assert compare(proxy, AWAY, {"proxies": {"http": proxy.url}})[1]


def test_config_beats_the_environment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    assert compare(proxy, AWAY, {"proxies": {"http": proxy.url}})[1]


def test_no_proxies_by_config(scripted: Scripted, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    compare(proxy, scripted.url, {"proxies": {}})


def test_config_ignores_exemptions(scripted: Scripted, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    compare(proxy, scripted.url, {"proxies": {"http": proxy.url}})


def test_credentials_of_a_proxy(proxy: Proxy) -> None:
    url = proxy.url.replace("http://", "http://user:p%40ss@")
    _, seen = compare(proxy, AWAY, {"proxies": {"http": url}})
    assert seen[0]["authorization"] == "Basic dXNlcjpwQHNz"


def test_refused_proxy() -> None:
    """A proxy that is not there is a ProxyConnectionError, with its address and without its password."""
    port = refused_port()
    for url in (f"http://127.0.0.1:{port}", f"http://user:secret@127.0.0.1:{port}"):
        results = [ask(library, AWAY, {"proxies": {"http": url}}) for library in (BOTO3, SUBJECT)]
        assert "secret" not in describe(results[0])
        same(*results)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_says_no(status: int) -> None:
    with Scripted(Reply(status, b"no", [("Content-Type", "text/plain")])) as refusing:
        same(*(ask(library, AWAY, {"proxies": {"http": refusing.url}}) for library in (BOTO3, SUBJECT)))


def test_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """https goes through CONNECT, and TLS is with the far end."""
    authority = Authority(tmp_path)
    with Scripted(SUCCESS, tls=authority.server()) as secure, Proxy(secure.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        result, seen = compare(proxy, secure.url, verify=str(authority.bundle))
        assert result == Returned("u")
        assert seen == [{"method": "CONNECT", "target": f"127.0.0.1:{secure.port}", "authorization": None}]


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_tunnel_that_is_refused(status: int) -> None:
    with Scripted(Reply(status, b"")) as refusing:
        settings = {"proxies": {"https": refusing.url}}
        results = [ask(library, "https://sqs.far-away.invalid", settings) for library in (BOTO3, SUBJECT)]
        assert all(isinstance(result, Raised) for result in results)
        same(*results)


@pytest.mark.parametrize("proxies", [{"http": ""}, {"http": None}, {"ftp": "x"}], ids=repr)
def test_bad_settings(proxies: Any, scripted: Scripted) -> None:
    def made(library: Library) -> Any:
        config = library.config(retries={"total_max_attempts": 1}, proxies=proxies)
        return library.client(scripted.url, config=config).get_queue_url(QueueName="q")["QueueUrl"]

    alike(lambda library: made(library))
