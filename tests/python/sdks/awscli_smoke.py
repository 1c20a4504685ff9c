"""What a person does with SQS, by the AWS CLI that is installed beside it: ``python awscli_smoke.py ENDPOINT``.

Its commands run in this process, since each start of ``aws`` takes a second; the first one is a start.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import awscli
from awscli.clidriver import create_clidriver


class Cli:
    """The CLI, on one endpoint."""

    def __init__(self, endpoint: str) -> None:
        os.environ.update(
            AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1", AWS_PAGER=""
        )
        self.options = ["--endpoint-url", endpoint, "--output", "json"]
        self.driver = create_clidriver()

    def start(self, command: str, *arguments: str) -> Any:
        """The output of a command, which is a process of its own."""
        program = Path(sys.executable).with_name("aws")
        whole = [str(program), "sqs", command, *arguments, *self.options]
        done = subprocess.run(whole, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def ask(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and complaints of a command."""
        out, complaints = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
            status: int = self.driver.main(["sqs", command, *arguments, *self.options])
        return status, out.getvalue(), complaints.getvalue()

    def do(self, command: str, *arguments: str) -> Any:
        """The output of a command that succeeds."""
        status, out, complaints = self.ask(command, *arguments)
        assert status == 0, f"{command}: {complaints}"
        return json.loads(out) if out.strip() else None

    def refused(self, code: str, command: str, *arguments: str) -> None:
        status, _, complaints = self.ask(command, *arguments)
        assert status != 0, command
        assert f"({code})" in complaints, complaints


def main(endpoint: str) -> None:
    cli = Cli(endpoint)
    url = cli.start("create-queue", "--queue-name", "cli-orders", "--tags", "team=checkout")["QueueUrl"]
    at = ("--queue-url", url)
    assert cli.do("get-queue-url", "--queue-name", "cli-orders")["QueueUrl"] == url
    assert cli.do("list-queues", "--queue-name-prefix", "cli-")["QueueUrls"] == [url]

    # One message, with what goes beside its body.
    attributes = json.dumps({"count": {"DataType": "Number", "StringValue": "5"}})
    sent = cli.do("send-message", *at, "--message-body", "héllo <&>", "--message-attributes", attributes)
    names = ("--message-attribute-names", "All", "--attribute-names", "All")
    [message] = cli.do("receive-message", *at, "--wait-time-seconds", "5", *names)["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "héllo <&>")
    assert message["MessageAttributes"]["count"]["StringValue"] == "5"
    handle = ("--receipt-handle", message["ReceiptHandle"])
    cli.do("change-message-visibility", *at, *handle, "--visibility-timeout", "0")
    [message] = cli.do("receive-message", *at, *names)["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"
    cli.do("delete-message", *at, "--receipt-handle", message["ReceiptHandle"])

    # Batches, of which a part may fail.
    entries = [{"Id": name, "MessageBody": body} for name, body in (("a", "1"), ("b", "2"), ("c", "\b"))]
    reply = cli.do("send-message-batch", *at, "--entries", json.dumps(entries))
    assert [entry["Id"] for entry in reply["Successful"]] == ["a", "b"]
    assert [entry["Code"] for entry in reply["Failed"]] == ["InvalidMessageContents"]
    messages = cli.do("receive-message", *at, "--max-number-of-messages", "10")["Messages"]
    assert [message["Body"] for message in messages] == ["1", "2"]
    handles = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]
    changes = json.dumps([{**entry, "VisibilityTimeout": 60} for entry in handles])
    assert len(cli.do("change-message-visibility-batch", *at, "--entries", changes)["Successful"]) == 2
    assert len(cli.do("delete-message-batch", *at, "--entries", json.dumps(handles))["Successful"]) == 2
    assert not cli.do("receive-message", *at)

    # FIFO: order within a group, duplicates.
    settings = "FifoQueue=true,ContentBasedDeduplication=true"
    fifo = cli.do("create-queue", "--queue-name", "cli-jobs.fifo", "--attributes", settings)["QueueUrl"]
    for body in ("first", "second", "first"):
        cli.do("send-message", "--queue-url", fifo, "--message-body", body, "--message-group-id", "g")
    reply = cli.do("receive-message", "--queue-url", fifo, "--max-number-of-messages", "10")
    assert [message["Body"] for message in reply["Messages"]] == ["first", "second"]

    # A dead-letter queue, and back from it.
    def arn(url: str) -> str:
        reply = cli.do("get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn")
        found: str = reply["Attributes"]["QueueArn"]
        return found

    dead = cli.do("create-queue", "--queue-name", "cli-dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})
    attributes = json.dumps({"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    cli.do("set-queue-attributes", *at, "--attributes", attributes)
    cli.do("send-message", *at, "--message-body", "poison")
    cli.do("receive-message", *at)
    assert not cli.do("receive-message", *at)
    assert cli.do("list-dead-letter-source-queues", "--queue-url", dead)["queueUrls"] == [url]
    cli.do("start-message-move-task", "--source-arn", arn(dead))
    cli.do("set-queue-attributes", *at, "--attributes", json.dumps({"RedrivePolicy": ""}))
    reply = cli.do("receive-message", *at, "--wait-time-seconds", "20")
    assert [message["Body"] for message in reply["Messages"]] == ["poison"]
    assert len(cli.do("list-message-move-tasks", "--source-arn", arn(dead))["Results"]) == 1

    # Tags, permissions, purging.
    cli.do("tag-queue", *at, "--tags", "stage=test")
    cli.do("untag-queue", *at, "--tag-keys", "team")
    assert cli.do("list-queue-tags", *at)["Tags"] == {"stage": "test"}
    cli.do("add-permission", *at, "--label", "l", "--aws-account-ids", "123456789012", "--actions", "SendMessage")
    cli.do("remove-permission", *at, "--label", "l")
    cli.do("send-message", *at, "--message-body", "gone")
    cli.do("purge-queue", *at)
    assert not cli.do("receive-message", *at)

    # Errors have the codes that people know them by.
    cli.refused("ReceiptHandleIsInvalid", "delete-message", *at, "--receipt-handle", "x")
    cli.refused("AWS.SimpleQueueService.EmptyBatchRequest", "send-message-batch", *at, "--entries", "[]")
    existing = ("--queue-name", "cli-orders", "--attributes", "DelaySeconds=7")
    cli.refused("QueueAlreadyExists", "create-queue", *existing)
    cli.do("delete-queue", *at)
    cli.refused("AWS.SimpleQueueService.NonExistentQueue", "send-message", *at, "--message-body", "a")
    print(f"aws-cli {awscli.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
