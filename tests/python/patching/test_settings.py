"""What botocore resolves, refreshes and exchanges reaches the core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore
import pytest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.signers import RequestSigner
from support.fakes import Scripted, ok
from support.libraries import BOTO3, KEYS
from support.ways import gone

pytestmark = pytest.mark.usefixtures("patched")


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
def test_credentials_that_are_replaced(mode: str, scripted: Scripted) -> None:
    client = BOTO3.client(scripted.url, config=Config(retries={"mode": mode}))
    assert signer(ask(scripted, client)) == (KEYS["aws_access_key_id"], None)
    client._request_signer._credentials = Credentials("second", "s", "token")
    assert signer(ask(scripted, client)) == ("second", "token")
    client._request_signer._credentials.access_key = "third"
    assert signer(ask(scripted, client)) == ("third", "token")
    client._request_signer._credentials.token = None
    assert signer(ask(scripted, client)) == ("third", None)
    assert gone(client) == {"fast": 4}


def test_credentials_that_are_refreshed(scripted: Scripted) -> None:
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
    client = BOTO3.client(scripted.url)
    client._request_signer._credentials = credentials
    # The first ones are about to expire: botocore replaces them at once.
    assert signer(ask(scripted, client)) == ("key-1", "t")
    assert signer(ask(scripted, client)) == ("key-1", "t")
    credentials._expiry_time = now - timedelta(seconds=1)
    with pytest.raises(CredentialRetrievalError, match="no more"):
        client.get_queue_url(QueueName="q")
    assert gone(client) == {"fast": 2}


def test_credentials_come_from_nowhere_else(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore resolved them when the client was made; the environment of the call does not matter."""
    client = BOTO3.client(scripted.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "late")
    monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "nonsense")
    assert signer(ask(scripted, client)) == (KEYS["aws_access_key_id"], None)
    assert gone(client) == {"fast": 1}


def test_parts_that_are_exchanged(scripted: Scripted) -> None:
    """A client that was given another's parts asks where botocore would, in its name; its counts go on."""
    with Scripted() as elsewhere:
        client, other = BOTO3.client(scripted.url), BOTO3.client(elsewhere.url)
        ask(scripted, client)
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


def test_the_user_agent(scripted: Scripted) -> None:
    """The core names itself, and passes on what the program, its session and its resources add."""
    session = BOTO3.session()
    session._session.user_agent_name, session._session.user_agent_version = "MyTool", "3"
    session._session.user_agent_extra = "by-session/1"
    settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **KEYS}
    resource = session.resource("sqs", **settings)
    agent = ask(scripted, resource.meta.client).headers["user-agent"]
    assert "turbosqs" in agent
    assert agent.endswith("MyTool/3 by-session/1 Resource")
    replaced = session.client("sqs", config=Config(user_agent="whole"), **settings)
    assert ask(scripted, replaced).headers["user-agent"].startswith("whole")


def test_unsigned(scripted: Scripted) -> None:
    from botocore import UNSIGNED

    client = BOTO3.bare(region_name="us-east-1", endpoint_url=scripted.url, config=Config(signature_version=UNSIGNED))
    assert "authorization" not in ask(scripted, client).headers
    assert gone(client) == {"fast": 1}


@pytest.fixture
def powertools() -> Any:
    """AWS Lambda Powertools' part that names itself in the User-Agent."""
    found = pytest.importorskip("aws_lambda_powertools.shared.user_agent")
    # To import it is to have every session named, those of other tests too.
    with suppress(ValueError):
        botocore.unregister_initializer(found._initializer_botocore_session)
    return found


@pytest.mark.parametrize("replaced", [False, True], ids=["our own", "the program's"])
def test_the_name_of_powertools(replaced: bool, scripted: Scripted, powertools: Any) -> None:
    """AWS Lambda Powertools adds itself to the User-Agent by a handler: the core does as botocore does, as soon as the
    handler has come."""
    config = Config(user_agent="whole") if replaced else None
    client, early = (BOTO3.client(scripted.url, config=config) for _ in range(2))
    ask(scripted, early)
    theirs: list[str] = []
    for each in (client, early):
        powertools.register_feature_to_client(each, powertools.DEFAULT_FEATURE)
    for feature in (None, "streaming"):
        if feature is not None:
            for each in (client, early):
                powertools.register_feature_to_client(each, feature)
        with botocores(client):
            theirs.append(ask(scripted, client).headers["user-agent"])
        ours = {ask(scripted, each).headers["user-agent"] for each in (client, early)}
        assert {agent.partition(" PT/")[2] for agent in ours} == {theirs[-1].partition(" PT/")[2]}
        assert all(agent.startswith("whole ") == replaced for agent in ours)
    assert len(set(theirs)) == 2
    assert (gone(client), gone(early)) == ({"fast": 2, "events": 2}, {"fast": 3})


@contextmanager
def botocores(client: Any) -> Iterator[None]:
    """Calls of a client are botocore's."""

    def listen(**_: Any) -> None: ...

    client.meta.events.register("before-send.sqs", listen)
    yield
    client.meta.events.unregister("before-send.sqs", listen)
