"""The sources of credentials, each against a stand-in on loopback: what is sent to whom, and how failures are told."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from support import needs
from support.certificates import Authority
from support.fakes import Answering, Proxy, Reply, Request, Scripted, ok
from support.libraries import BOTO3, LIBRARIES, SUBJECT, Library, ours
from support.observe import Outcome, Raised, Returned, outcome, same

pytestmark = pytest.mark.timeout(90)

XML = [("Content-Type", "text/xml")]
ROLE = "arn:aws:iam::123456789012:role/r"


def stamp(seconds: float) -> str:
    """The time in so many seconds."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def who(
    scripted: Scripted, library: Library, client: Any = None, session: dict[str, Any] | None = None, **options: Any
) -> Outcome:
    """Which key and token sign a call; the client is made within, unless there is one."""
    scripted.play(ok(QueueUrl="u"))

    def call() -> tuple[str | None, str | None]:
        settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **options}
        asking = library.session(**(session or {})).client("sqs", **settings) if client is None else client
        asking.get_queue_url(QueueName="q")
        return signer(scripted.requests[-1])

    return outcome(call)


def signer(request: Request) -> tuple[str | None, str | None]:
    authorization = request.headers["authorization"]
    return authorization.partition("Credential=")[2].partition("/")[0], request.headers.get("x-amz-security-token")


def compare(
    scripted: Scripted,
    prepare: Callable[[], Any] | None = None,
    libraries: tuple[Library, ...] = (BOTO3, SUBJECT),
    **options: Any,
) -> Outcome:
    """All sign alike, or fail alike. ``prepare`` is called before each. What boto3 came to."""
    results = []
    for library in libraries:
        if prepare is not None:
            prepare()
        results.append(who(scripted, library, **options))
    for result in results[1:]:
        same(results[0], result)
    return results[0]


def error(result: Outcome) -> tuple[str, str]:
    assert isinstance(result, Raised), result
    return type(result.error).__name__, str(result.error)


def role_given(operation: str, key: str = "AKIDROLE", seconds: float = 3600) -> Reply:
    user = f"<AssumedRoleUser><AssumedRoleId>i:s</AssumedRoleId><Arn>{ROLE}/s</Arn></AssumedRoleUser>"
    keys = (
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t&amp;</SessionToken>"
        f"<Expiration>{stamp(seconds)}</Expiration>"
    )
    body = (
        f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>{user}'
        f"<Credentials>{keys}</Credentials></{operation}Result></{operation}Response>"
    )
    return Reply(body=body.encode(), headers=XML)


def sts_refused(code: str, message: str, status: int = 403) -> Reply:
    body = (
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
    return Reply(status, body.encode(), XML)


def form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def sts(request: Request) -> Reply:
    return role_given(form(request)["Action"])


# Trust


@pytest.fixture
def web_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    token = tmp_path / "token"
    token.write_text("the-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    return token


ASSUMED = f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n"
BASE = "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n"


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("source", ["web identity", "role"])
def test_verify_is_about_sqs_alone(
    source: str, request: pytest.FixtureRequest, tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can put himself between us and STS gets nothing, whatever a client takes for SQS."""
    if source == "web identity":
        request.getfixturevalue("web_identity")
    else:
        (request.getfixturevalue("aws") / "config").write_text(ASSUMED + BASE)
    authority = Authority(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tls = authority.server("sts", names=["sts.us-east-1.amazonaws.com"])
    with Answering(sts, tls=tls) as impostor, Proxy(impostor.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for verify in (False, str(authority.bundle)):
            for library in LIBRARIES:
                name, text = error(who(scripted, library, verify=verify))
                assert name == "SSLError"
                assert text.startswith("SSL validation failed for https://sts.us-east-1.amazonaws.com/ ")
                assert impostor.requests == []
                assert scripted.requests == []
        assert {seen.target for seen in proxy.seen} == {"sts.us-east-1.amazonaws.com:443"}
        # It goes by the environment, as in boto3.
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
        assert compare(scripted, libraries=LIBRARIES, verify=True) == Returned(("AKIDROLE", "t&"))


def container_reply(_: Request) -> Reply:
    keys = {"AccessKeyId": "AKIDTASK", "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(3600)}
    return Reply(body=json.dumps(keys).encode())


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_no_proxy_sees_the_token_of_a_container(
    variable: str, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Answering(container_reply) as agent, Proxy(agent.port) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "agent-token")
        for library in LIBRARIES:
            result = who(scripted, library, config=library.config(proxies={}))
            assert result == Returned(("AKIDTASK", "t")), library.name
        token = tmp_path / "token"
        token.write_text("token-of-a-file")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        assert isinstance(who(scripted, SUBJECT, config=SUBJECT.config(proxies={})), Returned)
        assert proxy.seen == []
        asked = [(each.method, each.target, each.headers["authorization"]) for each in agent.requests]
        assert set(asked[:-1]) == {("GET", "/v1/credentials", "agent-token")}
        assert asked[-1] == ("GET", "/v1/credentials", "token-of-a-file")


@pytest.mark.parametrize("host", ["127.1", "2130706433", "10.0.0.1", "evil.example", "localhost@evil.example"])
def test_hosts_that_a_container_may_not_ask(host: str, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{host}/")
    name, text = error(compare(scripted, libraries=LIBRARIES))
    assert name == "ValueError"
    assert "Unsupported host" in text


def test_a_token_that_no_header_can_carry(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nb: c")
    assert error(compare(scripted)) == ("ValueError", "Auth token value is not a legal header value")


@pytest.mark.parametrize(("status", "body"), [(500, b"out of order"), (200, b"no JSON")])
def test_a_container_without_credentials(
    status: int, body: bytes, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts; boto3 sleeps between them, which is not waited for here."""
    import botocore.utils

    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    with Answering(lambda _: Reply(status, body)) as agent:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
        assert error(compare(scripted))[0] == "CredentialRetrievalError"
        assert len(agent.requests) == 6


# Processes


def helper(folder: Path, text: str) -> str:
    """A program that runs this Python text."""
    path = folder / "helper.py"
    path.write_text(text)
    return f"{sys.executable} {path}"


ECHO = """
import json, sys
print(json.dumps({"Version": 1, "AccessKeyId": "AKIDECHO", "SecretAccessKey": "s", "SessionToken": sys.argv[1]}))
"""


@pytest.mark.parametrize(
    "argument", ["pa$$word", "`id`", "/*", "~", "$HOME", "a;b", "a>b", "a|b", "a&b", "#x", "{a,b}"]
)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_no_shell_reads_the_command(argument: str, quote: str, aws: Path, scripted: Scripted) -> None:
    command = f"{helper(aws, ECHO)} {quote}{argument}{quote}"
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n")
    assert compare(scripted, libraries=LIBRARIES) == Returned(("AKIDECHO", argument))


def test_a_command_after_a_semicolon_is_an_argument(aws: Path, scripted: Scripted) -> None:
    made = aws / "made"
    command = f"{helper(aws, ECHO)} 'pa$$word' ; touch {made} > {made} && touch {made}"
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n")
    assert compare(scripted, libraries=LIBRARIES) == Returned(("AKIDECHO", "pa$$word"))
    assert not made.exists()


GOOD = '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s"'
OUTPUTS = {
    "nonsense": "garbage",
    "nothing": "",
    "another version": GOOD.replace("1", "2") + "}",
    "a version in words": GOOD.replace("1", '"one"') + "}",
    "no version": '{"AccessKeyId": "A"}',
    "no secret": '{"Version": 1, "AccessKeyId": "A"}',
    "expired keys": GOOD + ', "Expiration": "2001-01-01T00:00:00Z"}',
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_are_no_credentials(name: str, aws: Path, scripted: Scripted) -> None:
    command = helper(aws, f"print({OUTPUTS[name]!r})")
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n")
    assert isinstance(compare(scripted), Raised)


@pytest.mark.parametrize("command", ["/no/such/program -x", "no-such-program-at-all", "/etc", "'unclosed"])
def test_programs_that_cannot_be_run(command: str, aws: Path, scripted: Scripted) -> None:
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n")
    compare(scripted)


def test_a_program_that_fails(aws: Path, scripted: Scripted) -> None:
    command = helper(aws, "import sys; sys.exit('no luck')")
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n")
    assert error(compare(scripted))[1] == "Error when retrieving credentials from custom-process: no luck\n"


@pytest.mark.parametrize("said", [{}, {"AccountId": "123456789012"}, {"AccountId": ""}, {"AccountId": None}], ids=str)
@pytest.mark.parametrize("profile", ["", "aws_account_id = 999999999999\n"])
def test_the_account_of_a_program(said: dict[str, Any], profile: str, aws: Path, scripted: Scripted) -> None:
    whole = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", **said}
    command = helper(aws, f"print({json.dumps(whole)!r})")
    (aws / "config").write_text(f"[default]\ncredential_process = {command}\n{profile}")
    expected = said.get("AccountId") or profile[-13:-1] or None
    assert accounts(scripted) == expected


def accounts(
    scripted: Scripted,
    prepare: Callable[[], None] = lambda: None,
    session: dict[str, Any] | None = None,
    **options: Any,
) -> str | None:
    """The account that a client's credentials are of, in both libraries. ``prepare`` is called before each."""
    found = []
    for library in (BOTO3, SUBJECT):
        prepare()
        settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **options}
        client = library.session(**(session or {})).client("sqs", **settings)
        found.append(client._get_credentials().get_frozen_credentials().account_id)
    same(*found)
    account: str | None = found[0]
    return account


def test_the_account_of_keys(aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "config").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\naws_account_id = 1\n")
    assert accounts(scripted) == "1"
    (aws / "credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\n")
    assert accounts(scripted) is None
    for name, value in {"ACCESS_KEY_ID": "A", "SECRET_ACCESS_KEY": "s", "ACCOUNT_ID": "2"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    assert accounts(scripted) == "2"
    keys: dict[str, Any] = {"aws_access_key_id": "A", "aws_secret_access_key": "s"}
    assert accounts(scripted, **keys) is None
    assert accounts(scripted, **keys, aws_account_id="3") == "3"


def test_the_account_of_a_container(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(3600), "AccountId": "4"}
    with Answering(lambda _: Reply(body=json.dumps(keys).encode())) as listening:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", listening.url)
        assert accounts(scripted) == "4"


def test_the_account_of_a_user_who_has_logged_in(sso_cache: Path, scripted: Scripted) -> None:
    """With single sign-on it is the profile's; the service does not say it."""
    with Answering(portal) as listening:
        sso_profile(sso_cache, listening.url)
        sso_token(sso_cache, "https://start", accessToken="bearer", expiresAt=stamp(3600))
        assert accounts(scripted) == "123456789012"


@pytest.mark.usefixtures("curve")
@pytest.mark.parametrize("expires", [900, 60], ids=["as it is", "renewed"])
def test_the_account_of_a_login_to_the_console(expires: float, aws: Path, scripted: Scripted) -> None:
    """That of its token, which a renewal does not change."""
    fresh = {"accessKeyId": "AKIDFRESH", "secretAccessKey": "s", "sessionToken": "t2"}
    answer = Reply(body=json.dumps({"accessToken": fresh, "expiresIn": 900, "refreshToken": "next"}).encode())
    with Answering(lambda _: answer) as sign_in:
        (aws / "config").write_text(LOGIN.format(sign_in.url))

        def prepare() -> None:
            login(aws, expires=stamp(expires))

        assert accounts(scripted, prepare) == "1"
        assert len(sign_in.requests) == (2 if expires == 60 else 0)


def test_keys_that_cannot_be_replaced(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 asks for new ones with each request, and fails without; ours are used for as long as they are good."""
    import botocore.utils

    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    keys = {"AccessKeyId": "AKIDSHORT", "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(300)}
    good = Returned(("AKIDSHORT", "t"))
    for library in (BOTO3, SUBJECT):
        replies = [Reply(body=json.dumps(keys).encode())]
        with Answering(lambda _: replies[0]) as agent:  # noqa: B023
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
            client = library.session().client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
            assert [who(scripted, library, client) for _ in range(3)] == [good] * 3
            asked = len(agent.requests)
            replies[0] = Reply(500, b"out of order")
            late = who(scripted, library, client)
        if library != BOTO3 and ours("short lives"):
            assert (asked, late) == (1, good)
        else:
            assert asked == 4
            assert error(late)[0] == "CredentialRetrievalError"


# The environment


def keys_in_environment(monkeypatch: pytest.MonkeyPatch, key: str, seconds: float | None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    if seconds is not None:
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", stamp(seconds))


def test_keys_of_the_environment_that_expire(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """``AWS_CREDENTIAL_EXPIRATION``: whoever wrote them writes new ones, which are read when the old ones run out."""
    for library in (BOTO3, SUBJECT):
        keys_in_environment(monkeypatch, "AKIDOLD", -60)
        session = library.session()
        client = session.client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
        keys_in_environment(monkeypatch, "AKIDNEW", 3600)
        assert who(scripted, library, client) == Returned(("AKIDNEW", "t")), library.name
        keys_in_environment(monkeypatch, "AKIDLATER", 3600)
        assert who(scripted, library, client) == Returned(("AKIDNEW", "t")), library.name
        assert who(scripted, library) == Returned(("AKIDLATER", "t")), library.name


@pytest.mark.parametrize(
    "gone", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", None]
)
def test_an_environment_that_has_lost_a_key(
    gone: str | None, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for library in (BOTO3, SUBJECT):
        keys_in_environment(monkeypatch, "AKIDOLD", -60)
        client = library.session().client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
        if gone is not None:
            keys_in_environment(monkeypatch, "AKIDNEW", 3600)
            monkeypatch.delenv(gone)
        results.append(who(scripted, library, client))
    same(*results)
    if gone == "AWS_SESSION_TOKEN":
        assert results[0] == Returned(("AKIDNEW", None))
    else:
        assert error(results[0])[0] == ("RuntimeError" if gone is None else "PartialCredentialsError")


def test_an_environment_whose_time_is_none(aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    keys_in_environment(monkeypatch, "AKIDENV", None)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "soon")
    results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
    for came, result in results:
        assert isinstance(result, Raised)
        assert isinstance(result.error, ValueError)
        assert (came, str(result.error)) == ("client", "Unknown string format: soon")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "")
    assert compare(scripted) == Returned(("AKIDENV", "t"))
    # The source of a role as well.
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", stamp(3600))
    with Answering(sts) as listening:
        role = f"[default]\nrole_arn = {ROLE}\ncredential_source = Environment\nendpoint_url = {listening.url}\n"
        (aws / "config").write_text(role)
        assert compare(scripted, session={"profile_name": "default"}) == Returned(("AKIDROLE", "t&"))
        assert accounts(scripted, session={"profile_name": "default"}) == "123456789012"


# Roles


def test_a_role(aws: Path, scripted: Scripted) -> None:
    settings = "external_id = e&x\nduration_seconds = 900\nrole_session_name = me\n"
    with Answering(sts) as listening:
        (aws / "config").write_text(f"{ASSUMED}{settings}endpoint_url = {listening.url}\n{BASE}")
        assert compare(scripted) == Returned(("AKIDROLE", "t&"))
        assert signer(listening.requests[0])[0] == signer(listening.requests[1])[0] == "AKIDBASE"
        same(*(sorted(form(each).items()) for each in listening.requests))


def test_a_role_by_way_of_another(aws: Path, scripted: Scripted) -> None:
    middle = f"[profile base]\nrole_arn = {ROLE[:-1]}e\nsource_profile = keys\n"
    keys = "[profile keys]\naws_access_key_id = AKIDKEYS\naws_secret_access_key = s\n"
    with Answering(lambda each: role_given("AssumeRole", f"AKID{form(each)['RoleArn'][-1]}")) as listening:
        (aws / "config").write_text(f"{ASSUMED}endpoint_url = {listening.url}\n{middle}{keys}")
        assert compare(scripted) == Returned(("AKIDr", "t&"))
        assert [signer(each)[0] for each in listening.requests] == ["AKIDKEYS", "AKIDe"] * 2


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
def test_a_role_that_is_refused(code: str, aws: Path, scripted: Scripted) -> None:
    with Answering(lambda _: sts_refused(code, "not you")) as listening:
        (aws / "config").write_text(f"{ASSUMED}endpoint_url = {listening.url}\n{BASE}")
        name, text = error(compare(scripted))
        assert (name, text) == (
            "ClientError",
            f"An error occurred ({code}) when calling the AssumeRole operation: not you",
        )


@pytest.mark.parametrize(
    "config",
    [
        ASSUMED,
        ASSUMED + "[profile base]\nregion = x\n",
        ASSUMED + "[profile base]\nrole_arn = s\nsource_profile = default\n",
        f"[default]\nrole_arn = {ROLE}\nsource_profile = default\n",
        f"[default]\nrole_arn = {ROLE}\n",
        ASSUMED + "credential_source = Environment\n" + BASE,
        *(f"[default]\nrole_arn = r\ncredential_source = {name}\n" for name in ("Moon", "Environment", "EcsContainer")),
        f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n",
        ASSUMED + "[profile base]\naws_access_key_id = half\n",
        "[default]\nsso_role_name = r\n",
        "[default]\nsso_account_id = 1\nsso_session = none\n",
        "[default]\nsso_role_name = r\nsso_account_id = 1\nsso_session = s\nsso_region = a\n"
        "[sso-session s]\nsso_region = b\nsso_start_url = u\n",
    ],
)
def test_profiles_that_make_no_sense(config: str, aws: Path, scripted: Scripted) -> None:
    (aws / "config").write_text(config)
    assert isinstance(compare(scripted), Raised)


def test_a_role_with_the_keys_of_the_environment(
    aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with Answering(sts) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", listening.url)
        (aws / "config").write_text(f"[profile p]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
        for library in (BOTO3, SUBJECT):
            client = library.session(profile_name="p").client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
            assert who(scripted, library, client) == Returned(("AKIDROLE", "t&"))
            assert signer(listening.requests[-1])[0] == "AKIDENV"


def test_a_code_is_asked_for_once(aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread of the first call, with botocore's words; when the role has run out nobody is asked again."""
    import getpass
    import threading

    import botocore.credentials

    asked: list[tuple[str, str]] = []

    def ask(prompt: str) -> str:
        asked.append((threading.current_thread().name, prompt))
        return "123456"

    monkeypatch.setattr(getpass, "getpass", ask)
    monkeypatch.setattr(botocore.credentials.AssumeRoleProvider.__init__, "__defaults__", (ask, None, None))
    replies = {"seconds": 3600.0}
    with Answering(lambda _: role_given("AssumeRole", seconds=replies["seconds"])) as listening:
        (aws / "config").write_text(
            f"{ASSUMED}mfa_serial = arn:aws:iam::1:mfa/me\nendpoint_url = {listening.url}\n{BASE}"
        )
        for library in (BOTO3, SUBJECT):
            asked.clear()
            listening.requests.clear()
            session = library.session()
            clients = [session.client("sqs", region_name="us-east-1", endpoint_url=scripted.url) for _ in range(2)]
            assert asked == []
            with ThreadPoolExecutor(8, thread_name_prefix="caller") as pool:
                results = list(pool.map(lambda client: client.get_queue_url(QueueName="q"), clients * 8))
            assert len(results) == 16
            assert [prompt for _, prompt in asked] == ["Enter MFA code for arn:aws:iam::1:mfa/me: "]
            assert asked[0][0].startswith("caller")
            assert [form(each)["TokenCode"] for each in listening.requests] == ["123456"]
        replies["seconds"] = -1
        asked.clear()
        results = []
        for library in (BOTO3, SUBJECT):
            client = library.session().client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
            results.append([who(scripted, library, client) for _ in range(2)])
        same(*results)
        assert error(results[0][1]) == (
            "RefreshWithMFAUnsupportedError",
            "Cannot refresh credentials: MFA token required.",
        )
        assert len(asked) == 2


def test_a_web_identity(web_identity: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "me")
    with Answering(sts) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", listening.url)
        assert compare(scripted) == Returned(("AKIDROLE", "t&"))
        same(*(sorted(form(each).items()) for each in listening.requests))
        assert form(listening.requests[0])["WebIdentityToken"] == "the-token"
        assert not any("authorization" in each.headers for each in listening.requests)
    web_identity.unlink()
    assert error(compare(scripted))[0] == "FileNotFoundError"


def test_a_web_identity_that_is_refused(
    web_identity: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web_identity.exists()
    with Answering(lambda _: sts_refused("AccessDenied", "no such trust")) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", listening.url)
        assert error(compare(scripted))[0] == "ClientError"


# Logins


def sso_profile(aws: Path, portal: str, oidc: str = "http://127.0.0.1:1", session: bool = False) -> None:
    common = "sso_start_url = https://start\nsso_region = eu-west-1\n"
    services = f"[services s]\nsso =\n  endpoint_url = {portal}\nsso_oidc =\n  endpoint_url = {oidc}\n"
    profile = "[default]\nsso_account_id = 123456789012\nsso_role_name = r/1\nservices = s\n"
    if session:
        text = f"{profile}sso_session = my\n[sso-session my]\n{common}{services}"
    else:
        text = f"{profile}{common}{services}"
    (aws / "config").write_text(text)


def sso_token(aws: Path, name: str, **token: Any) -> Path:
    folder = aws / "sso" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha1(name.encode()).hexdigest()}.json"
    path.write_text(json.dumps(token))
    return path


def portal(request: Request) -> Reply:
    keys = {"accessKeyId": "AKIDSSO", "secretAccessKey": "s", "sessionToken": request.headers["x-amz-sso_bearer_token"]}
    milliseconds = int((datetime.datetime.now().timestamp() + 3600) * 1000)
    return Reply(body=json.dumps({"roleCredentials": {**keys, "expiration": milliseconds}}).encode())


def unauthorized(_: Request) -> Reply:
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", "UnauthorizedException:")]
    return Reply(401, b'{"message": "Session token not found or invalid"}', headers)


@pytest.fixture
def sso_cache(aws: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """botocore settles the folder when it is imported."""
    import botocore.credentials
    import botocore.tokens

    for cls in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        monkeypatch.setattr(cls, "_SSO_TOKEN_CACHE_DIR", str(aws / "sso" / "cache"))
    return aws


def test_single_sign_on(sso_cache: Path, scripted: Scripted) -> None:
    with Answering(portal) as listening:
        sso_profile(sso_cache, listening.url)
        assert error(compare(scripted)) == (
            "SSOTokenLoadError",
            "Error loading SSO Token: Token for https://start does not exist",
        )
        sso_token(sso_cache, "https://start", accessToken="bearer", expiresAt=stamp(3600))
        assert compare(scripted) == Returned(("AKIDSSO", "bearer"))
        same(*(each.target for each in listening.requests))
        sso_token(sso_cache, "https://start", accessToken="bearer", expiresAt=stamp(-1))
        assert error(compare(scripted))[0] == "UnauthorizedSSOTokenError"
        sso_token(sso_cache, "https://start", accessToken="bearer")
        assert error(compare(scripted))[1].endswith("Token for https://start is invalid")
        assert len(listening.requests) == 2
    with Answering(unauthorized) as listening:
        sso_profile(sso_cache, listening.url)
        sso_token(sso_cache, "https://start", accessToken="bearer", expiresAt=stamp(3600))
        name, text = error(compare(scripted))
        assert name == "UnauthorizedSSOTokenError"
        assert "run aws sso login with the corresponding profile" in text


def test_a_session_of_single_sign_on_is_renewed(sso_cache: Path, scripted: Scripted) -> None:
    renewable = {
        "refreshToken": "refresh",
        "clientId": "id",
        "clientSecret": "client-secret",
        "registrationExpiresAt": stamp(86400),
    }
    fresh = {"accessToken": "renewed", "expiresIn": 3600, "refreshToken": "next"}
    with Answering(portal) as listening, Answering(lambda _: Reply(body=json.dumps(fresh).encode())) as oidc:
        sso_profile(sso_cache, listening.url, oidc.url, session=True)
        assert error(compare(scripted))[1].endswith("Token for my does not exist")

        def expired() -> Path:
            return sso_token(sso_cache, "my", accessToken="old", expiresAt=stamp(-1), **renewable)

        path = expired()
        assert compare(scripted, expired) == Returned(("AKIDSSO", "renewed"))
        assert [each.target for each in oidc.requests] == ["/token"] * 2
        same(*(sorted(each.json.items()) for each in oidc.requests))
        saved = json.loads(path.read_text())
        assert (saved["accessToken"], saved["refreshToken"], saved["clientSecret"]) == (
            "renewed",
            "next",
            "client-secret",
        )
        assert path.stat().st_mode & 0o077 == 0 or SUBJECT.is_boto3 or needs.WINDOWS
        # What is not about to expire is used as it is.
        assert compare(scripted) == Returned(("AKIDSSO", "renewed"))
        assert len(oidc.requests) == 2
        # What cannot be renewed is used as long as it is good.
        sso_token(sso_cache, "my", accessToken="short", expiresAt=stamp(60))
        assert compare(scripted) == Returned(("AKIDSSO", "short"))
        sso_token(sso_cache, "my", accessToken="old", expiresAt=stamp(-1))
        assert error(compare(scripted)) == (
            "TokenRetrievalError",
            "Error when retrieving token from sso: Token has expired and refresh failed",
        )


def test_a_session_whose_renewal_is_refused(sso_cache: Path, scripted: Scripted) -> None:
    refusal = Reply(400, b'{"error": "invalid_grant"}', [("x-amzn-ErrorType", "InvalidGrantException")])
    with Answering(portal) as listening, Answering(lambda _: refusal) as oidc:
        sso_profile(sso_cache, listening.url, oidc.url, session=True)
        renewable = {"refreshToken": "r", "clientId": "i", "clientSecret": "s", "registrationExpiresAt": stamp(86400)}
        sso_token(sso_cache, "my", accessToken="old", expiresAt=stamp(-1), **renewable)
        assert error(compare(scripted))[0] == "TokenRetrievalError"
        assert listening.requests == []


def login(aws: Path, **token: Any) -> Path:
    """A login to the console, with a private key made for it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = aws / "login" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    access = {"accessKeyId": "AKIDLOGIN", "secretAccessKey": "s", "sessionToken": "t", "accountId": "1"}
    whole = {
        "accessToken": {**access, "expiresAt": token.pop("expires", stamp(900))},
        "refreshToken": "refresh",
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": pem.decode(),
        **token,
    }
    path = folder / f"{hashlib.sha256(b'my-login').hexdigest()}.json"
    path.write_text(json.dumps({name: value for name, value in whole.items() if value is not None}))
    return path


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def check_proof(proof: str, url: str) -> None:
    """It is for this request, and signed with the key that it names."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    header, payload, signature = proof.split(".")
    jwk, claims = json.loads(decoded(header))["jwk"], json.loads(decoded(payload))
    assert (claims["htm"], claims["htu"]) == ("POST", url)
    x, y, r, s = (
        int.from_bytes(part, "big")
        for part in (decoded(jwk["x"]), decoded(jwk["y"]), decoded(signature)[:32], decoded(signature)[32:])
    )
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    key.verify(utils.encode_dss_signature(r, s), f"{header}.{payload}".encode(), ec.ECDSA(SHA256()))


def sign_in_refused(reason: str) -> Reply:
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", "AccessDeniedException")]
    return Reply(400, json.dumps({"error": reason, "message": "no"}).encode(), headers)


LOGIN = """
[default]
region = us-east-1
login_session = my-login
services = s
[services s]
signin =
  endpoint_url = {}
"""


class EllipticCurve:
    """What botocore takes from awscrt for ``aws login``, which is not at hand: the same on ``cryptography``."""

    def __init__(self, key: Any) -> None:
        self._key = key

    @classmethod
    def new_key_from_der_data(cls, der: bytes) -> EllipticCurve:
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        return cls(load_der_private_key(der, None))

    def get_public_coords(self) -> tuple[bytes, bytes]:
        numbers = self._key.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")

    def sign(self, digest: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        signature: bytes = self._key.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))
        return signature

    @staticmethod
    def decode_der_signature_to_padded_pair(signature: bytes, pad_to: int) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import utils

        return b"".join(number.to_bytes(pad_to, "big") for number in utils.decode_dss_signature(signature))


@pytest.fixture
def curve(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.credentials

    monkeypatch.setattr(botocore.credentials, "EC", EllipticCurve)


def proven(request: Request, url: str) -> list[Any]:
    """A request to renew a login: what it says, and what is in its proof."""
    proof = request.headers["dpop"]
    check_proof(proof, url)
    header, claims = (json.loads(decoded(part)) for part in proof.split(".")[:2])
    claims = {name: len(value) if name == "jti" else type(value) for name, value in claims.items()}
    jwk = {name: value if name in ("kty", "crv") else len(value) for name, value in header.pop("jwk").items()}
    parts = [sorted(part.items()) for part in (request.json, header, jwk, claims)]
    return [request.method, request.target, request.headers["content-type"], *parts]


@pytest.mark.usefixtures("curve")
def test_a_login_to_the_console(aws: Path, scripted: Scripted) -> None:
    """``aws login``: used while it is good, renewed with a proof of its key, and told in botocore's exceptions."""
    fresh = {"accessKeyId": "AKIDFRESH", "secretAccessKey": "s", "sessionToken": "t2"}
    answers = [Reply(body=json.dumps({"accessToken": fresh, "expiresIn": 900, "refreshToken": "next"}).encode())]
    with Answering(lambda _: answers[0]) as sign_in:
        (aws / "config").write_text(LOGIN.format(sign_in.url))
        name, text = error(compare(scripted))
        assert name == "LoginTokenLoadError"
        assert text.endswith("for session my-login. Please reauthenticate with 'aws login'.")
        login(aws)
        assert compare(scripted) == Returned(("AKIDLOGIN", "t"))
        assert sign_in.requests == []
        files = []
        for library in (BOTO3, SUBJECT):
            path = login(aws, expires=stamp(60))
            assert who(scripted, library) == Returned(("AKIDFRESH", "t2")), library.name
            saved = json.loads(path.read_text())
            for of_this_time in ("dpopKey", "expiresAt"):
                saved.pop(of_this_time, None) or saved["accessToken"].pop(of_this_time)
            files.append(json.dumps(saved, sort_keys=True))
        same(*files)
        same(*(proven(request, f"{sign_in.url}/v1/token") for request in sign_in.requests))
        assert len(sign_in.requests) == 2
        for reason, expected in [
            ("TOKEN_EXPIRED", "LoginRefreshRequired"),
            ("USER_CREDENTIALS_CHANGED", "LoginRefreshRequired"),
            ("INSUFFICIENT_PERMISSIONS", "LoginInsufficientPermissions"),
            ("ELSE", "LoginError"),
        ]:
            answers[0] = sign_in_refused(reason)
            assert error(compare(scripted, lambda: login(aws, expires=stamp(60))))[0] == expected
        for missing in ("accessToken", "refreshToken", "dpopKey", "clientId"):
            login(aws, **{missing: None})
            assert error(compare(scripted))[1].endswith(f"missing required fields: {missing}.")
        for key in ("no key", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ==\n-----END EC PRIVATE KEY-----\n", ""):
            login(aws, dpopKey=key, expires=stamp(60))
            assert error(compare(scripted))[1].endswith("Unable to load private key from cached token.")


@pytest.mark.usefixtures("curve")
def test_where_logins_are_kept(aws: Path, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "config").write_text("[default]\nlogin_session = my-login\n")
    monkeypatch.setenv("ELSEWHERE", str(tmp_path))
    monkeypatch.setenv("AWS_LOGIN_CACHE_DIRECTORY", "$ELSEWHERE/login/cache")
    assert error(compare(scripted))[0] == "LoginTokenLoadError"
    login(tmp_path)
    assert compare(scripted) == Returned(("AKIDLOGIN", "t"))


def test_a_login_without_a_further_package(aws: Path, scripted: Scripted) -> None:
    (aws / "config").write_text("[default]\nlogin_session = my-login\n")
    login(aws)
    assert error(who(scripted, BOTO3))[0] == "MissingDependencyException"
    if ours("logins"):
        assert who(scripted, SUBJECT) == Returned(("AKIDLOGIN", "t"))


# When a source is asked


def when(scripted: Scripted, library: Library, **options: Any) -> tuple[str, Outcome]:
    """Whether it comes to light when a client is made, or at its first call."""
    scripted.play(ok(QueueUrl="u"))
    settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **options}
    made = outcome(lambda: library.session().client("sqs", **settings))
    return ("client", made) if isinstance(made, Raised) else ("call", who(scripted, library, made.value))


def metadata(token: int, role: int) -> Callable[[Request], Reply]:
    return lambda request: Reply(token if request.method == "PUT" else role, b"x")


FAILING = 'credential_process = sh -c "echo no luck >&2; exit 1"\n'
#: A source that fails, as a configuration file, and where that comes to light.
WHEN = {
    "a program that is not there": ("client", "[default]\ncredential_process = /no/such/program\n"),
    "a program that fails": ("client", f"[default]\n{FAILING}"),
    "a program that prints nonsense": ("client", "[default]\ncredential_process = echo nonsense\n"),
    "a program without keys": ("client", """[default]\ncredential_process = echo '{"Version": 1}'\n"""),
    "a role whose source is a program that fails": ("client", f"{ASSUMED}[profile base]\n{FAILING}"),
    "a role by way of a role whose source fails": (
        "client",
        f"{ASSUMED}[profile base]\nrole_arn = {ROLE}\nsource_profile = last\n[profile last]\n{FAILING}",
    ),
    "a role without its source": ("client", ASSUMED),
    "a role of a container that there is none of": (
        "client",
        f"[default]\nrole_arn = {ROLE}\ncredential_source = EcsContainer\n",
    ),
    "a role that STS refuses": ("call", f"{ASSUMED}endpoint_url = STS\n{BASE}"),
    "a role of somebody who has not logged in": (
        "call",
        f"{ASSUMED}[profile base]\nsso_account_id = 1\nsso_role_name = r\nsso_start_url = u\nsso_region = x\n",
    ),
    "nobody has logged in": (
        "call",
        "[default]\nsso_account_id = 1\nsso_role_name = r\nsso_start_url = u\nsso_region = x\n",
    ),
    "a login to nowhere": ("client", "[default]\nsso_account_id = 1\nsso_role_name = r\n"),
    "a web identity without its token": (
        "call",
        f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = /no/such/file\n",
    ),
    "a web identity without a role": ("client", "[default]\nweb_identity_token_file = /no/such/file\n"),
    "half a key": ("client", "[default]\naws_access_key_id = a\n"),
    "nothing": ("call", "[default]\n"),
}


@needs.SCRIPTS
@pytest.mark.usefixtures("sso_cache")
@pytest.mark.parametrize("name", WHEN)
def test_when_a_source_fails(name: str, aws: Path, scripted: Scripted) -> None:
    expected, config = WHEN[name]
    with Answering(lambda _: sts_refused("AccessDenied", "not you")) as listening:
        (aws / "config").write_text(config.replace("STS", listening.url))
        results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
    same(*results)
    assert results[0][0] == expected
    assert isinstance(results[0][1], Raised)


@pytest.mark.usefixtures("curve")
def test_when_a_login_fails(aws: Path, scripted: Scripted) -> None:
    """The token has to be there when a client is made, and good when it is used."""
    with Answering(lambda _: sign_in_refused("TOKEN_EXPIRED")) as sign_in:
        (aws / "config").write_text(LOGIN.format(sign_in.url))
        results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
        same(*results)
        assert results[0][0] == "client"
        login(aws, expires=stamp(-60))
        results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
        same(*results)
        assert results[0][0] == "call"


def test_when_a_container_fails(scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "nothing"))
    results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
    same(*results)
    assert (results[0][0], error(results[0][1])[0]) == ("client", "FileNotFoundError")


def test_when_the_metadata_of_an_instance_fail(aws: Path, scripted: Scripted, instance: pytest.MonkeyPatch) -> None:
    """For a role they are asked when a client is made; else by the first call: who has no credentials would wait."""
    with Answering(metadata(200, 404)) as service:
        instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        (aws / "config").write_text(f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n")
        results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
        same(*results)
        assert (results[0][0], error(results[0][1])[0]) == ("client", "CredentialRetrievalError")
        (aws / "config").unlink()
        results = [when(scripted, library) for library in (BOTO3, SUBJECT)]
        same(*results)
        assert (results[0][0], error(results[0][1])[0]) == ("call", "NoCredentialsError")
    with Answering(metadata(403, 404)) as service:
        instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        instance.setenv("AWS_EC2_METADATA_V1_DISABLED", "true")
        assert when(scripted, BOTO3)[0] == "client"
        if ours("first call"):
            late, result = when(scripted, SUBJECT)
            assert (late, error(result)[0]) == ("call", "MetadataRetrievalError")


@needs.SCRIPTS
@pytest.mark.skipif(SUBJECT.is_boto3, reason="boto3's clients are made without an event loop")
def test_within_an_event_loop_nobody_waits_for_a_source(aws: Path, scripted: Scripted) -> None:
    import asyncio

    from turbosqs import aio

    (aws / "config").write_text(f"[default]\n{FAILING}")

    async def call() -> None:
        for library in (SUBJECT.module, aio):
            client = library.client("sqs", region_name="us-east-1", endpoint_url=scripted.url)
        async with client:
            await client.get_queue_url(QueueName="q")

    name, text = error(outcome(lambda: asyncio.run(call())))
    assert (name, text.strip()[-7:]) == ("CredentialRetrievalError", "no luck")


# Instances


METADATA = "/latest/meta-data/iam/security-credentials/"


class Metadata:
    """An instance metadata service; ``token`` is the answer to who wants one."""

    def __init__(self, token: Reply) -> None:
        self.token = token
        self.keys = "AKIDINSTANCE"
        self.seconds = 3600.0

    def __call__(self, request: Request) -> Reply:
        if request.method == "PUT":
            return self.token
        if request.target == METADATA:
            return Reply(body=b"the-role")
        keys = {"AccessKeyId": self.keys, "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(self.seconds)}
        return Reply(body=json.dumps({"Code": "Success", **keys}).encode())


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    return monkeypatch


def trace(request: Request) -> tuple[str, str, str | None]:
    return request.method, request.target, request.headers.get("x-aws-ec2-metadata-token")


@pytest.mark.parametrize("status", [200, 403, 404, 405, 500, 400])
@pytest.mark.parametrize("disabled", ["", "true"])
def test_instance_metadata(status: int, disabled: str, scripted: Scripted, instance: pytest.MonkeyPatch) -> None:
    with Answering(Metadata(Reply(status, b"the-token"))) as service:
        instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        instance.setenv("AWS_EC2_METADATA_V1_DISABLED", disabled)
        traces, results = [], []
        for library in (BOTO3, SUBJECT):
            service.requests.clear()
            results.append(who(scripted, library))
            traces.append([trace(each) for each in service.requests])
        same(*results)
        same(*traces)
        if status == 200:
            assert traces[0][-1] == ("GET", f"{METADATA}the-role", "the-token")
        elif status == 400:
            assert error(results[0])[0] == "NoCredentialsError"
        elif disabled:
            assert error(results[0])[0] == "MetadataRetrievalError"
        else:
            assert results[0] == Returned(("AKIDINSTANCE", "t"))


def test_metadata_that_gives_no_token_in_time(scripted: Scripted, instance: pytest.MonkeyPatch) -> None:
    """A container that is one hop too far away for the token's packets."""
    from support.fakes import HANG_UP

    for token, attempts in ((HANG_UP, 1), (HANG_UP, 3)):
        with Answering(Metadata(token)) as service:
            instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
            instance.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", str(attempts))
            assert compare(scripted) == Returned(("AKIDINSTANCE", "t"))
            assert [each.method for each in service.requests] == [*["PUT"] * attempts, "GET", "GET"] * 2


@pytest.mark.parametrize("mode", ["ipv5", "IPv4"])
def test_modes_of_metadata(mode: str, scripted: Scripted, instance: pytest.MonkeyPatch) -> None:
    with Answering(Metadata(Reply(200, b"token"))) as service:
        instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", mode)
        compare(scripted)
    instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://not a host/")
    compare(scripted)


# Sessions, expiry


@pytest.mark.parametrize("way", ["sequential", "threads"])
def test_a_session_looks_once(way: str, aws: Path, scripted: Scripted) -> None:
    count = aws / "count"
    text = f"open({str(count)!r}, 'a').write('x')\n{ECHO}"
    (aws / "config").write_text(f"[default]\ncredential_process = {helper(aws, text)} token\n")
    for library in (BOTO3, SUBJECT):
        count.write_text("")
        session = library.session()
        make = lambda _: session.client("sqs", region_name="us-east-1", endpoint_url=scripted.url)  # noqa: E731, B023
        # boto3 itself looks once for each client that is made before the first one has found something.
        clients = [make(number) for number in range(4)]  # type: ignore[no-untyped-call]
        with ThreadPoolExecutor(1 if way == "sequential" else 8) as pool:
            list(pool.map(lambda client: client.get_queue_url(QueueName="q"), clients * 4))
        assert count.read_text() == "x", library.name
        keys = {"aws_access_key_id": "AKIDOWN", "aws_secret_access_key": "s"}
        own = session.client("sqs", region_name="us-east-1", endpoint_url=scripted.url, **keys)
        assert who(scripted, library, own) == Returned(("AKIDOWN", None))
        assert count.read_text() == "x"
        library.session().client("sqs", region_name="us-east-1", endpoint_url=scripted.url).get_queue_url(QueueName="q")
        assert count.read_text() == "xx"


@needs.SCRIPTS
def test_a_session_that_has_found_nothing_looks_again(
    aws: Path, scripted: Scripted, instance: pytest.MonkeyPatch
) -> None:
    """What failed when a client was made is not what the next one of the session goes by."""
    for library in (BOTO3, SUBJECT):
        with Answering(metadata(200, 404)) as service:
            instance.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
            (aws / "config").write_text(f"[default]\n{FAILING}")
            session = library.session()
            settings = {"region_name": "us-east-1", "endpoint_url": scripted.url}
            assert error(outcome(lambda: session.client("sqs", **settings)))[0] == "CredentialRetrievalError"  # noqa: B023
            for name, value in {"ACCESS_KEY_ID": "AKIDENV", "SECRET_ACCESS_KEY": "s"}.items():
                instance.setenv(f"AWS_{name}", value)
            assert who(scripted, library, session.client("sqs", **settings)) == Returned(("AKIDENV", None))
            (aws / "config").unlink()
            for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
                instance.delenv(f"AWS_{name}")
            assert who(scripted, library, session.client("sqs", **settings)) == Returned(("AKIDENV", None))
            session = library.session()
            assert error(who(scripted, library, session.client("sqs", **settings)))[0] == "NoCredentialsError"
            (aws / "credentials").write_text("[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n")
            # botocore keeps what it has read of the files, but not of this one.
            assert who(scripted, library, session.client("sqs", **settings)) == Returned(("AKIDFILE", None))
            (aws / "credentials").unlink()


def test_a_source_that_fails_at_a_call_stays_the_sessions(
    aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in (BOTO3, SUBJECT):
        with Answering(lambda _: sts_refused("AccessDenied", "not you")) as listening:
            (aws / "config").write_text(f"{ASSUMED}endpoint_url = {listening.url}\n{BASE}")
            session = library.session()
            settings = {"region_name": "us-east-1", "endpoint_url": scripted.url}
            assert error(who(scripted, library, session.client("sqs", **settings)))[0] == "ClientError"
            with monkeypatch.context() as later:
                for name, value in {"ACCESS_KEY_ID": "AKIDENV", "SECRET_ACCESS_KEY": "s"}.items():
                    later.setenv(f"AWS_{name}", value)
                assert error(who(scripted, library, session.client("sqs", **settings)))[0] == "ClientError"
