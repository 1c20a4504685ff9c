"""TLS: whom both trust, by which setting, and what they say when they do not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.fakes import Scripted, ok
from support.libraries import BOTO3, DIFFERENCES, PATCHED, SUBJECT, Library, ours
from support.observe import Outcome, Raised, Returned, describe, outcome, same
from support.scripts import run

pytestmark = pytest.mark.timeout(90)

SUCCESS = ok(QueueUrl="u")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(library: Library, url: str, settings: dict[str, Any] | None = None, **options: Any) -> Outcome:
    """One call, one attempt, the client made inside it."""
    config = library.config(retries={"total_max_attempts": 1}, connect_timeout=5, **(settings or {}))
    return outcome(lambda: library.client(url, config=config, **options).get_queue_url(QueueName="q")["QueueUrl"])


def refused(server: Scripted, settings: dict[str, Any] | None = None, **options: Any) -> None:
    """Both end in an SSLError that begins alike: DIFFERENCES["TLS wording"]."""
    assert "TLS wording" in DIFFERENCES
    results = [ask(library, server.url, settings, **options) for library in (BOTO3, SUBJECT)]
    texts = []
    for result in results:
        assert isinstance(result, Raised)
        begins = f"SSL validation failed for {server.url}/ "
        assert str(result.error).startswith(begins)
        assert len(str(result.error)) > len(begins) + 10
        texts.append(describe(result).replace(str(result.error), begins).replace('"', "'"))
    same(*texts)


def taken(server: Scripted, settings: dict[str, Any] | None = None, **options: Any) -> None:
    for library in (BOTO3, SUBJECT):
        assert ask(library, server.url, settings, **options) == Returned("u"), library.name


def test_unknown_authority(authority: Authority) -> None:
    with Scripted(SUCCESS, tls=authority.server()) as server:
        refused(server)
        refused(server, verify=True)
        assert server.requests == []


def test_another_authority(authority: Authority, tmp_path: Path) -> None:
    """A bundle replaces what is trusted, it does not add to it."""
    other = Authority(tmp_path, "Other Authority")
    with Scripted(SUCCESS, tls=authority.server()) as server:
        refused(server, verify=str(other.bundle))


def test_bundle(authority: Authority) -> None:
    with Scripted(SUCCESS, tls=authority.server()) as server:
        taken(server, verify=str(authority.bundle))


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_no_verification(authority: Authority) -> None:
    with Scripted(SUCCESS, tls=authority.server()) as server:
        taken(server, verify=False)


def test_no_verification_is_warned_of_once(authority: Authority) -> None:
    """boto3 warns with each request, and Python shows it once for each line of code; ours with each client."""
    import urllib3.exceptions

    with Scripted(SUCCESS, tls=authority.server()) as server:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client = SUBJECT.client(server.url, verify=False)
            for _ in range(3):
                client.get_queue_url(QueueName="q")
            SUBJECT.client("http://127.0.0.1:1", verify=False)
        mine = [each for each in caught if each.category is urllib3.exceptions.InsecureRequestWarning]
        if ours("one warning"):
            # A patched client's says it with its first call.
            where = Path(__file__).name if SUBJECT.is_boto3 else "libraries.py"
            assert [Path(each.filename).name for each in mine] == [where]
            assert "127.0.0.1" in str(mine[0].message)
        else:
            assert mine
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            urllib3.disable_warnings()
            SUBJECT.client(server.url, verify=False).get_queue_url(QueueName="q")


def test_a_patched_client_without_verification_warns_once(authority: Authority) -> None:
    """It would go unnoticed otherwise: the library that would warn of it makes no request."""
    import urllib3.exceptions

    with Scripted(SUCCESS, tls=authority.server()) as server:
        client = PATCHED.client(server.url, verify=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                client.get_queue_url(QueueName="q")
        mine = [each for each in caught if each.category is urllib3.exceptions.InsecureRequestWarning]
        assert [Path(each.filename).name for each in mine] == [Path(__file__).name]
        assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_bundle_by_environment(name: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, str(authority.bundle))
    with Scripted(SUCCESS, tls=authority.server()) as server:
        taken(server)


def test_bundle_by_profile(authority: Authority, environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    (folder / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
    with Scripted(SUCCESS, tls=authority.server()) as server:
        taken(server)


def test_the_systems_authorities(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SSL_CERT_FILE`` says where they are, to OpenSSL as to us. They are read once for a process."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    script = """
    try:
        say(url_of(client()))
    except Exception as error:
        say(type(error).__name__)
    """
    with Scripted(SUCCESS, tls=authority.server()) as server:
        assert run(BOTO3, server.url, script) == "SSLError\n"
        if ours("authorities") and not SUBJECT.is_boto3:
            assert run(SUBJECT, server.url, script) == "u\n"


def test_the_argument_beats_the_environment(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(tmp_path, "Other Authority").bundle))
    with Scripted(SUCCESS, tls=authority.server()) as server:
        taken(server, verify=str(authority.bundle))
        refused(server)
        refused(server, verify=True)


def test_wrong_host(authority: Authority) -> None:
    with Scripted(SUCCESS, tls=authority.server("elsewhere", address="127.0.0.2")) as server:
        refused(server, verify=str(authority.bundle))


def test_without_alternative_names(authority: Authority) -> None:
    """A name in the subject alone is none, for both; ours says what is missing."""
    with Scripted(SUCCESS, tls=authority.server("127.0.0.1", address=None)) as server:
        refused(server, verify=str(authority.bundle))
        result = ask(SUBJECT, server.url, verify=str(authority.bundle))
        assert isinstance(result, Raised)
        if ours("TLS wording"):
            assert "no subjectAltName" in str(result.error)
            assert "subjectAltName=IP:127.0.0.1" in str(result.error)


def test_expired(authority: Authority) -> None:
    with Scripted(SUCCESS, tls=authority.server("expired", expired=True)) as server:
        refused(server, verify=str(authority.bundle))


def test_plain_HTTP_behind_https() -> None:  # noqa: N802
    with Scripted(SUCCESS) as server:
        secure = server.url.replace("http://", "https://")
        texts = []
        for library in (BOTO3, SUBJECT):
            result = ask(library, secure)
            assert isinstance(result, Raised)
            texts.append(f"{type(result.error)} {str(result.error).split(secure)[0]}")
        same(*texts)


@pytest.mark.parametrize("bundle", ["missing", "folder", "garbage", "empty"])
def test_bad_bundle(bundle: str, authority: Authority, tmp_path: Path) -> None:
    """A bundle that is none."""
    path = tmp_path / bundle
    if bundle == "folder":
        path.mkdir()
    elif bundle != "missing":
        path.write_text("" if bundle == "empty" else "garbage")
    with Scripted(SUCCESS, tls=authority.server()) as server:
        results = [ask(library, server.url, verify=str(path)) for library in (BOTO3, SUBJECT)]
        assert all(isinstance(result, Raised) for result in results)
        same(*(describe([type(result.error), str(result.error).split(str(path))[0][:40]]) for result in results))  # type: ignore[union-attr]


def test_client_certificate(authority: Authority) -> None:
    certificate, key = authority.issue("client")
    both = certificate.with_name("both.pem")
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    with Scripted(SUCCESS, tls=authority.server(clients=True)) as server:
        trusted = {"verify": str(authority.bundle)}
        taken(server, {"client_cert": (str(certificate), str(key))}, **trusted)
        taken(server, {"client_cert": str(both)}, **trusted)
        for library in (BOTO3, SUBJECT):
            assert isinstance(ask(library, server.url, **trusted), Raised)  # type: ignore[arg-type]


def test_connections_are_kept(authority: Authority) -> None:
    """One handshake serves many calls."""
    for library in (BOTO3, SUBJECT):
        with Scripted(SUCCESS, tls=authority.server()) as server:
            client = library.client(server.url, verify=str(authority.bundle))
            for _ in range(5):
                client.get_queue_url(QueueName="q")
            assert server.connections == 1
