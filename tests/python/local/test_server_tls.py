"""The embedded SQS behind TLS: `Server(tls_cert=, tls_key=)`, `turbosqs serve --tls-cert --tls-key`."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import turbosqs
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, SSLError
from support import needs
from support.certificates import Authority
from turbosqs.local import Server

ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("embedded", names=["localhost"])


@pytest.fixture
def secured(files: tuple[Path, Path]) -> Iterator[Server]:
    with Server(tls_cert=files[0], tls_key=str(files[1])) as running:
        yield running


def settings(endpoint: str, **more: Any) -> dict[str, Any]:
    return {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "config": ONCE,
        **more,
    }


def there_and_back(sqs: Any, name: str) -> str:
    """Its URL, after a message has been sent, received and deleted."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url in sqs.list_queues()["QueueUrls"]
    sqs.send_message(QueueUrl=url, MessageBody="a" * 200_000)
    sent = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": str(number), "MessageBody": "b"} for number in range(10)]
    )
    assert len(sent["Successful"]) == 10
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "a" * 200_000
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return str(url)


def test_clients_that_trust_the_authority(secured: Server, authority: Authority) -> None:
    assert secured.endpoint_url == f"https://127.0.0.1:{secured.port}"
    trusting = settings(secured.endpoint_url, verify=str(authority.bundle))
    url = there_and_back(boto3.client("sqs", **trusting), "one")
    assert url == f"{secured.endpoint_url}/000000000000/one"
    there_and_back(turbosqs.client("sqs", **trusting), "two")
    with turbosqs.patched():
        before = turbosqs.stats().get("fast", 0)
        there_and_back(boto3.client("sqs", **trusting), "three")
        assert turbosqs.stats()["fast"] - before == 6
    assert secured.create_queue("four") == f"{secured.endpoint_url}/000000000000/four"


def test_a_client_that_does_not_is_explained_to_both(
    secured: Server, authority: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    other = authority.bundle.parent / "other"
    other.mkdir(exist_ok=True)
    distrusting = settings(secured.endpoint_url, verify=str(Authority(other, "Other Authority").bundle))
    for library in (boto3, turbosqs):
        with pytest.raises(SSLError):
            library.client("sqs", **distrusting).list_queues()
    secured.stop()
    # At most one a second.
    [said, *_] = capfd.readouterr().err.splitlines()
    assert said.startswith("turbosqs: a client did not accept the server's certificate (UnknownCA): it has to trust")


def test_a_client_that_speaks_plain_http_is_told(secured: Server, capfd: pytest.CaptureFixture[str]) -> None:
    plain = secured.endpoint_url.replace("https:", "http:")
    sentence = f"a client spoke plain HTTP to a server that speaks TLS: its URL is {secured.endpoint_url}"
    for library in (boto3, turbosqs):
        with pytest.raises(ClientError) as caught:
            library.client("sqs", **settings(plain)).list_queues()
        assert caught.value.response["Error"]["Code"] == "InvalidSecurity"
        assert caught.value.response["Error"]["Message"] == sentence
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    connection = http.client.HTTPConnection("127.0.0.1", secured.port, timeout=60)
    connection.request("GET", "/health")
    with contextlib.closing(connection), connection.getresponse() as response:
        assert response.status == 403
    assert secured.stats()["requests"] == {}
    secured.stop()
    [said, *_] = capfd.readouterr().err.splitlines()
    assert said == f"turbosqs: {sentence}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_and_http_1_is_agreed_on(
    secured: Server, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=str(authority.bundle))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    session = None
    for resumed in (False, True, True):
        with (
            socket.create_connection(("127.0.0.1", secured.port), 60) as connection,
            context.wrap_socket(connection, server_hostname="localhost", session=session) as peer,
        ):
            assert peer.selected_alpn_protocol() == "http/1.1"
            assert peer.session_reused == resumed
            peer.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert peer.recv(100).startswith(b"HTTP/1.1 200 ")
            session = peer.session
    assert {name: secured.stats()[name] for name in ("connections", "handshakes", "resumed")} == {
        "connections": 3,
        "handshakes": 3,
        "resumed": 2,
    }


def test_faults_break_its_connections_too(secured: Server, authority: Authority) -> None:
    trusting = settings(secured.endpoint_url, verify=str(authority.bundle))
    url = secured.create_queue("q")
    for library in (boto3, turbosqs):
        sqs = library.client("sqs", **trusting)
        secured.faults.add("reset", actions=["SendMessage"], times=1)
        with pytest.raises(ConnectionClosedError):
            sqs.send_message(QueueUrl=url, MessageBody="lost")
        sqs.send_message(QueueUrl=url, MessageBody="well")
        secured.faults.add("half_reply", actions=["SendMessage"], times=1)
        # boto3 takes half a reply for one without members, here as without TLS.
        with pytest.raises(ConnectionClosedError if library is turbosqs else KeyError):
            print(sqs.send_message(QueueUrl=url, MessageBody="well")["MessageId"])
        sqs.send_message(QueueUrl=url, MessageBody="well")


def test_the_console_is_there(secured: Server, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.bundle))
    connection = http.client.HTTPSConnection("localhost", secured.port, timeout=60, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        assert b"<!doctype html>" in connection.getresponse().read().lower()
        connection.request("GET", "/_turbosqs/overview")
        assert json.load(connection.getresponse())["endpoint"] == f"https://localhost:{secured.port}"


def test_one_file_without_the_other(files: tuple[Path, Path]) -> None:
    for arguments in ({"tls_cert": files[0]}, {"tls_key": files[1]}):
        with pytest.raises(ValueError, match="tls_cert and tls_key go together"):
            Server(**arguments)  # type: ignore[arg-type]


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_files_that_will_not_do(files: tuple[Path, Path], authority: Authority, tmp_path: Path) -> None:
    certificate, key = map(str, files)
    other = str(authority.issue("other")[1])
    text = tmp_path / "text.pem"
    text.write_text("hello")
    missing = tmp_path / "missing.pem"
    for pair, said in [
        ((certificate, other), f"the key in {other} is not that of the certificate in {certificate}"),
        ((key, certificate), f"no certificate found in {key}: it holds a private key: are the two files the wrong way"),
        ((str(text), key), f"no certificate found in {text}: a file in PEM form has a line"),
        ((certificate, str(text)), f"no private key found in {text}: a file in PEM form has a line"),
        ((str(missing), key), f"No such file or directory: '{missing}'"),
    ]:
        ended = serve("--tls-cert", pair[0], "--tls-key", pair[1])
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("turbosqs serve: ")
        assert said in ended.stderr
    ended = serve("--tls-key", key)
    assert ended.stderr == "turbosqs serve: --tls-cert and --tls-key go together: TLS needs a certificate and its key\n"


@needs.SIGNALS
@needs.PROC
def test_those_who_dawdle_in_the_handshake_hold_nobody_up(files: tuple[Path, Path], authority: Authority) -> None:
    """A hundred peers say nothing, a hundred stop in the middle of what a client says first; the log is JSON."""
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", "-v", "--log-format", "json"]
    command += ["--tls-cert", str(files[0]), "--tls-key", str(files[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("https://127.0.0.1:")
            port = int(endpoint.rsplit(":", 1)[1])
            # A record of a handshake of 16 KiB, of which the last byte is kept back.
            dawdling = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + b"\0" * 16_000
            before = memory(process)
            with contextlib.ExitStack() as stack:
                for number in range(200):
                    peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
                    peer.sendall(dawdling if number % 2 else b"")
                trusting = settings(endpoint, verify=str(authority.bundle))
                there_and_back(boto3.client("sqs", **trusting), "served")
                with socket.create_connection(("127.0.0.1", port), 60) as peer:
                    peer.sendall(b"\x16\x03\x01\x00\x05nonsense and more of it")
                    while peer.recv(100):
                        pass
                assert memory(process) - before < 32 << 20
            process.send_signal(signal.SIGTERM)
            lines = [json.loads(line) for line in process.communicate(timeout=60)[1].splitlines()]
        finally:
            process.kill()
    assert [line["message"] for line in lines if "message" in line] == [
        "a TLS handshake failed: received corrupt message of type HandshakePayloadTooLarge"
    ]


def memory(process: subprocess.Popen[str]) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
