"""The same on moto, whose batches fail in ways of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.libraries import BOTO3
from support.observe import Raised, describe
from support.relay import Relay
from support.together import connect, held, one_by_one, refused, start


@pytest.fixture
def moto(moto_url: str) -> Iterator[Any]:
    client = BOTO3.client(moto_url)
    yield client
    client.close()


BAD: dict[str, Any] = {"MessageBody": "bad", "MessageAttributes": {"a": {"DataType": "None", "StringValue": "x"}}}


def test_one_poisoned_entry_among_thirty(moto: Any, moto_url: str) -> None:
    """moto refuses a whole batch for one entry's sake: it is taken apart, and the others are sent."""
    url = moto.create_queue(QueueName="poisoned")["QueueUrl"]
    with Relay(int(moto_url.rpartition(":")[2])) as relay:
        sqs = connect(relay.url, batching=turbosqs.Batching(linger=60))
        relay.hold()
        sends = [{"MessageBody": f"{n}"} if n != 17 else BAD for n in range(30)]
        joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=url, **send) for send in sends])
        relay.release()
        closing = start([sqs.close])
        results = [join()[0] for join in joins]
        closing()
    assert [n for n, result in enumerate(results) if isinstance(result, Raised)] == [17], describe(results)
    assert held(moto, url) == Counter(str(n) for n in range(30) if n != 17)


def test_a_writer(moto: Any, moto_url: str) -> None:
    url = moto.create_queue(QueueName="written")["QueueUrl"]
    sqs = connect(moto_url)

    def give(batch: Any) -> None:
        for n in range(55):
            batch.send_message(MessageBody=f"{n}")
        batch.delete_message(ReceiptHandle="nonsense")
        batch.send_message(**BAD)

    failures = refused(sqs, url, give).failures
    assert [(each.operation, each.code) for each in failures] == [
        ("DeleteMessage", "ReceiptHandleIsInvalid"),
        ("SendMessage", "InvalidParameterValue"),
    ]
    assert failures[1].params == {"QueueUrl": url, **BAD}
    assert held(moto, url) == Counter(str(n) for n in range(55))
    sqs.close()
