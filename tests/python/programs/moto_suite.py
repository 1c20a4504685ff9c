"""The tests of somebody's program, with moto in process, as moto's documentation shows them. Nothing here is ours."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

# A client that a module makes when it is imported, moto being there already.
EARLY = boto3.client("sqs", region_name="eu-west-1")


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1")


def test_with_a_fixture(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert (message["Body"], message["MessageId"]) == ("hello", sent["MessageId"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_nothing_is_left_of_the_test_before(sqs: Any) -> None:
    assert "QueueUrls" not in sqs.list_queues()


@mock_aws
def test_with_a_decorator() -> None:
    queue = boto3.resource("sqs", region_name="us-east-1").create_queue(QueueName="orders")
    queue.send_messages(Entries=[{"Id": str(number), "MessageBody": "x"} for number in range(10)])
    assert len(queue.receive_messages(MaxNumberOfMessages=10)) == 10
    with pytest.raises(ClientError) as caught:
        boto3.client("sqs", region_name="us-east-1").get_queue_url(QueueName="none")
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_client_from_before_the_mock() -> None:
    with mock_aws():
        url = EARLY.create_queue(QueueName="early")["QueueUrl"]
        assert EARLY.list_queues()["QueueUrls"] == [url]


@mock_aws
class TestClass(unittest.TestCase):
    def setUp(self) -> None:
        self.sqs = boto3.client("sqs", region_name="us-east-1")
        self.url = self.sqs.create_queue(QueueName="class")["QueueUrl"]

    def test_one(self) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody="x")
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        assert attributes["ApproximateNumberOfMessages"] == "1"

    def test_two(self) -> None:
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        assert attributes["ApproximateNumberOfMessages"] == "0"


def test_the_mock_by_hand() -> None:
    mock = mock_aws()
    mock.start()
    try:
        assert boto3.client("sqs", region_name="us-east-1").create_queue(QueueName="q")["QueueUrl"]
    finally:
        mock.stop()
