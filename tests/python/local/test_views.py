"""What the embedded SQS shows besides SQS's actions: health, metrics, messages that nobody receives; and to whom."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any
from xml.etree import ElementTree

import pytest
from support.waiting import until
from turbosqs.local import Server


def get(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(server.endpoint_url + path, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_health(server: Server) -> None:
    status, headers, body = get(server, "/health")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["status"] == "ok"
    assert get(server, "/health", "HEAD")[2] == b""


def test_metrics(server: Server, sqs: Any, url: str) -> None:
    for body in ("a", "b", "c"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    sqs.send_message(QueueUrl=url, MessageBody="d", DelaySeconds=60)
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.receive_message(QueueUrl=url)
    server.advance(12.5)
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="x")
    status, headers, text = get(server, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = text.decode().splitlines()
    queue = 'account="000000000000",region="us-east-1",queue="orders"'
    for line in (
        f'turbosqs_messages{{{queue},state="visible"}} 1',
        f'turbosqs_messages{{{queue},state="in_flight"}} 1',
        f'turbosqs_messages{{{queue},state="delayed"}} 1',
        f"turbosqs_oldest_message_age_seconds{{{queue}}} 12.5",
        f'turbosqs_queue_messages_total{{{queue},what="sent"}} 4',
        f'turbosqs_queue_messages_total{{{queue},what="received"}} 2',
        f'turbosqs_queue_messages_total{{{queue},what="deleted"}} 1',
        'turbosqs_requests_total{action="SendMessage",status="200"} 4',
        'turbosqs_requests_total{action="DeleteMessage",status="404"} 1',
        'turbosqs_request_duration_seconds_bucket{le="+Inf"} 8',
        "turbosqs_request_duration_seconds_count 8",
    ):
        assert line in lines
    # As Prometheus reads it: a name, labels, a number.
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+')
    assert [line for line in lines if not line.startswith("# ") and not sample.fullmatch(line)] == []


def test_messages_without_receiving_them(server: Server, sqs: Any, url: str) -> None:
    """LocalStack's path and shapes, whose users' tests go on."""
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}}
    sqs.send_message(QueueUrl=url, MessageBody="<first> & only", MessageAttributes=attributes)
    query = urllib.parse.urlencode({"QueueUrl": url})
    _, headers, body = get(server, f"/_aws/sqs/messages?{query}", Accept="application/json")
    assert headers["content-type"] == "application/json"
    message = json.loads(body)["ReceiveMessageResponse"]["ReceiveMessageResult"]["Message"]
    assert (message["Body"], message["ReceiptHandle"]) == ("<first> & only", "SQS/BACKDOOR/ACCESS")
    assert {"Name": "ApproximateReceiveCount", "Value": "0"} in message["Attribute"]
    assert message["MessageAttribute"]["Name"] == "n"
    _, headers, body = get(server, f"/_aws/sqs/messages?{query}")
    assert headers["content-type"] == "text/xml"
    assert ElementTree.fromstring(body).findtext("ReceiveMessageResult/Message/Body") == "<first> & only"
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=60)
    [received] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"
    path = "/_aws/sqs/messages/us-east-1/000000000000/orders?ShowInvisible=true&ShowDelayed=true"
    _, _, body = get(server, path, Accept="application/json")
    messages = json.loads(body)["ReceiveMessageResponse"]["ReceiveMessageResult"]["Message"]
    shown = {message["Body"]: {each["Name"]: each["Value"] for each in message["Attribute"]} for message in messages}
    assert (shown["<first> & only"]["IsVisible"], shown["delayed"]["IsDelayed"]) == ("false", "true")
    status, headers, _ = get(server, "/_aws/sqs/messages?QueueUrl=http://h/000000000000/none")
    assert (status, headers["x-amzn-query-error"]) == (400, "AWS.SimpleQueueService.NonExistentQueue;Sender")


def traffic(server: Server) -> dict[str, dict[str, int]]:
    """What SQS would bill, by action."""
    found = json.loads(get(server, "/_turbosqs/overview")[2])["traffic"]
    return {each["action"]: {"requests": each["requests"], "messages": each["messages"]} for each in found}


def test_requests_are_billed_by_64_kib_of_what_they_carry(server: Server, connect: Any, sqs: Any, url: str) -> None:
    """That of a reply counts as well, when it comes at once and when it was waited for."""
    entries = [{"Id": str(number), "MessageBody": "x" * 65_000} for number in range(10)]
    waiting = connect(server)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(waiting.receive_message, QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        until(lambda: server.stats()["requests"].get("ReceiveMessage") == 1)
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert len(poll.result()["Messages"]) == 10
    assert traffic(server)["ReceiveMessage"] == {"requests": 10, "messages": 10}
    assert traffic(server)["SendMessageBatch"] == {"requests": 10, "messages": 10}
    server.advance(30)
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 10
    assert traffic(server)["ReceiveMessage"] == {"requests": 20, "messages": 20}


def test_an_sdk_looks_without_receiving(server: Server, connect: Any, sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="a")
    looking = connect(f"{server.endpoint_url}/_aws/sqs/messages")
    for _ in range(2):
        assert [message["Body"] for message in looking.receive_message(QueueUrl=url)["Messages"]] == ["a"]
    assert sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]["Attributes"][
        "ApproximateReceiveCount"
    ] == "1"  # fmt: skip


def test_the_console_is_there_with_its_policy(server: Server) -> None:
    status, headers, body = get(server, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in re.findall(r'(?:src|href)="([^"]+)"', body.decode()):
        assert get(server, f"/{name}")[0] == 200, name
    assert b"MIT License" in get(server, "/_turbosqs/console/LICENSES.txt")[2]
    assert get(server, "/_turbosqs/console/../../etc/passwd")[0] == 404


VIEWS = ["/", "/health", "/metrics", "/_turbosqs/overview", "/_aws/sqs/messages?QueueUrl=orders"]


@pytest.mark.parametrize("path", VIEWS)
def test_a_page_of_another_origin_sees_nothing(server: Server, url: str, path: str) -> None:
    assert url
    assert get(server, path)[0] == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{server.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        status, got, body = get(server, path, **headers)
        assert status == 403
        assert "access-control-allow-origin" not in got
        assert b"orders" not in body


def test_options_and_cors(server: Server) -> None:
    status, headers, body = get(server, "/", "OPTIONS")
    assert (status, headers["allow"], body) == (200, "GET, HEAD, OPTIONS, POST", b"")
    assert "access-control-allow-origin" not in headers
    ours = "http://localhost:3000"
    with Server(cors=[ours]) as shared:
        asked = {"Origin": ours, "Access_Control_Request_Headers": "x-amz-target,content-type"}
        _, headers, _ = get(shared, "/", "OPTIONS", **asked)
        assert headers["access-control-allow-origin"] == ours
        assert headers["access-control-allow-headers"] == "x-amz-target,content-type"
        _, headers, _ = get(shared, "/health", Origin=ours, Sec_Fetch_Site="cross-site")
        assert (headers["access-control-allow-origin"], headers["vary"]) == (ours, "Origin")
        assert get(shared, "/health", Origin="http://localhost:3001")[0] == 403
    with pytest.raises(ValueError, match="a scheme and a host"):
        Server(cors=["*"])


def ask(server: Server, action: str, members: dict[str, Any], **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
    request = urllib.request.Request(server.endpoint_url, json.dumps(members).encode(), named)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def test_behind_a_proxy(server: Server, url: str) -> None:
    assert url
    forwarded = {"X_Forwarded_Host": "sqs.example, inner", "X_Forwarded_Proto": "https"}
    found = ask(server, "GetQueueUrl", {"QueueName": "orders"}, **forwarded)
    assert found["QueueUrl"] == "https://sqs.example/000000000000/orders"
    nonsense = {"X_Forwarded_Host": "a b/c", "X_Forwarded_Proto": "javascript"}
    found = ask(server, "GetQueueUrl", {"QueueName": "orders"}, **nonsense)
    assert found["QueueUrl"] == f"{server.endpoint_url}/000000000000/orders"


def test_urls_that_name_no_account(server: Server, sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=f"{server.endpoint_url}/queue/orders", MessageBody="a")
    assert sqs.receive_message(QueueUrl=url)["Messages"]


def test_the_query_protocol_is_told_what_to_do(server: Server) -> None:
    status, _, body = get(server, "/?Action=ListQueues")
    error = ElementTree.fromstring(body)
    assert status == 400
    assert len(error.findtext("RequestId") or "") == 36
    assert "boto3 1.34.90" in (error.findtext("Error/Message") or "")
