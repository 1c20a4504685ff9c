"""The parity cases, once more: aiobotocore as it is, and on the core. Whole replies, whole exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import turbosqs
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from support.cases import ONCE
from support.cases.language import Case, drive_awaiting
from support.libraries import KEYS
from support.observe import Raised, Returned, same
from support.service import Service
from support.ways import gone


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    yield running
    running.close()


@pytest.fixture(scope="module")
def clients(service: Service, loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Any, Any]]:
    stack = AsyncExitStack()

    async def enter() -> tuple[Any, Any]:
        settings = {"region_name": "us-east-1", "endpoint_url": service.url, **KEYS}
        theirs, ours = [
            await stack.enter_async_context(get_session().create_client("sqs", **settings)) for _ in range(2)
        ]
        return theirs, ours

    yield loop.run_until_complete(enter())
    loop.run_until_complete(stack.aclose())


def comparable(transcript: Any) -> Any:
    """Without the header that moto sends twice: aiobotocore has the last value of such a one, botocore has them all."""
    match transcript:
        case Returned():
            return Returned(comparable(transcript.value))
        case Raised() if isinstance(transcript.error, ClientError):
            transcript.error.response = comparable(transcript.error.response)
            return transcript
        case dict():
            return {name: comparable(value) for name, value in transcript.items() if name != "server"}
        case list() | tuple():
            return type(transcript)(map(comparable, transcript))
        case _:
            return transcript


# aiohttp's, of a message over 1 MiB.
@pytest.mark.filterwarnings("ignore:Sending a large body directly")
@pytest.mark.parametrize(("service", "case"), ONCE, ids=str, indirect=["service"], scope="session")
def test_case(case: Case, service: Service, clients: tuple[Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    theirs, ours = clients
    service.reset()
    expected = loop.run_until_complete(drive_awaiting(case, theirs, service.advance))
    service.reset()
    with turbosqs.patched():
        before = gone(ours)
        found = loop.run_until_complete(drive_awaiting(case, ours, service.advance))
        after = gone(ours)
    same(comparable(expected), comparable(found), about=f"{case.name} on {service.name}")
    assert {way for way in after if after[way] != before.get(way, 0)} <= {"fast"}
