"""``Batching``, ``batching=`` and ``stats()``."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS
from support.observe import Returned
from support.relay import Relay
from support.together import connect, in_threads, one_by_one, patient, together
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS


def test_its_defaults() -> None:
    batching = turbosqs.Batching()
    expected = {"linger": 0.002, "max_in_flight": 32, "max_waiting": 10_000, "max_waiting_bytes": 64 << 20}
    assert {name: getattr(batching, name) for name in expected} == expected


def test_it_shows_itself() -> None:
    batching = turbosqs.Batching(linger=1, max_in_flight=2, max_waiting=3, max_waiting_bytes=4)
    assert repr(batching) == "Batching(linger=1.0, max_in_flight=2, max_waiting=3, max_waiting_bytes=4)"
    assert eval(repr(batching), {"Batching": turbosqs.Batching}) == batching


def test_it_is_equal_to_its_like() -> None:
    one, two = turbosqs.Batching(linger=0), turbosqs.Batching(linger=0.0)
    assert one == two
    assert hash(one) == hash(two)
    assert one == copy.copy(one)
    assert one != turbosqs.Batching()
    assert one != (0.0, 32, 10_000, 64 << 20)
    for name in ("max_in_flight", "max_waiting", "max_waiting_bytes"):
        assert turbosqs.Batching(**{name: 7}) != turbosqs.Batching()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"linger": -0.001}, ValueError, "linger must be from 0 to 60 seconds"),
        ({"linger": 60.1}, ValueError, "linger must be from 0 to 60 seconds"),
        ({"linger": math.nan}, ValueError, "linger must be from 0 to 60 seconds"),
        ({"linger": math.inf}, ValueError, "linger must be from 0 to 60 seconds"),
        ({"linger": 10**400}, ValueError, "linger must be from 0 to 60 seconds"),
        ({"linger": "1"}, TypeError, "linger must be a number of seconds, not str"),
        ({"linger": None}, TypeError, "linger must be a number of seconds, not NoneType"),
        ({"linger": True}, TypeError, "linger must be a number of seconds, not bool"),
        *(
            each
            for name in ("max_in_flight", "max_waiting", "max_waiting_bytes")
            for each in [
                ({name: 0}, ValueError, f"{name} must be 1 or more"),
                ({name: -1}, ValueError, f"{name} must be 1 or more"),
                ({name: 1 << 48}, ValueError, f"{name} must be"),
                ({name: 1.5}, TypeError, f"{name} must be an int, not float"),
                ({name: True}, TypeError, f"{name} must be an int, not bool"),
                ({name: "1"}, TypeError, f"{name} must be an int, not str"),
            ]
        ),
    ],
)
def test_its_arguments_are_checked(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        turbosqs.Batching(**arguments)


@pytest.mark.parametrize("value", [0.002, "on", 1, {}, turbosqs.Batching])
def test_batching_of_another_kind(value: Any) -> None:
    with pytest.raises(TypeError, match=r"batching must be a turbosqs\.Batching or a bool"):
        turbosqs.Session().client("sqs", region_name="us-east-1", batching=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("linger", -1.0), ("linger", math.nan), ("linger", 1e18), ("max_in_flight", 0), ("max_waiting", 0)],
)
def test_checked_figures_cannot_be_spoilt(name: str, value: float) -> None:
    """No client is made of figures that were never checked: with 0 requests in flight every call would wait for
    ever."""
    batching = turbosqs.Batching()

    def spoil() -> None:
        setattr(batching, name, value)
        turbosqs.Session().client("sqs", region_name="us-east-1", **KEYS, batching=batching)

    with pytest.raises((AttributeError, ValueError)):
        spoil()


def test_other_services_have_no_batching() -> None:
    for batching in (turbosqs.Batching(), True, False):
        with pytest.raises(TypeError, match="batching is for SQS clients"):
            turbosqs.client("s3", region_name="us-east-1", batching=batching)


def test_boto3_sessions_have_no_batching() -> None:
    import boto3

    with pytest.raises(TypeError):
        boto3.session.Session(region_name="us-east-1").client("sqs", batching=False)


def test_the_ends_of_the_range_work(server: Server) -> None:
    url = server.create_queue("q")
    for batching in (
        turbosqs.Batching(linger=0, max_in_flight=1, max_waiting=1, max_waiting_bytes=1),
        turbosqs.Batching(
            linger=60, max_in_flight=(1 << 48) - 1, max_waiting=(1 << 48) - 1, max_waiting_bytes=(1 << 48) - 1
        ),
    ):
        sqs = connect(server.endpoint_url, batching=batching)
        send = partial(sqs.send_message, QueueUrl=url)
        assert all(isinstance(each, Returned) for each in in_threads([partial(send, MessageBody="x")] * 20))
        with sqs.batch_writer(QueueUrl=url) as batch:
            for _ in range(20):
                batch.send_message(MessageBody="y")
        sqs.close()


def test_no_more_requests_in_flight_than_allowed(relay: Relay, server: Server) -> None:
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(linger=0, max_in_flight=3))
    relay.hold()
    joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=url, MessageBody=f"{n}") for n in range(40)])
    until(lambda: len(relay.passed) == 3)
    assert sum(sqs.stats()["flushes"].values()) == 3
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    # What waited for a place then left in full requests.
    assert max(len(passed.entries) for passed in relay.passed) == 10
    sqs.close()


def test_the_linger_is_kept(relay: Relay, server: Server) -> None:
    """Two calls behind one in flight leave together when they have lingered, though the first is still held."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(linger=0.5))
    relay.hold()
    joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=url, MessageBody=f"{n}") for n in range(3)])
    until(lambda: relay.passed)
    assert sqs.stats()["flushes"] == {"idle": 1}
    until(lambda: len(relay.passed) == 2)
    assert len(relay.passed[1].entries) == 2
    assert sqs.stats()["flushes"] == {"idle": 1, "linger": 1}
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    sqs.close()


def test_a_client_that_did_nothing_has_no_figures(sqs: SQS) -> None:
    nothing = {"standard": 0, "fifo": 0}
    assert sqs.stats() == {
        "requests": {},
        "billed": nothing,
        "unshared": nothing,
        "messages": {},
        "fill": {},
        "flushes": {},
        "retries": 0,
        "botocore": {},
        "cost": {"requests": 0, "boto3_requests": 0, "dollars": 0, "boto3_dollars": 0},
    }


def test_figures(relay: Relay, server: Server) -> None:
    """Every reason but one, and the server's own account beside ours."""
    url = server.create_queue("q")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    send = partial(sqs.send_message, QueueUrl=url)
    large = "x" * 600_000
    bodies = [*"0123456789", large, large, "a", "\ud800", "b"]
    results = together(relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=each) for each in bodies])
    assert sum(isinstance(result, Returned) for result in results) == 14
    stats = sqs.stats()
    assert stats["messages"] == {"SendMessage": 16}
    assert stats["flushes"] == {"idle": 1, "full": 1, "bytes": 1, "returned": 1, "solo": 4}
    assert stats["fill"] == {"SendMessage": pytest.approx((1 + 10 + 1 + 4 + 4) / 8)}
    assert stats["requests"] == server.stats()["requests"] == {"SendMessage": 6, "SendMessageBatch": 2}
    assert stats["retries"] == 0
    server.faults.add("throttle", times=1)
    sqs.send_message(QueueUrl=url, MessageBody="again")
    stats = sqs.stats()
    assert stats["retries"] == 1
    assert stats["requests"] == server.stats()["requests"] == {"SendMessage": 8, "SendMessageBatch": 2}
    sqs.get_queue_attributes(QueueUrl=url)
    assert sqs.stats()["requests"]["GetQueueAttributes"] == 1
    sqs.close()
    assert sqs.stats()["messages"] == {"SendMessage": 17}


def test_figures_are_a_copy(sqs: SQS, server: Server) -> None:
    sqs.send_message(QueueUrl=server.create_queue("q"), MessageBody="x")
    sqs.stats()["messages"].clear()
    assert sqs.stats()["messages"] == {"SendMessage": 1}
