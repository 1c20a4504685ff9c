"""Where region, endpoint and the rest come from: what arrives at the server, or how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fakes import Scripted, ok
from support.libraries import BOTO3, DIFFERENCES, KEYS, SUBJECT, Library, ours
from support.observe import alike, outcome, same

UNSIGNED_HEADERS = ("x-amz-target", "content-type", "x-amzn-query-mode", "host", "content-length")


def where(
    library: Library, session: dict[str, Any] | None = None, config: dict[str, Any] | None = None, **options: Any
) -> Any:
    """The region and the endpoint that a client ends up with."""
    settings = {} if config is None else {"config": library.config(**config)}
    client = library.session(**(session or {})).client("sqs", **{**KEYS, **settings, **options})
    return {"region": client.meta.region_name, "endpoint": client.meta.endpoint_url, "partition": client.meta.partition}


def compare(**settings: Any) -> Any:
    """Both end up in the same place, or refuse alike; what boto3 came to."""
    return getattr(alike(lambda library: where(library, **settings)), "value", None)


def arrived(server: Scripted, library: Library, session: dict[str, Any] | None = None, **options: Any) -> Any:
    """What of one call arrives, signature aside."""
    server.play(ok(QueueUrl="u"))
    settings = {**KEYS, "region_name": "eu-west-1", "endpoint_url": server.url, **options}
    library.session(**(session or {})).client("sqs", **settings).get_queue_url(QueueName="q")
    (request,) = server.requests
    return [
        request.method,
        request.target,
        request.json,
        {name: request.headers.get(name) for name in UNSIGNED_HEADERS},
    ]


def test_a_request(scripted: Scripted) -> None:
    """Path, target, content type, query mode and length are boto3's."""
    same(*(arrived(scripted, library) for library in (BOTO3, SUBJECT)))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/some/path",
        "/some/path/",
        "/with%20space",
        "//two",
        "/with space",
        "/zürich 🚀",
        '/<>"{}|^`[]\\',
        "/\0\x7f",
        "?query=with space",
        "/path?query=ü#fragment with space",
        "#fragment",
    ],
)
def test_a_path_in_the_endpoint(path: str, scripted: Scripted) -> None:
    same(*(arrived(scripted, library, endpoint_url=scripted.url + path) for library in (BOTO3, SUBJECT)))


REGIONS = (
    "us-east-1",
    "eu-central-1",
    "ap-southeast-7",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eusc-de-east-1",
    "xx-nowhere-9",
    "aws-global",
    "local",
)

VARIANTS = (
    {"use_fips_endpoint": True},
    {"use_dualstack_endpoint": True},
    {"use_dualstack_endpoint": True, "use_fips_endpoint": True},
)
#: Where each variant is by the rules.
ISOLATED = {
    "us-iso-east-1": (
        "aws-iso",
        "https://sqs-fips.us-iso-east-1.c2s.ic.gov",
        "https://sqs.us-iso-east-1.api.aws.ic.gov",
        "https://sqs-fips.us-iso-east-1.api.aws.ic.gov",
    ),
    "us-isob-east-1": (
        "aws-iso-b",
        "https://sqs-fips.us-isob-east-1.sc2s.sgov.gov",
        "https://sqs.us-isob-east-1.api.aws.scloud",
        "https://sqs-fips.us-isob-east-1.api.aws.scloud",
    ),
}


@pytest.mark.parametrize("region", REGIONS)
def test_endpoint_of_a_region(region: str) -> None:
    """The endpoint of every partition, plain, dual-stack and FIPS, with TLS and without."""
    compare(region_name=region)
    compare(region_name=region, use_ssl=False)
    if region not in ISOLATED or not ours("isolated partitions"):
        for config in VARIANTS:
            compare(region_name=region, config=config)
        return
    partition, *endpoints = ISOLATED[region]
    for config, endpoint in zip(VARIANTS, endpoints, strict=True):
        expected = {"region": region, "endpoint": endpoint, "partition": partition}
        assert where(SUBJECT, region_name=region, config=config) == expected
        assert where(BOTO3, region_name=region, config=config) != expected
        for library in (BOTO3, SUBJECT):
            client = library.client(region_name=region, config=library.config(**config))
            assert client.generate_presigned_url("list_queues").startswith(f"{endpoint}/?X-Amz-"), library.name


@pytest.mark.parametrize("region", ["fips-us-east-1", "us-east-1-fips"])
def test_a_fips_region(region: str) -> None:
    compare(region_name=region)


def test_endpoint_with_a_variant(scripted: Scripted) -> None:
    """An endpoint of one's own and FIPS or dual-stack do not go together, or do, as with boto3."""
    for config in ({"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}):
        compare(region_name="us-east-1", endpoint_url=scripted.url, config=config)
        alike(lambda library, config=config: arrived(scripted, library, config=library.config(**config)))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
@pytest.mark.parametrize("value", ["true", "false", "TRUE", "1", "nonsense"])
def test_variant_by_environment(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    compare(region_name="eu-west-1")


def test_variant_by_profile(aws: Path) -> None:
    (aws / "config").write_text("[default]\nuse_fips_endpoint = true\nregion = us-west-2\n")
    compare()


def test_region_precedence(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, the session's, Config's, AWS_DEFAULT_REGION, the profile."""
    (aws / "config").write_text(
        "[default]\nregion = eu-north-1\n[profile other]\nregion = eu-south-1\n[profile bare]\n"
    )
    assert compare()["region"] == "eu-north-1"
    compare(session={"profile_name": "other"})
    compare(session={"profile_name": "bare"})
    compare(session={"profile_name": "other", "region_name": "eu-west-3"})
    compare(config={"region_name": "eu-west-2"})
    compare(config={"region_name": "eu-west-2"}, region_name="us-west-1")
    compare(config={"region_name": "eu-west-2"}, session={"region_name": "us-west-1"})
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    assert compare()["region"] == "sa-east-1"
    compare(session={"profile_name": "other"})
    compare(session={"region_name": "eu-west-3"})
    compare(session={"region_name": "eu-west-3"}, region_name="us-west-1")
    compare(config={"region_name": "eu-west-2"})
    monkeypatch.setenv("AWS_REGION", "af-south-1")
    assert compare()["region"] == "sa-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    compare()


def test_profile_of_the_environment(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "config").write_text("[default]\nregion = eu-north-1\n[profile other]\nregion = eu-south-1\n")
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert compare()["region"] == "eu-south-1"
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "default")
    compare()
    monkeypatch.delenv("AWS_PROFILE")
    compare()


def test_aws_region(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION alone is enough for ours and nothing to boto3; a profile's region goes before it."""
    monkeypatch.setenv("AWS_REGION", "af-south-1")
    assert type(outcome(lambda: where(BOTO3)).error).__name__ == "NoRegionError"  # type: ignore[union-attr]
    if ours("AWS_REGION"):
        assert where(SUBJECT)["region"] == "af-south-1"
    (aws / "config").write_text("[default]\nregion = eu-north-1\n")
    assert compare()["region"] == "eu-north-1"


def test_no_region() -> None:
    assert compare() is None
    assert compare(session={"region_name": ""}) is None


def test_no_region_but_an_endpoint(scripted: Scripted) -> None:
    compare(endpoint_url=scripted.url)


@pytest.mark.parametrize("unknown", ["nowhere", ""])
def test_unknown_profile(unknown: str, aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "config").write_text("[default]\nregion = eu-north-1\n")
    compare(session={"profile_name": unknown})
    monkeypatch.setenv("AWS_PROFILE", unknown)
    compare()
    compare(region_name="us-east-1")


FILES = {
    "no section": "region = eu-west-1\n",
    "an open section": "[default\nregion = eu-west-1\n",
    "no equals": "[default]\nregion eu-west-1\n",
    "the same section twice": "[default]\nregion = eu-west-1\n[default]\nregion = eu-west-2\n",
    "the same key twice": "[default]\nregion = eu-west-1\nregion = eu-west-2\n",
    "an empty value": "[default]\nregion =\n",
    "comments": "# one\n; two\n[default]\nregion = eu-west-1 # three\n",
    "a profile with a quote": "[profile 'default']\nregion = eu-west-1\n",
    "an odd quote": "[profile 'default]\nregion = eu-west-1\n",
    "default as a profile": "[profile default]\nregion = eu-west-1\n",
    "binary": "\0\1\2",
    "empty": "",
    "white space": "  [default]\n  region   =   eu-west-1   \n",
    "CRLF": "[default]\r\nregion = eu-west-1\r\n",
    "a byte order mark": "\ufeff[default]\nregion = eu-west-1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_config_file(name: str, aws: Path) -> None:
    """Files that are odd, or broken."""
    (aws / "config").write_text(FILES[name], newline="")
    compare()


def test_config_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "elsewhere"
    path.write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    assert compare()["region"] == "eu-west-1"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nowhere"))
    compare()
    monkeypatch.setenv("AWS_CONFIG_FILE", "~/elsewhere")
    compare()


def test_endpoint_precedence(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, the profile's services section, the profile."""
    seen = [compare(region_name="us-east-1")["endpoint"]]
    profile = "[default]\nendpoint_url = http://profile:1\n"
    (aws / "config").write_text(profile)
    seen.append(compare(region_name="us-east-1")["endpoint"])
    (aws / "config").write_text(
        profile + "services = mine\n[services mine]\nsqs =\n  endpoint_url = http://section:1\n"
    )
    seen.append(compare(region_name="us-east-1")["endpoint"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general:1")
    seen.append(compare(region_name="us-east-1")["endpoint"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://special:1")
    seen.append(compare(region_name="us-east-1")["endpoint"])
    seen.append(compare(region_name="us-east-1", endpoint_url="http://argument:1")["endpoint"])
    assert len(set(seen)) >= 5
    compare(region_name="us-east-1", config={"ignore_configured_endpoint_urls": True})
    compare(region_name="us-east-1", config={"ignore_configured_endpoint_urls": True}, endpoint_url="http://argument:1")
    compare(region_name="us-east-1", config={"ignore_configured_endpoint_urls": False})
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    compare(region_name="us-east-1")
    compare(region_name="us-east-1", config={"ignore_configured_endpoint_urls": False})


def test_endpoints_ignored_by_profile(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "config").write_text("[default]\nignore_configured_endpoint_urls = true\nendpoint_url = http://profile:1\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general:1")
    compare(region_name="us-east-1")


def test_services_section_that_is_missing(aws: Path) -> None:
    (aws / "config").write_text("[default]\nregion = us-east-1\nservices = nowhere\n")
    compare()


def test_queue_url_is_not_the_endpoint(scripted: Scripted) -> None:
    """A QueueUrl of another host changes where nothing goes."""
    for library in (BOTO3, SUBJECT):
        scripted.play(ok(MessageId="m"))
        client = library.client(scripted.url)
        client.send_message(QueueUrl="http://127.0.0.1:1/123456789012/elsewhere", MessageBody="b")
        assert len(scripted.requests) == 1


def test_an_endpoint_without_a_scheme(scripted: Scripted) -> None:
    """It is asked by http."""
    same(*(arrived(scripted, library, endpoint_url=scripted.url.removeprefix("http:")) for library in (BOTO3, SUBJECT)))


def test_use_ssl_and_an_endpoint(scripted: Scripted) -> None:
    """The endpoint's own scheme wins over use_ssl."""
    same(*(arrived(scripted, library, use_ssl=True) for library in (BOTO3, SUBJECT)))
    same(*(arrived(scripted, library, use_ssl=False) for library in (BOTO3, SUBJECT)))


AGENTS: dict[str, tuple[dict[str, Any], dict[str, str], list[str]]] = {
    "extra": ({"user_agent_extra": "mine/1.0 more"}, {}, ["mine/1.0 more"]),
    "application": ({"user_agent_appid": "my-app"}, {}, ["app/my-app"]),
    "application by environment": ({}, {"AWS_SDK_UA_APP_ID": "env-app"}, ["app/env-app"]),
    "both": ({"user_agent_extra": "mine/1.0", "user_agent_appid": "my-app"}, {}, ["mine/1.0", "app/my-app"]),
    "mode": ({"retries": {"mode": "adaptive"}}, {}, []),
}


@pytest.mark.parametrize("name", AGENTS)
def test_user_agent(name: str, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller adds to the User-Agent is in it; the product tokens are DIFFERENCES["product tokens"]."""
    assert "product tokens" in DIFFERENCES
    settings, environment, expected = AGENTS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for library in (BOTO3, SUBJECT):
        scripted.play(ok(QueueUrl="u"))
        library.client(scripted.url, config=library.config(**settings)).get_queue_url(QueueName="q")
        agent = scripted.requests[0].headers["user-agent"]
        assert library.is_boto3 or library.name in agent.lower()
        for part in expected:
            assert part in agent, library.name


def test_user_agent_replaced(scripted: Scripted) -> None:
    for library in (BOTO3, SUBJECT):
        scripted.play(ok(QueueUrl="u"))
        library.client(scripted.url, config=library.config(user_agent="mine/1.0")).get_queue_url(QueueName="q")
        assert scripted.requests[0].headers["user-agent"].startswith("mine/1.0"), library.name


@pytest.mark.parametrize("arguments", [(), ("sqs", "us-east-1"), (5,), ("",), (None,)], ids=repr)
def test_positional_arguments_of_client(arguments: tuple[Any, ...]) -> None:
    alike(lambda library: library.session().client(*arguments).meta.region_name)


@pytest.mark.parametrize(
    "options", [{"api_version": "1999-01-01"}, {"api_version": "2012-11-05"}, {"verify": ""}], ids=repr
)
def test_odd_arguments_of_client(options: dict[str, Any]) -> None:
    alike(lambda library: library.client(**options).meta.region_name)


WRONG_TYPES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("verify", {"verify": 5}, {}),
    ("endpoint_url", {"endpoint_url": 5}, {}),
    ("endpoint_url", {"endpoint_url": b"http://127.0.0.1"}, {}),
    ("endpoint_url", {"endpoint_url": []}, {}),
    ("region_name", {"region_name": 5}, {}),
    ("region_name", {"region_name": b"us-east-1"}, {}),
    ("region_name", {}, {"region_name": 5}),
    ("aws_access_key_id", {"aws_access_key_id": 5}, {}),
    ("aws_secret_access_key", {"aws_secret_access_key": b"secret"}, {}),
    ("aws_session_token", {"aws_session_token": []}, {}),
    ("proxies", {}, {"proxies": 5}),
    ("proxies", {}, {"proxies": []}),
    ("proxies", {}, {"proxies": "http://127.0.0.1:1"}),
    ("proxies['http']", {}, {"proxies": {"http": 5}}),
    ("proxies_config", {}, {"proxies_config": 5}),
    ("retries['max_attempts']", {}, {"retries": {"max_attempts": 1.5}}),
    ("retries['total_max_attempts']", {}, {"retries": {"total_max_attempts": 1.5}}),
    ("user_agent", {}, {"user_agent": 5}),
    ("user_agent_extra", {}, {"user_agent_extra": 5}),
    ("max_pool_connections", {}, {"max_pool_connections": "ten"}),
    ("client_cert", {}, {"client_cert": 5}),
    ("signature_version", {}, {"signature_version": 5}),
]


@pytest.mark.skipif(SUBJECT == BOTO3, reason="this is about turbosqs alone")
@pytest.mark.parametrize(("name", "options", "config"), WRONG_TYPES, ids=str)
def test_settings_of_the_wrong_type(name: str, options: dict[str, Any], config: dict[str, Any]) -> None:
    """A TypeError that names the setting, before anything is asked."""
    if not ours("wrong types"):
        pytest.skip("boto3's clients check the types of few settings")
    settings = {"region_name": "us-east-1", **KEYS, "config": SUBJECT.config(**config), **options}
    if "region_name" in config:
        del settings["region_name"]
    with pytest.raises(TypeError) as caught:
        SUBJECT.bare(**settings)
    assert str(caught.value).startswith(f"{name} must be ")


def test_unknown_argument_of_client(library: Library) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        library.client(nonsense=1)


def test_other_services() -> None:
    """What is not SQS is boto3's."""
    for library in (BOTO3, SUBJECT):
        s3 = library.session(region_name="eu-west-1").client("s3", **KEYS)
        assert type(s3).__module__ == "botocore.client"
        assert s3.meta.region_name == "eu-west-1"
    alike(lambda library: library.session(region_name="eu-west-1").client("nonsense"))
