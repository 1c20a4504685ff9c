"""The four scripts that a newcomer to SQS is taught, changed in one line: they print what they print with boto3."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from support.libraries import BOTO3, SUBJECT, Library

HEAD = "import {library} as boto3\nimport logging\nlogging.basicConfig(level=logging.INFO)\nsqs = boto3.client('sqs')\n"
FIND = "queue_url = sqs.get_queue_url(QueueName='my-sqs-queue')['QueueUrl']\nlogging.info(f'Queue URL: {queue_url}')\n"
SCRIPTS = {
    "create": """
response = sqs.create_queue(QueueName='my-sqs-queue', Attributes={'DelaySeconds': '0', 'VisibilityTimeout': '30'})
logging.info(f"Queue created: {response['QueueUrl']}")
""",
    "send": FIND
    + """
response = sqs.send_message(
    QueueUrl=queue_url,
    MessageBody='Hello, SQS from Python!',
    MessageAttributes={'Author': {'StringValue': 'Python Developer', 'DataType': 'String'}},
)
logging.info(f"Message sent with ID: {response['MessageId']}")
""",
    "receive": FIND
    + """
response = sqs.receive_message(
    QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=5, MessageAttributeNames=['All'], VisibilityTimeout=0
)
if 'Messages' in response:
    logging.info(f"Message received: {response['Messages'][0]['Body']}")
else:
    logging.info("No messages available.")
""",
    "delete": FIND
    + """
response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=1)
if 'Messages' in response:
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=response['Messages'][0]['ReceiptHandle'])
    logging.info("Message deleted successfully.")
else:
    logging.info("No messages to delete.")
""",
}


def tell(library: Library, name: str, environment: dict[str, str]) -> list[str]:
    """What the script logs through the root logger, ids aside; the libraries' own loggers do not count."""
    script = HEAD.format(library=library.name) + SCRIPTS[name]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO:botocore")]
    return [re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", line) for line in lines]


@pytest.mark.parametrize("library", [BOTO3, SUBJECT], ids=["boto3", "subject"])
def test_guide(library: Library, embedded: Any) -> None:
    """Nothing but the environment says where SQS is."""
    embedded.reset()
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": embedded.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    url = f"{embedded.endpoint_url.rstrip('/')}/000000000000/my-sqs-queue"
    told = {name: tell(library, name, environment) for name in ("create", "send", "receive", "delete")}
    assert told == {
        "create": [f"INFO:root:Queue created: {url}"],
        "send": [f"INFO:root:Queue URL: {url}", "INFO:root:Message sent with ID: <id>"],
        "receive": [f"INFO:root:Queue URL: {url}", "INFO:root:Message received: Hello, SQS from Python!"],
        "delete": [f"INFO:root:Queue URL: {url}", "INFO:root:Message deleted successfully."],
    }
    assert tell(library, "delete", environment)[-1] == "INFO:root:No messages to delete."
