"""What ``meta.config`` shows and what is refused when a client is made, settings of other services included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.config import Config as BotocoreConfig
from support.fakes import Scripted, ok
from support.libraries import BOTO3, KEYS, SUBJECT, Library, name_of, ours
from support.observe import Raised, alike, same

#: Which product it is, is what the libraries differ in.
SHOWN = sorted(set(BotocoreConfig.OPTION_DEFAULTS) - {"user_agent"})


def shown(library: Library, config: Any = None, session: Any = None, **options: Any) -> Any:
    settings = {"region_name": "us-east-1", **KEYS, **options}
    client = library.session(**(session or {})).client("sqs", config=config, **settings)
    values = {name: getattr(client.meta.config, name) for name in SHOWN}
    # Some of botocore's texts know by their class where they are from.
    return {name: str(value) if isinstance(value, str) else value for name, value in values.items()}


def compare(config: dict[str, Any] | None, **options: Any) -> Any:
    given = None if config is None else lambda: BotocoreConfig(**config)
    result = alike(lambda library: shown(library, given and given(), **options))
    if config is not None and SUBJECT.name == "turbosqs":
        # With a config of our own it is the same.
        from turbosqs import Config
        from turbosqs.config import UNSIGNED

        mine: dict[str, Any] = {
            name: UNSIGNED if value is botocore.UNSIGNED else value for name, value in config.items()
        }
        if "signature_version" not in mine:
            alike(lambda library: shown(library, BotocoreConfig(**config) if library == BOTO3 else Config(**mine)))
    return result


GOOD: list[dict[str, Any]] = [
    {},
    {"read_timeout": 5},
    {"connect_timeout": None},
    {"read_timeout": None},
    {"connect_timeout": 1.5, "read_timeout": 2},
    {"defaults_mode": "standard"},
    {"defaults_mode": "mobile", "connect_timeout": 3},
    {"defaults_mode": "legacy"},
    {"use_fips_endpoint": True},
    {"use_dualstack_endpoint": True},
    {"use_fips_endpoint": False},
    {"tcp_keepalive": True},
    {"proxies": {"http": "http://x:1"}},
    {"user_agent_appid": "x"},
    {"user_agent_extra": "y"},
    {"s3": {"addressing_style": "path"}},
    {"s3": {"us_east_1_regional_endpoint": "regional"}},
    {"signature_version": botocore.UNSIGNED},
    {"signature_version": "v4"},
    {"inject_host_prefix": False},
    {"inject_host_prefix": True},
    {"endpoint_discovery_enabled": True},
    {"ignore_configured_endpoint_urls": True},
    {"parameter_validation": False},
    {"client_context_params": {"a": 1}},
    {"sigv4a_signing_region_set": "*"},
    {"request_checksum_calculation": "WHEN_REQUIRED"},
    {"account_id_endpoint_mode": "Required"},
    {"account_id_endpoint_mode": "nonsense", "signature_version": botocore.UNSIGNED},
    {"request_min_compression_size_bytes": "5"},
    {"request_min_compression_size_bytes": 1.5},
    {"disable_request_compression": "true"},
    {"disable_request_compression": 1},
    {"auth_scheme_preference": "sigv4, sigv4a ,"},
    {"auth_scheme_preference": ""},
    {"s3_disable_express_session_auth": True},
    {"max_pool_connections": 2**63},
    {"retries": {"max_attempts": 2**63}},
    {"retries": {"max_attempts": 2**31}},
    {"retries": {"total_max_attempts": 2**70, "mode": "adaptive"}},
    {"region_name": "eu-west-1"},
]
BAD: list[dict[str, Any]] = [
    {"request_checksum_calculation": "x"},
    {"response_checksum_validation": 5},
    {"account_id_endpoint_mode": "x"},
    {"account_id_endpoint_mode": 5},
    {"request_min_compression_size_bytes": 0},
    {"request_min_compression_size_bytes": "0"},
    {"request_min_compression_size_bytes": "x"},
    {"request_min_compression_size_bytes": 10**9},
    {"request_min_compression_size_bytes": []},
    {"auth_scheme_preference": 5},
    {"s3": {"us_east_1_regional_endpoint": "x"}},
    {"s3": {"disable_s3_express_session_auth": "maybe"}},
    {"request_checksum_calculation": "x", "account_id_endpoint_mode": "x", "request_min_compression_size_bytes": "x"},
]


@pytest.mark.parametrize("config", [None, *GOOD], ids=name_of)
def test_the_config_in_force(config: dict[str, Any] | None) -> None:
    assert not isinstance(compare(config), Raised)
    if config is not None and "use_fips_endpoint" not in config and "use_dualstack_endpoint" not in config:
        compare(config, endpoint_url="http://localhost:1")


@pytest.mark.parametrize("config", BAD, ids=name_of)
def test_a_config_that_is_refused(config: dict[str, Any]) -> None:
    assert isinstance(compare(config), Raised)


GOOD_VARIABLES = [
    ("AWS_SDK_UA_APP_ID", "sdk_ua_app_id", "z"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "request_min_compression_size_bytes", "20"),
    ("AWS_DISABLE_REQUEST_COMPRESSION", "disable_request_compression", "TRUE"),
    ("AWS_DISABLE_REQUEST_COMPRESSION", "disable_request_compression", "x"),
    ("AWS_SIGV4A_SIGNING_REGION_SET", "sigv4a_signing_region_set", "a"),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation", "When_Required"),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode", "DISABLED"),
    ("AWS_DISABLE_HOST_PREFIX_INJECTION", "disable_host_prefix_injection", "true"),
    ("AWS_DISABLE_HOST_PREFIX_INJECTION", "disable_host_prefix_injection", "x"),
    ("AWS_AUTH_SCHEME_PREFERENCE", "auth_scheme_preference", "sigv4a, sigv4"),
    ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "s3_disable_express_session_auth", "true"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints", "legacy"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints", ""),
    ("AWS_MAX_ATTEMPTS", "max_attempts", str(2**63)),
    ("AWS_MAX_ATTEMPTS", "max_attempts", "1_0"),
    ("AWS_MAX_ATTEMPTS", "max_attempts", " +7 "),
    ("AWS_DEFAULTS_MODE", "defaults_mode", "standard"),
    ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", "true"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", "true"),
    ("BOTOCORE_TCP_KEEPALIVE", "tcp_keepalive", "true"),
]
BAD_VARIABLES = [
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "request_min_compression_size_bytes", "x"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "request_min_compression_size_bytes", "0"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "request_min_compression_size_bytes", ""),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation", ""),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", "response_checksum_validation", "x"),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode", "x"),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode", ""),
    ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "s3_disable_express_session_auth", "x"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints", "x"),
    ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "s3_us_east_1_regional_endpoint", "x"),
    ("AWS_MAX_ATTEMPTS", "max_attempts", "x"),
    ("AWS_MAX_ATTEMPTS", "max_attempts", "1__0"),
    ("AWS_MAX_ATTEMPTS", "max_attempts", "0"),
    ("AWS_MAX_ATTEMPTS", "max_attempts", "-1"),
]


@pytest.mark.parametrize(("variable", "entry", "value"), [*GOOD_VARIABLES, *BAD_VARIABLES])
def test_settings_of_environment_and_profile(
    variable: str,
    entry: str,
    value: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    results = [compare(None), compare({"read_timeout": 5})]
    monkeypatch.delenv(variable)
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    # Every service's loaders have an entry like this one.
    (folder / "config").write_text(f"[default]\n{entry} = {value}\n[profile other]\noutput = json\n")
    results.append(compare(None))
    compare(None, session={"profile_name": "other"})
    assert {isinstance(result, Raised) for result in results} == {(variable, entry, value) in BAD_VARIABLES}


def test_several_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one is reported."""
    for variable, _, value in BAD_VARIABLES[:10]:
        monkeypatch.setenv(variable, value)
    for variable, _, _ in BAD_VARIABLES[:10]:
        compare(None)
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("before", [" ", "   ", "\0", "\x1f", "\t", "\n", "\u00a0"], ids=repr)
@pytest.mark.parametrize("without_scheme", [False, True])
def test_what_stands_unseen_before_an_endpoint(before: str, without_scheme: bool, scripted: Scripted) -> None:
    url = before + (scripted.url.removeprefix("http:") if without_scheme else scripted.url)

    def call(library: Library) -> Any:
        scripted.play(ok(QueueUrl="u"))
        client = library.client(url)
        signed = client.generate_presigned_url("list_queues").partition("?")[0]
        return client.get_queue_url(QueueName="q"), client.meta.endpoint_url, signed, len(scripted.requests)

    alike(call)


def test_an_endpoint_where_nobody_is() -> None:
    alike(lambda library: library.client(" http://127.0.0.1:1").list_queues())


@pytest.mark.parametrize("attempts", [2**31, 2**32 + 1, 2**63, 2**100])
def test_attempts_without_end(attempts: int, scripted: Scripted) -> None:
    """They are taken for what they are: more than will ever be made."""
    seen = []
    for library in (BOTO3, SUBJECT):
        scripted.play(ok(QueueUrl="u"))
        client = library.client(scripted.url, config=library.config(retries={"max_attempts": attempts}))
        seen.append([client.get_queue_url(QueueName="q"), client.meta.config.retries])
    same(*seen)


# --- isinstance, private names ---------------------------------------------------------------------------------------


def test_it_is_one_of_botocores(scripted: Scripted) -> None:
    import botocore.client

    alike(lambda library: isinstance(library.client(scripted.url), botocore.client.BaseClient))
    alike(lambda library: library.client(scripted.url).__class__.__name__)
    client = SUBJECT.client(scripted.url)
    assert isinstance(client, type(client))
    assert issubclass(client.__class__, botocore.client.BaseClient)
    assert client.__class__ is SUBJECT.client(scripted.url).__class__ or SUBJECT.is_boto3


PRIVATE = {
    "host": lambda client: client._endpoint.host,
    "timeout": lambda client: client._endpoint.http_session._timeout.connect_timeout,
    "config": lambda client: [client._client_config.read_timeout, client._client_config is client.meta.config],
    "model": lambda client: [client._service_model.service_name, client._service_model is client.meta.service_model],
    "key": lambda client: client._request_signer._credentials.access_key,
    "credentials": lambda client: client._get_credentials().get_frozen_credentials()[:3],
    "method": lambda client: client._get_credentials().method,
    "region": lambda client: client._request_signer.region_name,
    "signing name": lambda client: client._request_signer.signing_name,
    "signature": lambda client: client._request_signer.signature_version,
    "auth": lambda client: type(client._request_signer.get_auth("sqs", "us-east-1")).__name__,
    "serializer": lambda client: client._serializer.serialize_to_request(
        {"QueueName": "q"}, client.meta.service_model.operation_model("GetQueueUrl")
    )["body"],
    "parser": lambda client: hasattr(client._response_parser, "parse"),
    "loader": lambda client: type(client._loader.determine_latest_version("sqs", "service-2")).__name__,
    "resolver": lambda client: type(client._ruleset_resolver._event_emitter).__name__,
    "names": lambda client: client._PY_TO_OP_NAME,
    "nonsense": lambda client: hasattr(client._endpoint, "nonsense"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names(name: str, scripted: Scripted) -> None:
    alike(lambda library: PRIVATE[name](library.client(scripted.url, aws_session_token="token")))  # type: ignore[no-untyped-call]


def test_private_credentials_where_there_are_none(scripted: Scripted) -> None:
    settings = {"region_name": "us-east-1", "endpoint_url": scripted.url}
    alike(lambda library: library.bare(**settings)._request_signer._credentials)
    alike(lambda library: library.bare(**settings)._get_credentials())
    unsigned = {**settings, "config": BotocoreConfig(signature_version=botocore.UNSIGNED)}
    alike(lambda library: library.bare(**unsigned)._request_signer._credentials)


@pytest.mark.skipif(SUBJECT.is_boto3, reason="boto3's can be set")
def test_private_names_are_read_only(scripted: Scripted) -> None:
    client = SUBJECT.client(scripted.url)
    for owner, name in (
        (client._endpoint, "host"),
        (client._request_signer, "_credentials"),
        (client._get_credentials(), "access_key"),
        (client, "_endpoint"),
        (client, "_request_signer"),
        (client, "_client_config"),
        (client, "_service_model"),
    ):
        with pytest.raises(AttributeError):
            setattr(owner, name, "x")
    with pytest.raises(AttributeError, match="cannot be set: it would not reach the Rust core"):
        client._endpoint.host = "x"
    assert ours("private names")
