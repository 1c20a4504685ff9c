"""Sessions and the module's functions against boto3's; clients are made over a core that only keeps its arguments."""

from __future__ import annotations

import inspect
from pathlib import Path
from threading import Barrier, Thread
from time import sleep
from typing import Any, ClassVar

import boto3
import botocore.session
import pytest
import turbosqs
from botocore.config import Config as BotocoreConfig
from botocore.exceptions import UnknownServiceError
from support.libraries import PATCHED
from turbosqs.patching.hook import take
from turbosqs.session import Session
from turbosqs.sqs import SQS

CONFIG_FILE = """
[default]
region = from-default

[profile a b]
region = not-a-profile

[profile "c d"]
region = from-quoted

[profile bare]
output = json

[profile both]
region = from-config
s3 =
    addressing_style = path

[loose]
region = not-a-profile

[sso-session sso]
sso_region = x

[profile]
region = not-a-profile

[profile 'open]
region = not-a-profile
"""
CREDENTIALS_FILE = """
[default]
aws_access_key_id = a

[only]
region = from-credentials

[both]
region = from-both-credentials

[profile odd]
region = from-odd
"""
PROFILES = ["default", "a b", "c d", "bare", "both", "loose", "only", "profile odd", "odd", "open", "", "nope"]


class Kept:
    """Stands in for the Rust client: keeps what it was made with."""

    endpoint_url, partition = "", "aws"
    general: ClassVar[dict[str, str]] = {}
    timeouts = (60.0, 60.0)
    variants = (False, False)
    retry_mode = "standard"

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.region_name = arguments["region_name"]

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"{operation} called with {params}")


class FakeSession(Session):
    def _connect(self, arguments: dict[str, Any], config: Any) -> SQS:
        return SQS(Kept(arguments), config)  # type: ignore[arg-type]


def arguments(client: Any) -> dict[str, Any]:
    """What a client's core was given."""
    return client._core.arguments  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No AWS settings from outside, no shared files, no default session, no waiting for instance metadata."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(turbosqs, "DEFAULT_SESSION", None)


@pytest.fixture
def shared_files(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(CONFIG_FILE)
    (tmp_path / "credentials").write_text(CREDENTIALS_FILE)


def outcome(work: Any) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must do the same
        return type(error), str(error).replace("FakeSession", "Session")


def same(work: Any) -> Any:
    """Do the same with boto3's class and with ours; the outcome, which must be one."""
    theirs, ours = (outcome(lambda cls=cls: work(cls)) for cls in (boto3.Session, FakeSession))
    assert ours == theirs
    return ours


# --- what a session tells about itself -----------------------------------------------------------------------------


def test_the_signatures_are_boto3s() -> None:
    """Beside what is our own, which can be given by name only."""
    ours = {"client": {"batching", "telemetry"}}
    for name in ("__init__", "client", "resource"):
        mine, original = (inspect.signature(getattr(cls, name)).parameters for cls in (Session, boto3.Session))
        assert [(p.name, p.default, p.kind) for p in mine.values() if p.kind is not p.KEYWORD_ONLY] == [
            (p.name, p.default, p.kind) for p in original.values()
        ]
        assert {p.name for p in mine.values() if p.kind is p.KEYWORD_ONLY} == ours.get(name, set())


def test_every_public_name_is_there() -> None:
    assert {name for name in dir(boto3.Session) if not name.startswith("_")} <= set(dir(Session))


@pytest.mark.parametrize("profile", [None, *PROFILES])
@pytest.mark.parametrize("region", [None, "eu-west-1"])
@pytest.mark.parametrize("variable", [None, "AWS_DEFAULT_PROFILE", "AWS_PROFILE"])
@pytest.mark.usefixtures("shared_files")
def test_profiles_and_regions(
    monkeypatch: pytest.MonkeyPatch, profile: str | None, region: str | None, variable: str | None
) -> None:
    """By argument and by either variable, in the files and not, with the region from everywhere."""
    if variable is not None and profile is not None:
        monkeypatch.setenv(variable, profile)
    named = profile if variable is None else None

    def told(cls: Any) -> Any:
        session = cls(profile_name=named, region_name=region)
        return session.profile_name, session.region_name, session.available_profiles

    same(told)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "from-environment")
    same(told)


@pytest.mark.usefixtures("shared_files")
def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "both")
    monkeypatch.setenv("AWS_PROFILE", "only")
    assert same(lambda cls: cls().profile_name) == "both"
    assert same(lambda cls: cls(profile_name="only").region_name) == "from-credentials"


@pytest.mark.usefixtures("shared_files")
def test_aws_region_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    # boto3 does not read it at all.
    monkeypatch.setenv("AWS_REGION", "from-aws-region")
    assert same(lambda cls: cls().region_name) == "from-default"
    assert Session(profile_name="bare").region_name == "from-aws-region"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    assert same(lambda cls: cls(profile_name="bare").region_name) == ""


@pytest.mark.parametrize("text", ["garbage\n", "[open\n", "[a]\nx=1\n[a]\nx=2\n", b"[a]\nx=\xff\xfe\n"], ids=repr)
@pytest.mark.parametrize("name", ["config", "credentials"])
def test_a_broken_file(tmp_path: Path, text: str | bytes, name: str) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert same(lambda cls: cls().available_profiles)[0] is turbosqs.exceptions.ConfigParseError
    assert same(lambda cls: cls(profile_name="x"))[0] is turbosqs.exceptions.ConfigParseError


def test_home_and_variables_in_a_files_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("[default]\nregion = found\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", "~/there")
    assert same(lambda cls: cls().region_name) == "found"
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", "$PLACE/there")
    assert same(lambda cls: cls().region_name) == "found"


@pytest.mark.parametrize("region", [None, "x", ""])
def test_repr(region: str | None) -> None:
    assert repr(Session(region_name=region)) == repr(boto3.Session(region_name=region))


@pytest.mark.parametrize(
    "keywords",
    [{"aws_account_id": "1"}, {"aws_account_id": "1", "aws_access_key_id": "a"}, {"nope": 1}, {"region_name": 5}],
    ids=repr,
)
def test_wrong_arguments(keywords: dict[str, Any]) -> None:
    same(lambda cls: cls(**keywords).region_name)


# --- what a client is made with ------------------------------------------------------------------------------------

KEYS = {"aws_access_key_id": "client-id", "aws_secret_access_key": "client-secret"}
SESSION_KEYS = {
    "aws_access_key_id": "session-id",
    "aws_secret_access_key": "session-secret",
    "aws_session_token": "session-token",
    "aws_account_id": "123456789012",
}


def test_every_argument_reaches_the_core() -> None:
    given: dict[str, Any] = {
        "region_name": "eu-west-1",
        "api_version": "2012-11-05",
        "use_ssl": False,
        "verify": "/bundle.pem",
        "endpoint_url": "http://localhost:9324",
        **KEYS,
        "aws_session_token": "t",
        "config": None,
        "aws_account_id": "1",
    }
    kept = arguments(FakeSession().client("sqs", **given))
    assert kept == {**given, "config": {}, "profile_name": None, "batching": None}
    # In boto3's order; what it has not is given by name.
    assert list(given) == list(inspect.signature(boto3.Session.client).parameters)[2:]
    assert arguments(FakeSession().client("sqs", *given.values())) == kept
    assert arguments(FakeSession().client(service_name="sqs", **given)) == kept
    same(lambda cls: cls().client("sqs", *given.values(), True))


@pytest.mark.parametrize("wrong", [{"regoin": "x"}, {"service_name": "sqs"}])
def test_arguments_that_do_not_fit_are_refused_as_by_boto3(wrong: dict[str, str]) -> None:
    assert same(lambda cls: cls().resource("sqs", **wrong))[0] is TypeError
    assert same(lambda cls: cls().client("sqs", **wrong))[0] is TypeError


@pytest.mark.parametrize(
    ("session", "client", "expected"),
    [
        ({}, {}, [None] * 4),
        (SESSION_KEYS, {}, list(SESSION_KEYS.values())),
        (SESSION_KEYS, KEYS, ["client-id", "client-secret", None, None]),
        (SESSION_KEYS, {"aws_session_token": "lonely"}, list(SESSION_KEYS.values())),
        ({}, {"aws_session_token": "lonely", "aws_account_id": "1"}, [None] * 4),
        ({}, {"aws_access_key_id": "half"}, ["half", None, None, None]),
        (SESSION_KEYS, {"aws_secret_access_key": "half"}, [None, "half", None, None]),
        ({"aws_access_key_id": "", "aws_secret_access_key": ""}, {}, [None] * 4),
        ({"aws_access_key_id": "half"}, {}, ["half", None, None, None]),
    ],
    ids=str,
)
def test_credentials(session: dict[str, str], client: dict[str, str], expected: list[str | None]) -> None:
    kept = arguments(FakeSession(**session).client("sqs", **client))  # type: ignore[call-overload]
    assert [kept[name] for name in SESSION_KEYS] == expected


@pytest.mark.parametrize(
    ("session", "client"),
    [(SESSION_KEYS, {}), (SESSION_KEYS, KEYS), (SESSION_KEYS, {"aws_session_token": "lonely"}), ({}, KEYS)],
    ids=str,
)
def test_credentials_are_those_that_boto3_would_sign_with(session: dict[str, str], client: dict[str, str]) -> None:
    theirs = boto3.Session(**session).client("sqs", region_name="us-east-1", **client)._request_signer._credentials
    kept = arguments(FakeSession(**session).client("sqs", **client))  # type: ignore[call-overload]
    assert [kept[name] for name in SESSION_KEYS] == [
        theirs.access_key,
        theirs.secret_key,
        theirs.token,
        theirs.account_id,
    ]


def test_half_a_session_token_is_no_credential() -> None:
    with pytest.raises(turbosqs.exceptions.PartialCredentialsError, match="missing: aws_access_key_id"):
        FakeSession(aws_session_token="lonely").client("sqs")


@pytest.mark.parametrize(
    ("session", "client", "expected"),
    [("s", "c", "c"), ("s", None, "s"), (None, "c", "c"), (None, None, None), ("s", "", "")],
)
def test_regions(session: str | None, client: str | None, expected: str | None) -> None:
    assert arguments(FakeSession(region_name=session).client("sqs", client))["region_name"] == expected


@pytest.mark.parametrize(
    ("session", "config", "client", "expected"),
    [("s", "k", "c", "c"), ("s", "k", None, None), ("s", None, None, "s"), (None, "k", None, None)],
)
def test_a_configs_region_goes_before_the_sessions(
    session: str | None, config: str | None, client: str | None, expected: str | None
) -> None:
    kept = arguments(FakeSession(region_name=session).client("sqs", client, config=BotocoreConfig(region_name=config)))
    assert kept["region_name"] == expected
    # None here: the core finds it there.
    assert kept["config"].get("region_name") == config


def test_the_profile_reaches_the_core(shared_files: None) -> None:  # noqa: ARG001
    assert arguments(FakeSession(profile_name="both").client("sqs"))["profile_name"] == "both"


@pytest.mark.parametrize("version", ["2000-01-01", "latest"])
def test_an_api_version_that_sqs_does_not_have(version: str) -> None:
    same(lambda cls: type(cls(region_name="us-east-1").client("sqs", api_version=version)).__name__)


@pytest.mark.parametrize("keywords", [{}, {"service_name": "sqs", "nope": 1}, {"service_name": "sqs", "batch": 1}])
def test_unknown_and_missing_arguments(keywords: dict[str, Any]) -> None:
    assert same(lambda cls: cls(region_name="us-east-1").client(**keywords))[0] is TypeError


# --- what is boto3's -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sqss", "SQS", "", "sqs "])
def test_an_unknown_service_is_refused_in_botocores_words(name: str) -> None:
    assert same(lambda cls: cls(region_name="us-east-1").client(name))[0] is UnknownServiceError
    same(lambda cls: cls(region_name="us-east-1").resource(name))


def test_other_services_are_boto3s_with_the_sessions_settings() -> None:
    session = FakeSession(region_name="eu-west-3", **SESSION_KEYS)
    client = session.client("sns", config=BotocoreConfig(read_timeout=7))
    assert (type(client).__module__, client.meta.region_name) == ("botocore.client", "eu-west-3")
    assert client.meta.config.read_timeout == 7
    assert client._request_signer._credentials.access_key == "session-id"
    assert session.get_credentials().token == "session-token"


def test_our_config_is_taken_over_where_boto3_makes_the_client() -> None:
    config = turbosqs.Config(read_timeout=7, signature_version=turbosqs.config.UNSIGNED, retries={"max_attempts": 2})
    session = FakeSession(region_name="eu-west-3")
    sqs = Session(botocore_session=botocore.session.Session()).client("sqs", "eu-west-3", config=config)
    clients = [session.client("sns", config=config), session.resource("sqs", config=config).meta.client, sqs]
    for client in clients:
        assert client.meta.config.read_timeout == 7
        assert client.meta.config.signature_version is botocore.UNSIGNED
        assert client.meta.config.retries["total_max_attempts"] == 3


@pytest.mark.parametrize("config", [3, "config", {}], ids=repr)
def test_what_is_no_config_is_refused_in_botocores_words(config: Any) -> None:
    assert same(lambda cls: cls(region_name="x").client("sns", config=config))[0] is AttributeError
    assert same(lambda cls: cls().client("sqs", region_name="x", config=config))[0] is AttributeError


def test_resources_are_boto3s_on_our_client() -> None:
    session = FakeSession(region_name="eu-west-3", **SESSION_KEYS)
    resource = session.resource("sqs", endpoint_url="http://localhost:1", use_ssl=False, verify="bundle.pem")
    assert type(resource).__name__ == "sqs.ServiceResource"
    assert isinstance(resource.meta.client, SQS)
    made_with = arguments(resource.meta.client)
    # As boto3 has it: the API version that the resource model goes with, and a User-Agent that says what it is.
    assert made_with.pop("api_version") == "2012-11-05"
    assert made_with["config"].pop("user_agent_extra") == "Resource"
    plain = arguments(session.client("sqs", endpoint_url="http://localhost:1", use_ssl=False, verify="bundle.pem"))
    del plain["api_version"]
    assert {**made_with, "config": None} == {**plain, "config": None}
    # The session's own clients are not changed by it.
    assert type(session.client("sns")).__module__ == "botocore.client"


def test_resources_of_other_services_and_sessions_are_boto3s() -> None:
    resource = FakeSession(region_name="eu-west-3").resource("sns", endpoint_url="http://localhost:1")
    assert type(resource).__name__ == "sns.ServiceResource"
    assert resource.meta.client.meta.endpoint_url == "http://localhost:1"
    sqs = FakeSession(botocore_session=botocore.session.Session()).resource("sqs", "eu-west-3")
    assert isinstance(sqs.meta.client, SQS)
    assert sqs.meta.client.meta.region_name == "eu-west-3"


def test_data_about_services_and_regions_is_boto3s() -> None:
    for work in (
        lambda cls: cls().get_available_services(),
        lambda cls: cls().get_available_resources(),
        lambda cls: cls().get_available_partitions(),
        lambda cls: cls().get_available_regions("sqs"),
        lambda cls: cls().get_available_regions("sqs", "aws-cn", True),
        lambda cls: cls().get_partition_for_region("cn-north-1"),
        lambda cls: cls().get_partition_for_region("nowhere"),
    ):
        same(work)


@pytest.mark.parametrize("register", ["register", "register_first", "register_last"])
def test_handlers_are_boto3s_but_for_the_class_of_sqs(register: str) -> None:
    session = FakeSession(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    heard: list[str] = []

    def listen(event_name: str, **_: Any) -> None:
        heard.append(event_name)

    getattr(session.events, register)("provide-client-params.sns", listen, unique_id="x")
    sns = session.client("sns")
    sns.generate_presigned_url("list_topics")
    assert heard == ["provide-client-params.sns.ListTopics"]
    session.events.unregister("provide-client-params.sns", listen, unique_id="x")
    for name in ("creating-client-class.sqs", "creating-client-class.*", "creating-client-class"):
        with pytest.raises(NotImplementedError, match="is not made anew for each"):
            getattr(session.events, register)(name, listen)


def test_with_a_botocore_session_settings_and_credentials_are_its_own() -> None:
    given = botocore.session.Session()
    given.set_config_variable("region", "eu-west-2")
    given.set_credentials("i", "s")
    session = FakeSession(botocore_session=given)
    assert (session.region_name, session.profile_name) == ("eu-west-2", "default")
    assert repr(session).endswith("(region_name='eu-west-2')")
    client = session.client("sqs")
    assert isinstance(client, SQS)
    assert client.meta.region_name == "eu-west-2"
    assert client._request_signer._credentials.access_key == "i"
    assert session.client("sns").meta.region_name == "eu-west-2"


def test_a_botocore_session_with_the_other_arguments() -> None:
    session = FakeSession("i", "s", region_name="eu-west-2", botocore_session=botocore.session.Session())
    assert session.region_name == "eu-west-2"
    assert session.get_credentials().access_key == "i"
    missing = outcome(lambda: FakeSession(botocore_session=botocore.session.Session(), profile_name="nope"))
    assert missing[0] is turbosqs.exceptions.ProfileNotFound


# --- the module ----------------------------------------------------------------------------------------------------


def test_the_module_has_what_boto3_has() -> None:
    # The rest of boto3's names are its imports and its packages for other services.
    for name in ("DEFAULT_SESSION", "Session", "client", "exceptions", "resource", "session", "setup_default_session"):
        assert hasattr(boto3, name), name
        assert hasattr(turbosqs, name), name
        assert name in dir(turbosqs), name
    assert turbosqs.Session is turbosqs.session.Session is Session
    with pytest.raises(AttributeError, match="module 'turbosqs' has no attribute 'nope'"):
        _ = turbosqs.nope  # type: ignore[attr-defined]


def test_the_default_session_is_made_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowSession(Session):
        def __init__(self) -> None:
            # Long enough for every other thread to find none made yet.
            sleep(0.05)
            super().__init__()

    monkeypatch.setattr(turbosqs.session, "Session", SlowSession)
    barrier, got = Barrier(16), []

    def ask() -> None:
        barrier.wait()
        got.append(turbosqs._default_session())

    threads = [Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert {id(session) for session in got} == {id(turbosqs.DEFAULT_SESSION)}


def test_the_default_session_can_be_replaced() -> None:
    turbosqs.setup_default_session(region_name="eu-north-1")
    assert isinstance(turbosqs.DEFAULT_SESSION, Session)
    assert turbosqs.DEFAULT_SESSION.region_name == "eu-north-1"
    assert turbosqs.client("sns").meta.region_name == "eu-north-1"
    assert turbosqs.resource("sns").meta.client.meta.region_name == "eu-north-1"
    first = turbosqs.DEFAULT_SESSION
    turbosqs.setup_default_session()
    assert turbosqs.DEFAULT_SESSION is not first


def test_module_functions_take_what_boto3s_take() -> None:
    for work in (lambda m: m.client(), lambda m: m.client("sqs", nope=1), lambda m: m.setup_default_session(nope=1)):
        theirs, ours = (outcome(lambda m=m: work(m)) for m in (boto3, turbosqs))  # type: ignore[no-untyped-call]  # noqa: B023
        assert ours == theirs


def test_set_stream_logger(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    logger = logging.getLogger("turbosqs.test")
    turbosqs.set_stream_logger("turbosqs.test", logging.INFO, "%(levelname)s:%(message)s")
    try:
        logger.info("shown")
        logger.debug("not shown")
    finally:
        logger.handlers.clear()
    assert capsys.readouterr().err == "INFO:shown\n"


@pytest.mark.parametrize("scheme", ["http://", "https://", "//", ""])
@pytest.mark.parametrize(
    "userinfo", ["user:PassWord", "user:Pass/Wo#rd", "PassWord", "http:PassWord", "user:PassWord@x"]
)
def test_nothing_that_people_see_has_a_password(scheme: str, userinfo: str) -> None:
    """Whatever is printed, logged or shown by a debugger: settings, clients, sessions and what they are made of."""
    proxies = {"http": f"{scheme}{userinfo}@proxy:1", "https": f"{scheme}proxy:2"}
    config = turbosqs.Config(proxies=proxies, connect_timeout=3)
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "PassWord", "aws_session_token": "PassWord"}
    session = Session(**keys, region_name="eu-west-1")
    clients = [
        session.client("sqs", config=config),
        Session(region_name="eu-west-1").client("sqs", config=config, **keys),  # type: ignore[call-overload]
    ]
    patched = PATCHED.client(config=PATCHED.config(proxies=proxies), **keys)
    path = take(patched)
    assert path is not None
    seen = [repr(config), repr(session), repr(vars(config.merge(config))["connect_timeout"])]
    seen += [repr(each) for each in (patched, patched.meta.config, path, path.core)]
    for client in clients:
        seen += [repr(client), repr(client.meta), repr(client.meta.config), repr(client._core)]
        seen += [repr(value) for value in vars(client).values()]
    # The methods of core clients show what they are bound to.
    assert [text for text in seen if "Pass" in text or "Wo" in text or "rd@" in text] == []
    assert repr(config).startswith("Config(proxies={'http': '")
    assert "***@proxy:1" in repr(config)
    assert "proxy:2'}, connect_timeout=3)" in repr(config)
    # It is still what it was.
    assert config.proxies == proxies
