"""Tests of code that uses SQS, with pytest and the embedded SQS: real requests, no mock, no network.

pytest examples/test_orders.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import turbosqs
from turbosqs.local import Server

#: The embedded SQS takes any.
LOCAL: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}


def place_order(sqs: Any, url: str, order: str) -> None:
    """The code to be tested."""
    sqs.send_message(QueueUrl=url, MessageBody=order)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(clock="manual") as server:
        yield server


@pytest.fixture
def sqs(server: Server) -> Any:
    return turbosqs.client("sqs", endpoint_url=server.endpoint_url, **LOCAL)


def test_an_order_is_placed(server: Server, sqs: Any) -> None:
    url = server.create_queue("orders")
    place_order(sqs, url, "order 1")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "order 1"


def test_an_order_that_is_not_deleted_comes_again(server: Server, sqs: Any) -> None:
    url = server.create_queue("orders", {"VisibilityTimeout": "30"})
    place_order(sqs, url, "order 1")
    sqs.receive_message(QueueUrl=url)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    # No test has to wait for that.
    server.advance(31)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "order 1"


def test_a_network_that_fails_once(server: Server, sqs: Any) -> None:
    url = server.create_queue("orders")
    server.faults.add("reset", actions=["SendMessage"], times=1)
    place_order(sqs, url, "order 1")
    assert server.stats()["requests"]["SendMessage"] == 2
