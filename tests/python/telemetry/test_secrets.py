"""No key, token, signature or password stands in anything that is recorded: logs, spans, metrics, exceptions."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
import turbosqs
from support.fakes import Answering, Reply, Request, fault, ok, refused_port
from support.recorded import Recorded
from turbosqs import _logs

ACCESS, SECRET, TOKEN = "AKIDINUSE0000000", "SECRETKEYINUSE0/+=", "SESSIONTOKENINUSE0=="
PASSWORD, BODY = "PASSWORDINUSE0", "BODYOFAMESSAGE0"
EXPIRATION = "2999-01-01T00:00:00Z"
XML = [("Content-Type", "text/xml")]


class World:
    """SQS, STS and a container's source in one, each request of which shows what is in use; some are refused."""

    def __init__(self) -> None:
        self.refuses_sources = False

    def __call__(self, request: Request) -> Reply:
        if request.method == "GET":
            keys = {"AccessKeyId": ACCESS, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": EXPIRATION}
            status, answer = (403, {}) if self.refuses_sources else (200, keys)
            return Reply(status, json.dumps(answer).encode())
        if b"Action=Assume" in request.body:
            name = re.findall(rb"Action=(\w+)", request.body)[0].decode()
            if self.refuses_sources:
                # STS repeats what it was sent, as a refusal may.
                error = f"<Code>AccessDenied</Code><Message>{request.body.decode()}</Message>"
                return Reply(403, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode(), XML)
            keys = {"AccessKeyId": ACCESS, "SecretAccessKey": SECRET, "SessionToken": TOKEN, "Expiration": EXPIRATION}
            text = "".join(f"<{member}>{value}</{member}>" for member, value in keys.items())
            text = f"<{name}Result><Credentials>{text}</Credentials></{name}Result>"
            return Reply(200, f"<{name}Response>{text}</{name}Response>".encode(), XML)
        target = request.headers["x-amz-target"].rpartition(".")[2]
        if target == "GetQueueUrl":
            # As SQS says it of a wrong signature: with all that was signed.
            signed = "\n".join(f"{name}:{value}" for name, value in request.headers.items())
            return fault(403, "SignatureDoesNotMatch", f"The canonical string should have been {signed}")
        if target == "ListQueues":
            return fault(503, "ServiceUnavailable", "m")
        if target == "ReceiveMessage":
            return ok(Messages=[{"MessageId": "m", "ReceiptHandle": "h", "Body": BODY, "MD5OfBody": "x"}])
        if target == "DeleteMessage":
            return Reply(200, f"<html>{BODY}</html>".encode())
        return ok(MessageId="m", MD5OfMessageBody="x")


class Everything:
    """All that was recorded, as one text."""

    def __init__(self, recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
        self.exceptions: list[str] = []
        self._recorded = recorded
        self._caplog = caplog

    def call(self, function: Callable[..., Any], *quoting: type[Exception], **arguments: Any) -> None:
        """Call, and keep what is raised; but not what SQS itself has quoted."""
        try:
            function(**arguments)
        except quoting:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.exceptions += [str(error), repr(error), repr(vars(error))]

    def text(self) -> str:
        _logs.flush()
        formatter = logging.Formatter("%(message)s %(args)s %(exc_info)s")
        logs = [formatter.format(record) for record in self._caplog.records if record.name.startswith("turbosqs")]
        metrics: Any = self._recorded._metrics.get_metrics_data()
        return "\n".join(
            [*self.exceptions, *logs, *(span.to_json() for span in self._recorded.spans()), metrics.to_json()]
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def everything(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> Everything:
    caplog.set_level(logging.DEBUG)
    return Everything(recorded, caplog)


def search(everything: Everything, listening: Answering) -> None:
    """Look for whatever has been used, and for the signatures that were sent."""
    text = everything.text()
    signatures = {
        signature
        for request in listening.requests
        for signature in re.findall(r"Signature=([0-9a-f]{64})", request.headers.get("authorization", ""))
    }
    found = [secret for secret in (ACCESS, SECRET, TOKEN, PASSWORD, BODY, *signatures) if secret in text]
    assert not found
    assert "attempt 1 of" in text or "credentials could not be found" in text, "something was recorded"


def calls(everything: Everything, sqs: Any, url: str) -> None:
    everything.call(sqs.send_message, QueueUrl=url, MessageBody=BODY)
    everything.call(sqs.receive_message, QueueUrl=url)
    everything.call(sqs.delete_message, QueueUrl=url, ReceiptHandle="h")
    everything.call(sqs.list_queues)
    everything.call(sqs.get_queue_url, turbosqs.exceptions.ClientError, QueueName="q")
    with pytest.raises(turbosqs.exceptions.BatchWriterError), sqs.batch_writer(QueueUrl=url) as batch:
        batch.delete_message(ReceiptHandle="h")


def test_keys_that_are_given(everything: Everything, world: World) -> None:
    with Answering(world) as listening:
        sqs = turbosqs.client(
            "sqs",
            region_name="us-east-1",
            endpoint_url=listening.url.replace("//", f"//user:{PASSWORD}@"),
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            aws_session_token=TOKEN,
        )
        url = f"{listening.url.replace('//', f'//user:{PASSWORD}@')}/1/q?token={TOKEN}"
        calls(everything, sqs, url)
        presigned = sqs.generate_presigned_url("send_message", {"QueueUrl": url, "MessageBody": BODY})
        signature = re.findall(r"X-Amz-Signature=([0-9a-f]{64})", presigned)[0]
        search(everything, listening)
        assert signature not in everything.text()


@pytest.mark.parametrize("way", ["own", "adaptive", "patched"])
def test_an_endpoint_with_a_password(everything: Everything, world: World, way: str) -> None:
    """Nobody is there; then somebody who breaks off; then one whose name cannot be."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET}
    module: Any = boto3 if way == "patched" else turbosqs
    retries = {"mode": "adaptive" if way == "adaptive" else "standard", "total_max_attempts": 2}
    config = (botocore.config.Config if way == "patched" else turbosqs.Config)(retries=retries)
    with turbosqs.patched(), Answering(world) as listening:
        for host in (f"127.0.0.1:{refused_port()}", "127.0.0.1:1", "no-such-host.invalid"):
            url = f"http://user:{PASSWORD}@{host}/?token={TOKEN}"
            sqs = module.client("sqs", endpoint_url=url, config=config, **keys)
            for queue in (url, f"{url}/1/q"):
                everything.call(sqs.send_message, QueueUrl=queue, MessageBody=BODY)
            everything.call(sqs.list_queues)
        for wrong in (f"user:{PASSWORD}@", f"http://user:{PASSWORD}@host:x"):
            if way != "patched":
                everything.call(module.client, service_name="sqs", endpoint_url=wrong, **keys)
        assert any("EndpointConnectionError" in text for text in everything.exceptions)
        search(everything, listening)


def test_a_queue_with_a_password(everything: Everything, world: World) -> None:
    with Answering(world) as listening:
        keys = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET}
        sqs = turbosqs.client("sqs", region_name="us-east-1", endpoint_url=listening.url, **keys)  # type: ignore[call-overload]
        url = f"{listening.url.replace('//', f'//user:{PASSWORD}@')}/1/q?token={TOKEN}"
        failed = threading.Event()

        def handle(_: Any) -> None:
            failed.set()
            raise LookupError("not this one")

        consuming = turbosqs.Consumer(sqs, QueueUrl=url, handler=handle, max_messages=2)
        consuming.run()
        everything.exceptions.append(repr(consuming))
        assert failed.is_set()
        assert "were not handled" in everything.text() or "was not handled" in everything.text()
        search(everything, listening)


def test_a_proxy_with_a_password(everything: Everything, world: World) -> None:
    with Answering(world) as listening:
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{refused_port()}"
        sqs = turbosqs.client(
            "sqs",
            region_name="us-east-1",
            endpoint_url="http://sqs.nowhere.invalid",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=turbosqs.Config(proxies={"http": proxy}),
        )
        calls(everything, sqs, "http://sqs.nowhere.invalid/1/q")
        assert any("ProxyConnectionError" in text for text in everything.exceptions)
        search(everything, listening)


@pytest.mark.parametrize("refused", [False, True], ids=["found", "refused"])
@pytest.mark.parametrize("source", ["role", "web identity", "container", "process"])
def test_a_source(
    everything: Everything,
    world: World,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    source: str,
    refused: bool,
) -> None:
    world.refuses_sources = refused
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    role = "arn:aws:iam::123456789012:role/r"
    with Answering(world) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", listening.url)
        if source == "role":
            keys = f"aws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
            (folder / "credentials").write_text(f"[base]\n{keys}")
            (folder / "config").write_text(f"[default]\nrole_arn = {role}\nsource_profile = base\n")
        elif source == "web identity":
            (tmp_path / "token").write_text(TOKEN)
            monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
            monkeypatch.setenv("AWS_ROLE_ARN", role)
        elif source == "container":
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{listening.url}/keys")
            monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", PASSWORD)
        else:
            answer = {"Version": 1, "AccessKeyId": ACCESS, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
            (tmp_path / "source.py").write_text(
                f"print({json.dumps({} if refused else answer)!r})" if not refused else f"raise SystemExit({SECRET!r})"
            )
            (folder / "config").write_text(
                f"[default]\ncredential_process = {sys.executable} {tmp_path / 'source.py'}\n"
            )
        # What a source itself has said is in the exception, as in boto3's: it is not in anything else.
        quoting = (turbosqs.exceptions.ClientError, turbosqs.exceptions.CredentialRetrievalError) if refused else ()

        # Some sources are asked when a client is made, others by its first call.
        def send(**arguments: Any) -> None:
            sqs = turbosqs.Session().client("sqs", region_name="us-east-1", endpoint_url=listening.url)
            everything.call(sqs.send_message, *quoting, **arguments)
            everything.call(sqs.list_queues, *quoting)

        everything.call(send, *quoting, QueueUrl=f"{listening.url}/1/q", MessageBody=BODY)
        search(everything, listening)
