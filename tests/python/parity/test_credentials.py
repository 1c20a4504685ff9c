"""Where credentials come from, how requests are signed with them, and how their absence is told."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import botocore
import botocore.exceptions
import pytest
from support import needs
from support.fakes import Request, Scripted, ok
from support.libraries import BOTO3, SUBJECT, Library, ours
from support.observe import Outcome, Raised, Returned, alike, outcome, same

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "secret-env"}


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def signed(server: Scripted, library: Library, session: dict[str, Any] | None = None, **options: Any) -> Outcome:
    """Who signed one call, for what, and with which token."""
    server.play(ok(QueueUrl="u"))

    def call() -> list[Any]:
        settings = {"region_name": "eu-west-1", "endpoint_url": server.url, **options}
        library.session(**(session or {})).client("sqs", **settings).get_queue_url(QueueName="q")
        return [scope(request) for request in server.requests]

    return outcome(call)


def scope(request: Request) -> dict[str, Any]:
    """The credential scope, with the date taken out, and the token."""
    authorization = request.headers.get("authorization")
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]*)/\d{8}/(.*), SignedHeaders=(.*), Signature=[0-9a-f]{64}",
        authorization or "",
    )
    signed_headers = set(found[3].split(";")) if found else set()
    return {
        "key": found[1] if found else authorization,
        "scope": found[2] if found else None,
        "token": request.headers.get("x-amz-security-token"),
        "covers": sorted({"host", "x-amz-date", "x-amz-target", "x-amz-security-token"} & signed_headers),
    }


def compare(server: Scripted, **settings: Any) -> Outcome:
    """Both sign alike, or refuse alike; what boto3 came to."""
    results = [signed(server, library, **settings) for library in (BOTO3, SUBJECT)]
    same(*results)
    return results[0]


def key(result: Outcome) -> str | None:
    assert isinstance(result, Returned)
    found: str | None = result.value[0]["key"]
    return found


def outcome_name(result: Outcome) -> str:
    assert isinstance(result, Raised), result
    return type(result.error).__name__


def arguments(**more: str) -> dict[str, str]:
    return {"aws_access_key_id": "AKIDARG", "aws_secret_access_key": "secret-arg", **more}


def test_arguments(scripted: Scripted) -> None:
    assert key(compare(scripted, **arguments())) == "AKIDARG"
    compare(scripted, **arguments(aws_session_token="token-arg"))
    compare(scripted, session=arguments(aws_session_token="token-arg"))
    compare(scripted, session=arguments(), aws_access_key_id="OTHER", aws_secret_access_key="secret-other")


@pytest.mark.parametrize(
    "options", [{"aws_access_key_id": "A"}, {"aws_secret_access_key": "B"}, {"aws_session_token": "C"}], ids=str
)
def test_half_an_argument(options: dict[str, str], scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(compare(scripted, **options), Raised)
    set_environment(monkeypatch, **ENVIRONMENT)
    compare(scripted, **options)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"aws_access_key_id": "A"}, "aws_secret_access_key"),
        ({"aws_secret_access_key": "B"}, "aws_access_key_id"),
        ({"aws_session_token": "C"}, "aws_access_key_id"),
    ],
    ids=str,
)
def test_half_an_argument_of_a_session(options: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused when a client is made, whatever else could be found, in the words that client()'s own arguments have."""
    set_environment(monkeypatch, **ENVIRONMENT)
    BOTO3.session(**options).client("sqs", region_name="eu-west-1")
    if ours("half a credential"):
        with pytest.raises(botocore.exceptions.PartialCredentialsError) as caught:
            SUBJECT.session(**options).client("sqs", region_name="eu-west-1")
        assert caught.value.kwargs == {"provider": "explicit", "cred_var": missing}


@needs.SCRIPTS
@pytest.mark.parametrize("key", ["AKID\n", "AKID\r\nx-injected: 1", "AKID\0", "AKID\x7f"], ids=repr)
def test_a_key_that_no_header_can_carry(key: str, scripted: Scripted, aws: Path) -> None:
    """Refused at the call, wherever it is from, and not shown; boto3 refuses line breaks alone, and shows the key."""
    if not ours("unprintable keys"):
        return
    found = GOOD.replace('"AKIDPROCESS"', json.dumps(key))
    helper = script(aws, f"cat <<'END'\n{found}\nEND\n")
    (aws / "config").write_text(f"[default]\ncredential_process = {helper}\n")
    for provider, options in (("explicit", arguments(aws_access_key_id=key)), ("custom-process", {})):
        result = signed(scripted, SUBJECT, **options)  # type: ignore[arg-type]
        assert isinstance(result, Raised)
        assert type(result.error) is botocore.exceptions.CredentialRetrievalError
        if not SUBJECT.is_boto3:  # whose core is handed the keys, and does not know where they are from
            assert result.error.kwargs["provider"] == provider  # type: ignore[attr-defined]
        assert "AKID" not in str(result.error)
    assert scripted.requests == []


def test_an_empty_region(scripted: Scripted) -> None:
    """It is signed as it is."""
    result = compare(scripted, **arguments(region_name=""))
    assert result.value[0]["scope"] == "/sqs/aws4_request"  # type: ignore[union-attr]


def test_environment(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **ENVIRONMENT)
    assert key(compare(scripted)) == "AKIDENV"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-env")
    compare(scripted)
    compare(scripted, **arguments())
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_SECURITY_TOKEN", "old-token")
    compare(scripted)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_half_an_environment(name: str, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, ENVIRONMENT[name])
    compare(scripted)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_an_empty_environment(name: str, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **{**ENVIRONMENT, name: ""})
    compare(scripted)


def test_none_at_all(scripted: Scripted) -> None:
    result = compare(scripted)
    assert isinstance(result, Raised)
    assert type(result.error).__name__ == "NoCredentialsError"
    assert scripted.requests == []


CREDENTIALS = """
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = s1

[other]
aws_access_key_id = AKIDOTHER
aws_secret_access_key = s2
aws_session_token = t2
"""


def test_shared_files(aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws / "credentials").write_text(CREDENTIALS)
    assert key(compare(scripted)) == "AKIDDEFAULT"
    assert key(compare(scripted, session={"profile_name": "other"})) == "AKIDOTHER"
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert key(compare(scripted)) == "AKIDOTHER"
    # A profile that is asked for beats keys in the environment; one that the environment names does not.
    set_environment(monkeypatch, **ENVIRONMENT)
    compare(scripted)
    assert key(compare(scripted, session={"profile_name": "other"})) == "AKIDOTHER"


def test_credentials_in_the_config_file(aws: Path, scripted: Scripted) -> None:
    (aws / "config").write_text("[default]\naws_access_key_id = AKIDCONFIG\naws_secret_access_key = s\n")
    assert key(compare(scripted)) == "AKIDCONFIG"
    (aws / "credentials").write_text(CREDENTIALS)
    assert key(compare(scripted)) == "AKIDDEFAULT"


def test_credentials_elsewhere(tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "elsewhere"
    path.write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    assert key(compare(scripted)) == "AKIDDEFAULT"


@pytest.mark.parametrize("line", ["aws_access_key_id = AKIDHALF", "aws_secret_access_key = half"])
def test_half_a_profile(line: str, aws: Path, scripted: Scripted) -> None:
    (aws / "credentials").write_text(f"[default]\n{line}\n")
    compare(scripted)


@pytest.mark.parametrize("content", ["nonsense", "[default\n", "[default]\nnonsense\n"], ids=repr)
def test_a_broken_file(content: str, aws: Path, scripted: Scripted) -> None:
    (aws / "credentials").write_text(content)
    compare(scripted)


LINES = "AWSAccessKeyId = AKIDEC2\nno pair\nAWSSecretKey=s=1\n"
BOTO = "[Boto]\nx = 1\n[Credentials]\naws_access_key_id = AKIDBOTO\naws_secret_access_key = s\n"


def test_files_of_the_first_command_line_tools(
    environment: dict[str, str], scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(environment["HOME"]) / "keys"
    monkeypatch.setenv("AWS_CREDENTIAL_FILE", "~/keys")
    assert outcome_name(compare(scripted)) == "ConfigNotFound"
    path.write_text(LINES)
    assert key(compare(scripted)) == "AKIDEC2"
    path.write_text("AWSAccessKeyId = AKIDEC2\n")
    assert outcome_name(signed(scripted, BOTO3)) == "KeyError"
    if ours("half a credential"):
        assert outcome_name(signed(scripted, SUBJECT)) == (
            "KeyError" if SUBJECT.is_boto3 else "PartialCredentialsError"
        )
    path.write_text("no keys")
    assert outcome_name(compare(scripted)) == "NoCredentialsError"


@pytest.mark.parametrize("how", ["at home", "named"])
def test_files_of_boto_2(
    how: str, environment: dict[str, str], scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(environment["HOME"]) / (".boto" if how == "at home" else "elsewhere")
    if how == "named":
        monkeypatch.setenv("BOTO_CONFIG", "$HOME/elsewhere")
        assert outcome_name(compare(scripted)) == "NoCredentialsError"
    path.write_text(BOTO)
    assert key(compare(scripted)) == "AKIDBOTO"
    for text in (BOTO.rpartition("aws_secret")[0], "[Credentials]\n", "[Boto]\n", "nonsense"):
        path.write_text(text)
        assert isinstance(compare(scripted), Raised)


def test_where_boto_2_looks() -> None:
    """The machine's file is no test's to write; ``config/credentials/chain/tests.rs`` has what is done with it."""
    from botocore.credentials import BotoProvider

    assert BotoProvider.DEFAULT_CONFIG_FILENAMES == ["/etc/boto.cfg", "~/.boto"]


def test_the_order_of_old_files(aws: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the shared files, before containers; the command line tools' first."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    (aws.parent / ".boto").write_text(BOTO)
    assert key(compare(scripted)) == "AKIDBOTO"
    (aws.parent / "keys").write_text(LINES)
    monkeypatch.setenv("AWS_CREDENTIAL_FILE", str(aws.parent / "keys"))
    assert key(compare(scripted)) == "AKIDEC2"
    (aws / "credentials").write_text(CREDENTIALS)
    assert key(compare(scripted)) == "AKIDDEFAULT"


def script(folder: Path, text: str) -> Path:
    path = folder / "helper"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


GOOD = '{"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "s", "SessionToken": "t"}'
PROCESSES = {
    "good": f"echo '{GOOD}'\n",
    "expiring": f"""echo '{GOOD[:-1]}, "Expiration": "2999-01-01T00:00:00Z"}}'\n""",
    "failing": "echo no keys today >&2; exit 3\n",
    "of another version": f"echo '{GOOD}' | sed 's/1/2/'\n",
    "short of a member": """echo '{"Version": 1, "AccessKeyId": "A"}'\n""",
    "garbage": "echo garbage\n",
    "nothing": "true\n",
}


@needs.SCRIPTS
@pytest.mark.parametrize("name", ["good", "expiring"])
def test_credential_process(name: str, aws: Path, scripted: Scripted) -> None:
    helper = script(aws, PROCESSES[name])
    (aws / "config").write_text(f"[default]\ncredential_process = {helper}\n")
    assert key(compare(scripted)) == "AKIDPROCESS"


@needs.SCRIPTS
@pytest.mark.parametrize("name", ["failing", "of another version", "short of a member", "garbage", "nothing"])
def test_bad_credential_process(name: str, aws: Path, scripted: Scripted) -> None:
    """It says that credentials could not be had, by the same class; the helper's own words may follow."""
    helper = script(aws, PROCESSES[name])
    (aws / "config").write_text(f"[default]\ncredential_process = {helper}\n")
    results = [signed(scripted, library) for library in (BOTO3, SUBJECT)]
    assert all(isinstance(result, Raised) for result in results)
    if type(results[0].error).__module__ == "botocore.exceptions":  # type: ignore[union-attr]
        same(*(str(type(result.error)) for result in results))  # type: ignore[union-attr]


def test_unsigned(scripted: Scripted) -> None:
    """UNSIGNED needs no credentials and sends no signature."""
    result = [
        signed(scripted, library, config=library.config(signature_version=botocore.UNSIGNED))
        for library in (BOTO3, SUBJECT)
    ]
    same(*result)
    assert key(result[0]) is None


def test_sessions(aws: Path) -> None:
    """What a session says of itself."""
    (aws / "credentials").write_text(CREDENTIALS)
    (aws / "config").write_text("[default]\nregion = eu-north-1\n[profile third]\nregion = eu-south-1\n")

    def look(library: Library) -> dict[str, Any]:
        session = library.session()
        other = library.session(profile_name="other", region_name="sa-east-1")
        own = library.session(**arguments(aws_session_token="t"))
        found = [each.get_credentials().get_frozen_credentials() for each in (session, other, own)]
        return {
            "names": [session.profile_name, other.profile_name, own.profile_name],
            "regions": [session.region_name, other.region_name],
            "profiles": sorted(session.available_profiles),
            "credentials": [[each.access_key, each.secret_key, each.token] for each in found],
            "services": "sqs" in session.get_available_services(),
            "regions of sqs": session.get_available_regions("sqs"),
            "partition": session.get_partition_for_region("cn-north-1"),
        }

    alike(lambda library: look(library))


def test_a_changed_environment_is_seen_by_the_next_client(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from one session to the next."""
    set_environment(monkeypatch, **ENVIRONMENT)
    assert key(compare(scripted)) == "AKIDENV"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLATER")
    assert key(compare(scripted)) == "AKIDLATER"
