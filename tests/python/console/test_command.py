"""`turbosqs console`: the same page for any SQS, by the user's credentials, for whoever has its token."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import needs
from turbosqs.local import Server

pytestmark = needs.SIGNALS

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture
def console(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address, on an embedded SQS that stands for AWS's."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "turbosqs", "console", "--endpoint-url", server.endpoint_url]
    process = subprocess.Popen(
        [*command, "--region", "us-east-1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.fullmatch(r"Whoever has this address [^\n]+\n", complaints)


def ask(url: str, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, text, reply.headers


def test_only_with_its_token(server: Server, console: str) -> None:
    server.create_queue("orders")
    path = urlsplit(console).path
    assert re.fullmatch(r"/[\w-]{43}/", path)
    status, page, headers = ask(console, path)
    assert (status, "<!doctype html>" in page) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "orders" in ask(console, f"{path}_turbosqs/overview")[1]
    target = {"X_Amz_Target": "AmazonSQS.ListQueues"}
    assert "orders" in ask(console, path, "POST", "{}", **target)[1]
    for wrong in ("/", path[:-1], f"{path[:-2]}x/", "/_turbosqs/overview", f"/x{path}"):
        for method, body in (("GET", None), ("POST", "{}")):
            status, text, _ = ask(console, wrong, method, body, **target)
            assert status == 403, wrong
            assert "orders" not in text
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        assert ask(console, path, **headers)[0] == 403


def test_what_cannot_be_asked_is_refused(console: str) -> None:
    path = urlsplit(console).path
    for action, body, status in (
        ("Dance", "{}", 400),
        ("ListQueues", "{", 400),
        ("SendMessage", json.dumps({"QueueUrl": 5}), 502),
        ("SendMessage", json.dumps({"QueueUrl": "http://h/000000000000/none", "MessageBody": "a"}), 400),
    ):
        got, text, _ = ask(console, path, "POST", body, X_Amz_Target=f"AmazonSQS.{action}")
        assert got == status
        assert json.loads(text)["message"]
    assert ask(console, path, "POST", None, X_Amz_Target="AmazonSQS.ListQueues", Content_Length=str(1 << 30))[0] == 413


def test_the_walk_with_somebody_elses_sqs(server: Server, sqs: Any, console: str, look: Any) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    page = look(console)
    page.get_by_role("button", name="Create queue", exact=True).click()
    page.get_by_label("Name", exact=True).fill("my-queue")
    page.get_by_role("button", name="Create queue", exact=True).click()
    expect(page.get_by_role("heading", name="my-queue")).to_be_visible()
    page.get_by_role("link", name="Send and receive messages").click()
    page.get_by_label("Message body").fill("Hello, SQS!")
    page.get_by_role("button", name="Add attribute").click()
    page.get_by_label("Attribute name").fill("bytes")
    page.get_by_label("Attribute type").select_option("Binary")
    page.get_by_label("Attribute value").fill("AAEC/w==")
    page.get_by_role("button", name="Send message").click()
    expect(page.get_by_text(re.compile("Sent: "))).to_be_visible()
    # What only the embedded SQS can show is not offered.
    expect(page.get_by_role("button", name="Look without receiving")).to_have_count(0)
    page.get_by_label("Maximum message count").fill("1")
    page.get_by_role("button", name="Poll for messages").click()
    message = page.get_by_role("button", name=re.compile("Hello, SQS!"))
    message.click()
    expect(page.get_by_text("0000  00 01 02 ff")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(message).to_have_count(0)
    page.get_by_role("link", name="Cost").click()
    expect(page.get_by_role("row", name=re.compile("^SendMessage Standard 1 1 "))).to_be_visible()
    assert server.stats()["requests"]["SendMessage"] == 1
    url = sqs.get_queue_url(QueueName="my-queue")["QueueUrl"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "turbosqs", "console", "--profile", "nobody", "--region", "us-east-1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "turbosqs console: " in ended.stderr
    assert "nobody" in ended.stderr
