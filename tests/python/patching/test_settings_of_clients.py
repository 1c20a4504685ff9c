"""What botocore resolves, refreshes and exchanges reaches the core."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import turbosqs
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.signers import RequestSigner
from fakes import Scripted, ok
from libraries import BOTO3, KEYS
from patching.ways import gone


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with turbosqs.patched():
        yield


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


def ask(server: Scripted, client: Any) -> Any:
    """One call; the request that it made."""
    server.play(ok(QueueUrl="u"))
    client.get_queue_url(QueueName="q")
    (request,) = server.requests
    return request


def signer(request: Any) -> tuple[str, str | None]:
    """The access key and the token."""
    authorization = request.headers["authorization"]
    return authorization.partition("Credential=")[2].partition("/")[0], request.headers.get("x-amz-security-token")


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_credentials_that_are_replaced(mode: str, server: Scripted) -> None:
    client = BOTO3.client(server.url, config=Config(retries={"mode": mode}))
    assert signer(ask(server, client)) == (KEYS["aws_access_key_id"], None)
    client._request_signer._credentials = Credentials("second", "s", "token")
    assert signer(ask(server, client)) == ("second", "token")
    client._request_signer._credentials.access_key = "third"
    assert signer(ask(server, client)) == ("third", "token")
    client._request_signer._credentials.token = None
    assert signer(ask(server, client)) == ("third", None)
    assert gone(client) == {"fast": 4}


def test_credentials_that_are_refreshed(server: Scripted) -> None:
    now = datetime.now(timezone.utc)
    made: list[dict[str, str]] = []

    def refresh() -> dict[str, str]:
        if len(made) == 2:
            raise CredentialRetrievalError(provider="mine", error_msg="no more")
        life = timedelta(minutes=5 if not made else 60)
        made.append(
            {"access_key": f"key-{len(made)}", "secret_key": "s", "token": "t", "expiry_time": (now + life).isoformat()}
        )
        return made[-1]

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "mine")
    client = BOTO3.client(server.url)
    client._request_signer._credentials = credentials
    # The first ones are about to expire: botocore replaces them at once.
    assert signer(ask(server, client)) == ("key-1", "t")
    assert signer(ask(server, client)) == ("key-1", "t")
    credentials._expiry_time = now - timedelta(seconds=1)
    with pytest.raises(CredentialRetrievalError, match="no more"):
        client.get_queue_url(QueueName="q")
    assert gone(client) == {"fast": 2}


def test_credentials_come_from_nowhere_else(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore resolved them when the client was made; the environment of the call does not matter."""
    client = BOTO3.client(server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "late")
    monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "nonsense")
    assert signer(ask(server, client)) == (KEYS["aws_access_key_id"], None)
    assert gone(client) == {"fast": 1}


def test_parts_that_are_exchanged(server: Scripted) -> None:
    """A client that was given another's parts asks where botocore would, in its name; its counts go on."""
    with Scripted() as elsewhere:
        client, other = BOTO3.client(server.url), BOTO3.client(elsewhere.url)
        ask(server, client)
        client._ruleset_resolver = other._ruleset_resolver
        ask(elsewhere, client)
        signer = client._request_signer
        client._request_signer = RequestSigner(
            signer._service_id, "eu-west-1", "sqs", "v4", Credentials("other", "s"), client.meta.events
        )
        assert "Credential=other/" in ask(elsewhere, client).headers["authorization"]
        assert "/eu-west-1/sqs/" in ask(elsewhere, client).headers["authorization"]
        assert gone(client) == {"fast": 4}
        # Its events are the other's, whose listeners are not looked up.
        client._endpoint = other._endpoint
        ask(elsewhere, client)
        assert gone(client) == {"fast": 4, "settings": 1}


def test_the_user_agent(server: Scripted) -> None:
    """The core names itself, and passes on what the program, its session and its resources add."""
    session = BOTO3.session()
    session._session.user_agent_name, session._session.user_agent_version = "MyTool", "3"
    session._session.user_agent_extra = "by-session/1"
    settings = {"region_name": "us-east-1", "endpoint_url": server.url, **KEYS}
    resource = session.resource("sqs", **settings)
    agent = ask(server, resource.meta.client).headers["user-agent"]
    assert "turbosqs" in agent
    assert agent.endswith("MyTool/3 by-session/1 Resource")
    replaced = session.client("sqs", config=Config(user_agent="whole"), **settings)
    assert ask(server, replaced).headers["user-agent"].startswith("whole")


def test_unsigned(server: Scripted) -> None:
    from botocore import UNSIGNED

    client = BOTO3.bare(region_name="us-east-1", endpoint_url=server.url, config=Config(signature_version=UNSIGNED))
    assert "authorization" not in ask(server, client).headers
    assert gone(client) == {"fast": 1}
