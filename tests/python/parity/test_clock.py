"""The time that requests and URLs bear is Python's when a test has replaced Python's clock, as boto3's is."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import freezegun
import pytest
import time_machine
import turbosqs.aio
from support.fakes import Reply, Scripted, fault, ok
from support.libraries import BOTO3, KEYS, LIBRARIES, SUBJECT, Library
from turbosqs.aio import client as aio_client

LONG_AGO = datetime.datetime(2015, 10, 21, 16, 29, 8, tzinfo=datetime.timezone.utc)
WAYS: dict[str, Callable[[datetime.datetime], Any]] = {
    "freezegun": freezegun.freeze_time,
    "freezegun, ticking": lambda moment: freezegun.freeze_time(moment, tick=True),
    "time-machine": lambda moment: time_machine.travel(moment, tick=False),
    "time-machine, ticking": lambda moment: time_machine.travel(moment, tick=True),
}


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def dates(server: Scripted) -> list[datetime.datetime]:
    """Of the requests that have come; each signature is of the day of its date."""
    for request in server.requests:
        assert f"/{request.headers['x-amz-date'][:8]}/us-east-1/sqs/" in request.headers["authorization"]
    return [moment(request.headers["x-amz-date"]) for request in server.requests]


def url_date(client: Any) -> datetime.datetime:
    query = parse_qs(urlsplit(client.generate_presigned_url("list_queues")).query)
    return moment(query["X-Amz-Date"][0])


def is_about(found: datetime.datetime, expected: datetime.datetime) -> bool:
    return abs((found - expected).total_seconds()) < 30


@pytest.mark.parametrize("mode", ["standard", "adaptive"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_everything_is_dated_by_the_clock_of_the_test(
    library: Library, way: str, mode: str, scripted: Scripted
) -> None:
    client = library.client(scripted.url, config=library.config(retries={"mode": mode}))
    client.get_queue_url(QueueName="before")
    with WAYS[way](LONG_AGO):
        client.get_queue_url(QueueName="q")
        assert is_about(url_date(client), LONG_AGO)
        made_inside = library.client(scripted.url)
        made_inside.get_queue_url(QueueName="q")
    client.get_queue_url(QueueName="after")
    now = datetime.datetime.now(datetime.timezone.utc)
    before, *inside, after = dates(scripted)
    assert is_about(before, now)
    assert is_about(after, now)
    assert len(inside) == 2
    assert all(is_about(each, LONG_AGO) for each in inside)
    if "ticking" not in way:
        assert set(inside) == {LONG_AGO}
    assert is_about(url_date(client), now)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_attempts_that_are_repeated_are_dated_alike(library: Library, scripted: Scripted) -> None:
    scripted.play(fault(503), ok(QueueUrl="u"))
    client = library.client(scripted.url)
    with time_machine.travel(LONG_AGO, tick=False):
        client.get_queue_url(QueueName="q")
    assert dates(scripted) == [LONG_AGO] * 2


def test_the_clock_is_moved_between_calls(scripted: Scripted) -> None:
    client = SUBJECT.client(scripted.url)
    with freezegun.freeze_time(LONG_AGO) as frozen:
        for _ in range(3):
            client.get_queue_url(QueueName="q")
            frozen.tick(datetime.timedelta(days=1))
    assert dates(scripted) == [LONG_AGO + datetime.timedelta(days=days) for days in range(3)]


@pytest.mark.skipif(SUBJECT == BOTO3, reason="boto3 has neither")
def test_entries_that_share_requests_and_coroutines(scripted: Scripted) -> None:
    taken = {"MessageId": "m", "MD5OfMessageBody": "x"}
    scripted.play(Reply(body=ok(**taken, Successful=[{"Id": f"{n}", **taken} for n in range(10)]).body))
    settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **KEYS}
    client = turbosqs.client("sqs", **settings)
    with freezegun.freeze_time(LONG_AGO):
        with client.batch_writer(QueueUrl="u") as batch:
            for number in range(20):
                batch.send_message(MessageBody=str(number))
        send = client.send_message
        threads = [threading.Thread(target=send, kwargs={"QueueUrl": "u", "MessageBody": "x"}) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with freezegun.freeze_time(LONG_AGO, real_asyncio=True):

        async def work() -> None:
            async with aio_client("sqs", **settings) as beside:
                await asyncio.gather(*(beside.send_message(QueueUrl="u", MessageBody="x") for _ in range(5)))
                url = await beside.generate_presigned_url("list_queues")
                assert "X-Amz-Date=20151021T162908Z" in url

        asyncio.run(work())
    assert set(dates(scripted)) == {LONG_AGO}
