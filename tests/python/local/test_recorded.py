"""What AWS itself answers where emulators differ: a row for each kind, with where it is known from.

"recorded" is what the real service answered, written down by somebody else; "documented" what its documentation says.
Where only other emulators say so, the row says that.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from turbosqs.local import Server

ARN = "arn:aws:sqs:us-east-1:000000000000:"


class Probe:
    """The server, boto3's client of it and raw requests, for one row."""

    def __init__(self, server: Server, sqs: Any) -> None:
        self.server, self.sqs = server, sqs

    def queue(self, name: str = "orders", **attributes: str) -> str:
        return self.server.create_queue(name, attributes)

    def fifo(self, **attributes: str) -> str:
        return self.queue("jobs.fifo", **{"ContentBasedDeduplication": "true", **attributes})

    def ask(self, action: str, **members: Any) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of a request as it goes over the wire."""
        request = urllib.request.Request(
            self.server.endpoint_url,
            json.dumps(members).encode(),
            {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, json.load(error)

    def refusal(self, action: str, **members: Any) -> tuple[str, str]:
        _, headers, body = self.ask(action, **members)
        return headers["x-amzn-query-error"].partition(";")[0], body["message"]

    def bodies(self, url: str, **members: Any) -> list[str]:
        members = {"MaxNumberOfMessages": 10, **members}
        return [message["Body"] for message in self.sqs.receive_message(QueueUrl=url, **members).get("Messages", [])]

    def attribute(self, url: str, name: str) -> str:
        value: str = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
        return value


Row = Callable[[Probe], None]
RECORDED: list[tuple[str, str, Row]] = []


def row(kind: str, source: str) -> Callable[[Row], Row]:
    def keep(check: Row) -> Row:
        RECORDED.append((kind, source, check))
        return check

    return keep


@row("what comes back after its visibility goes before what came later", "documented: best-effort ordering")
def _(probe: Probe) -> None:
    url = probe.queue(VisibilityTimeout="5")
    for body in ("a", "b", "c", "d"):
        probe.sqs.send_message(QueueUrl=url, MessageBody=body)
    assert probe.bodies(url, MaxNumberOfMessages=2) == ["a", "b"]
    assert probe.bodies(url, MaxNumberOfMessages=1, VisibilityTimeout=0) == ["c"]
    probe.server.advance(5)
    assert probe.bodies(url) == ["a", "b", "c", "d"]


@row("a queue that is there with other tags", "documented: CreateQueue of an existing name must agree; code recorded")
def _(probe: Probe) -> None:
    probe.sqs.create_queue(QueueName="plain")
    probe.sqs.create_queue(QueueName="tagged", tags={"a": "1", "b": "2"})
    for name, tags in (("plain", {"a": "1"}), ("tagged", {"a": "2"}), ("tagged", {"c": "1"})):
        status, headers, body = probe.ask("CreateQueue", QueueName=name, tags=tags)
        assert (status, headers["x-amzn-query-error"]) == (400, "QueueAlreadyExists;Sender")
        assert body["__type"] == "com.amazonaws.sqs#QueueNameExists"
    for tags in ({}, {"a": "1"}, {"a": "1", "b": "2"}):
        probe.sqs.create_queue(QueueName="tagged", tags=tags)


@row("policies read back in a form of their own", "recorded: localstack issue 1785, LocalStack's snapshots of policies")
def _(probe: Probe) -> None:
    probe.queue("dead")
    redrive = f'{{ "maxReceiveCount": "10",\n "deadLetterTargetArn": "{ARN}dead" }}'
    policy = '{ "Statement": [ { "Sid": "s", "Action": ["sqs:SendMessage"], "Resource": ["a", "b"] } ] }'
    allow = '{ "redrivePermission": "denyAll" }'
    url = probe.queue("source", RedrivePolicy=redrive, Policy=policy, RedriveAllowPolicy=allow)
    assert probe.attribute(url, "RedrivePolicy") == f'{{"deadLetterTargetArn":"{ARN}dead","maxReceiveCount":10}}'
    assert probe.attribute(url, "Policy") == (
        '{"Version":"2008-10-17","Statement":[{"Sid":"s","Action":"sqs:SendMessage","Resource":["a","b"]}]}'
    )
    assert probe.attribute(url, "RedriveAllowPolicy") == '{"redrivePermission":"denyAll"}'


@row("a policy without a statement", "documented: Statement is the one element that a policy must have")
def _(probe: Probe) -> None:
    for policy in ('{"Version":"2012-10-17"}', '{"Version":"2012-10-17","Statement":[]}', '{"Statement":["s"]}'):
        assert probe.refusal("CreateQueue", QueueName="q", Attributes={"Policy": policy}) == (
            "InvalidAttributeValue",
            "Invalid value for the parameter Policy.",
        )


@row("the header X-Amzn-Trace-Id becomes AWSTraceHeader", "documented: SQS and AWS X-Ray")
def _(probe: Probe) -> None:
    url = probe.queue()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    request = urllib.request.Request(
        probe.server.endpoint_url,
        json.dumps({"QueueUrl": url, "MessageBody": "a"}).encode(),
        {
            "X-Amz-Target": "AmazonSQS.SendMessage",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amzn-Trace-Id": trace,
        },
    )
    urllib.request.urlopen(request, timeout=10).close()
    [message] = probe.sqs.receive_message(QueueUrl=url, AttributeNames=["AWSTraceHeader"])["Messages"]
    assert message["Attributes"] == {"AWSTraceHeader": trace}


@row("operations without output have an empty body", "recorded: Content-Length 0 (LocalStack's snapshots of headers)")
def _(probe: Probe) -> None:
    url = probe.queue()
    probe.sqs.send_message(QueueUrl=url, MessageBody="a")
    [message] = probe.sqs.receive_message(QueueUrl=url)["Messages"]
    handle = message["ReceiptHandle"]
    permission = {"Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]}
    for action, members in (
        ("ChangeMessageVisibility", {"ReceiptHandle": handle, "VisibilityTimeout": 5}),
        ("DeleteMessage", {"ReceiptHandle": handle}),
        ("SetQueueAttributes", {"Attributes": {"DelaySeconds": "1"}}),
        ("TagQueue", {"Tags": {"a": "b"}}),
        ("UntagQueue", {"TagKeys": ["a"]}),
        ("AddPermission", permission),
        ("RemovePermission", {"Label": "l"}),
        ("PurgeQueue", {}),
    ):
        status, headers, body = probe.ask(action, QueueUrl=url, **members)
        assert (status, headers["content-length"], body) == (200, "0", b""), action
    # What could have members is an object, though it has none.
    assert probe.ask("ReceiveMessage", QueueUrl=url)[2] == b"{}"
    assert probe.ask("ListQueueTags", QueueUrl=url)[2] == b"{}"
    assert probe.ask("GetQueueAttributes", QueueUrl=url)[2] == b"{}"
    assert probe.ask("DeleteQueue", QueueUrl=url)[2] == b""
    assert probe.ask("ListQueues")[2] == b"{}"


@row(
    "a FIFO batch with DelaySeconds in an entry is refused whole",
    "the sentence, and that 0 is none: recorded (LocalStack test_fifo_queue_send_message_with_delay_seconds_fails; "
    "elasticmq issue 273, localstack issue 6612); that it refuses the batch: other emulators' word",
)
def _(probe: Probe) -> None:
    url = probe.fifo()
    entries = [{"Id": f"{i}", "MessageBody": f"{i}", "MessageGroupId": "g", "DelaySeconds": i * 2} for i in range(2)]
    assert probe.refusal("SendMessageBatch", QueueUrl=url, Entries=entries) == (
        "InvalidParameterValue",
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for "
        "this queue type.",
    )
    assert probe.bodies(url) == []
    probe.sqs.send_message_batch(QueueUrl=url, Entries=entries[:1])
    assert probe.bodies(url) == ["0"]


@row(
    "a deduplication scope that is changed comes into force later",
    "recorded: LocalStack test_fifo_change_to_high_throughput_after_creation, ..._to_regular_throughput_...; "
    "documented: changes of attributes take up to 60 seconds",
)
def _(probe: Probe) -> None:
    high = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    low = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}

    def arrives(url: str, body: str, group: str, deduplication: str) -> bool:
        probe.sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=deduplication
        )
        return body in probe.bodies(url)

    url = probe.queue("slow.fifo", **low)
    assert arrives(url, "1", "g1", "d")
    probe.sqs.set_queue_attributes(QueueUrl=url, Attributes=high)
    assert not arrives(url, "3", "g3", "d")
    assert arrives(url, "4", "g4", "d2")
    assert not arrives(url, "5", "g5", "d2")
    probe.server.advance(60)
    assert arrives(url, "6", "g6", "d6")
    assert arrives(url, "7", "g7", "d6")
    # And the other way round.
    url = probe.queue("fast.fifo", **high)
    assert arrives(url, "1", "g1", "d")
    probe.sqs.set_queue_attributes(QueueUrl=url, Attributes=low)
    assert arrives(url, "2", "g2", "d")
    probe.server.advance(60)
    assert arrives(url, "3", "g3", "d3")
    assert not arrives(url, "4", "g4", "d3")


@row("an empty body in a batch is EmptyValue", "recorded: redpanda-data/connect issue 1070")
def _(probe: Probe) -> None:
    url = probe.queue()
    entries = [{"Id": "a", "MessageBody": "a"}, {"Id": "b", "MessageBody": ""}]
    [failed] = probe.sqs.send_message_batch(QueueUrl=url, Entries=entries)["Failed"]
    assert (failed["Code"], failed["Message"]) == (
        "EmptyValue",
        "No Value Found for SendMessageBatchRequestEntry.2.MessageBody.",
    )


def sent_with(probe: Probe, **value: Any) -> tuple[str, str] | None:
    """What SendMessage says of an attribute ``a`` of this value, if it refuses it."""
    members = {"QueueUrl": probe.queue(), "MessageBody": "b", "MessageAttributes": {"a": value}}
    _, headers, body = probe.ask("SendMessage", **members)
    error = headers.get("x-amzn-query-error")
    return None if error is None else (error.partition(";")[0], body["message"])


@row("an attribute type that is none", "recorded: grafana/k6-jslib-aws pull request 65, ballerinax/aws.sqs's tests")
def _(probe: Probe) -> None:
    for kind in ("Foo", "string", "Strin", "StringX", "Text.String"):
        assert sent_with(probe, DataType=kind, StringValue="v") == (
            "InvalidParameterValue",
            "The type of message (user) attribute 'a' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String.",
        )


@row("list values name the operation", "recorded: ruby-shoryuken issue 769")
def _(probe: Probe) -> None:
    assert sent_with(probe, DataType="String", StringValue="v", StringListValues=[]) == (
        "AWS.SimpleQueueService.UnsupportedOperation",
        "Message attribute list values in SendMessage operation are not supported.",
    )


@row("numbers have 38 digits and lie between -10^128 and 10^126", "documented: message metadata, type Number")
def _(probe: Probe) -> None:
    refused = ("InvalidParameterValue", "Can't cast the value of message (user) attribute 'a' to a number.")
    for text in ("1e400", "1e127", "-1e129", "9" * 39, "NaN", "inf", "0x10", "ten"):
        assert sent_with(probe, DataType="Number", StringValue=text) == refused, text
    for text in ("1e126", "-1e128", "9" * 38, "-1.5e3", "0.1", "1" + "0" * 60):
        assert sent_with(probe, DataType="Number.int", StringValue=text) is None, text


@row("names and types of attributes are shorter than 256 bytes", "the service's own sentence, as moto has it")
def _(probe: Probe) -> None:
    url = probe.queue()
    for name, kind, text in (
        ("n" * 256, "String", "Message (user) attribute names must be shorter than 256 Bytes"),
        ("n", "String." + "t" * 249, "Message (user) attribute types must be shorter than 256 Bytes"),
    ):
        value = {name: {"DataType": kind, "StringValue": "v"}}
        assert probe.refusal("SendMessage", QueueUrl=url, MessageBody="b", MessageAttributes=value) == (
            "InvalidParameterValue",
            text,
        )
        value = {name[:255]: {"DataType": kind[:255], "StringValue": "v"}}
        assert probe.ask("SendMessage", QueueUrl=url, MessageBody="b", MessageAttributes=value)[0] == 200


@row("tag keys are letters, digits, white space and _ . : / = + - @", "documented: tagging AWS resources")
def _(probe: Probe) -> None:
    url = probe.queue()
    for tags in ({"<b>": "v"}, {"a&b": "v"}):
        assert probe.refusal("TagQueue", QueueUrl=url, Tags=tags)[0] == "InvalidParameterValue"
        assert probe.refusal("CreateQueue", QueueName="q", tags=tags)[0] == "InvalidParameterValue"
    probe.sqs.tag_queue(QueueUrl=url, Tags={"Umgebung der Prüfung": "a_b.c:d/e=f+g-h@i", "leer": ""})


@row(
    "JSON of another type",
    "recorded: async-aws/aws issue 1667; other words are those of the same framework in DynamoDB, as dynalite's tests "
    "have them, which were run against it, and Inqnuam/local-aws-sqs",
)
def _(probe: Probe) -> None:
    url = probe.queue()
    number, structure, sequence = 5, {"a": 1}, ["a"]
    for members, text in (
        ({"VisibilityTimeout": "30"}, "STRING_VALUE can not be converted to an Integer"),
        ({"MaxNumberOfMessages": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ({"WaitTimeSeconds": structure}, "Start of structure or map found where not expected."),
        ({"WaitTimeSeconds": sequence}, "Unrecognized collection type class java.lang.Integer"),
        ({"QueueUrl": sequence}, "Unrecognized collection type class java.lang.String"),
        ({"ReceiveRequestAttemptId": number}, "NUMBER_VALUE can not be converted to a String"),
        ({"ReceiveRequestAttemptId": True}, "TRUE_VALUE can not be converted to a String"),
        ({"AttributeNames": "All"}, "STRING_VALUE can not be converted to a list"),
    ):
        assert probe.refusal("ReceiveMessage", **{"QueueUrl": url, **members}) == ("SerializationException", text)
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("SendMessageBatch", {"Entries": [["id"]]}),
        ("SendMessageBatch", {"Entries": ["id"]}),
        ("SendMessage", {"MessageAttributes": {"a": ["String", "v"]}}),
        ("TagQueue", {"Tags": ["a"]}),
        ("SetQueueAttributes", {"Attributes": "VisibilityTimeout"}),
    ]
    for action, shape in shapes:
        code, text = probe.refusal(action, QueueUrl=url, **shape)
        assert code == "SerializationException"
        assert "expected struct" not in text
        assert "Start of list" in text or text.startswith("STRING_VALUE")


@row("numbers and booleans as values of attributes are cast", "other emulators' word")
def _(probe: Probe) -> None:
    url = probe.ask("CreateQueue", QueueName="q", Attributes={"VisibilityTimeout": 7, "SqsManagedSseEnabled": False})[2]
    url = json.loads(url)["QueueUrl"]
    assert probe.attribute(url, "VisibilityTimeout") == "7"
    assert probe.attribute(url, "SqsManagedSseEnabled") == "false"
    values = {"n": {"DataType": "Number", "StringValue": -1.5}, "t": {"DataType": "String", "StringValue": True}}
    assert probe.ask("SendMessage", QueueUrl=url, MessageBody="b", MessageAttributes=values)[0] == 200
    [message] = probe.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {
        "n": "-1.5",
        "t": "true",
    }


@row(
    "what is wrong with a RedrivePolicy, in order",
    "no JSON: recorded (terraform-provider-aws users' logs); {}: recorded (ansible-collections/community.aws issue "
    "2321); other keys than the two: recorded (rubyonjets/jets pull request 101); a third key, and what is no ARN: "
    "other emulators' word",
)
def _(probe: Probe) -> None:
    url = probe.queue()

    def said(policy: str) -> tuple[str, str]:
        return probe.refusal("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": policy})

    for text in ("no json", "5", "[]", " "):
        assert said(text) == (
            "InvalidAttributeValue",
            "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map.",
        )
    for policy, reason in (
        ({}, "Redrive policy does not contain mandatory attribute: maxReceiveCount."),
        (
            {"MaxReceiveCount": "4", "DeadLetterTargetArn": "x"},
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        ),
        ({"maxReceiveCount": 5}, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
        (
            {"deadLetterTargetArn": "x", "maxReceiveCount": 0, "other": 1},
            "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
        ),
        ({"deadLetterTargetArn": 5, "maxReceiveCount": 5}, "Invalid value for deadLetterTargetArn."),
    ):
        text = json.dumps(policy)
        assert said(text) == (
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}",
        )


@row("ReceiptHandleIsInvalid and InvalidAddress are HTTP 404", "documented: the service model; recorded: PyQS issue 24")
def _(probe: Probe) -> None:
    url = probe.queue()
    for call, members, code in (
        (probe.sqs.delete_message, {"QueueUrl": url, "ReceiptHandle": "x"}, "ReceiptHandleIsInvalid"),
        (
            probe.sqs.change_message_visibility,
            {"QueueUrl": url, "ReceiptHandle": "x", "VisibilityTimeout": 1},
            "ReceiptHandleIsInvalid",
        ),
        (probe.sqs.purge_queue, {"QueueUrl": "http://h/nonsense"}, "InvalidAddress"),
    ):
        with pytest.raises(ClientError) as caught:
            call(**members)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.parametrize(("source", "check"), [row[1:] for row in RECORDED], ids=[row[0] for row in RECORDED])
def test_as_aws(server: Server, sqs: Any, source: str, check: Row) -> None:
    assert source
    check(Probe(server, sqs))
