"""What calls on the core are signed with: what aiobotocore would sign with at that moment, awaited if need be."""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import turbosqs
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioDeferredRefreshableCredentials, AioRefreshableCredentials
from aiobotocore.session import AioSession, get_session
from botocore import UNSIGNED
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError
from support.fakes import Scripted
from support.ways import gone

pytestmark = pytest.mark.usefixtures("patched")


def connect(scripted: Scripted, session: AioSession | None = None, **options: Any) -> Any:
    settings = {"region_name": "us-east-1", "endpoint_url": scripted.url, **options}
    return (session or get_session()).create_client("sqs", **settings)


def keys(name: str) -> dict[str, str]:
    return {"aws_access_key_id": name, "aws_secret_access_key": "b"}


def signed(scripted: Scripted) -> list[str]:
    """The access keys of the requests, with the session tokens if they have some."""
    found = []
    for request in scripted.requests:
        name = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        token = request.headers.get("x-amz-security-token")
        found.append(name if token is None else f"{name} {token}")
    return found


async def call(client: Any) -> None:
    assert (await client.get_queue_url(QueueName="q"))["QueueUrl"] == "u"


def test_keys_that_a_program_changes(scripted: Scripted) -> None:
    async def work() -> None:
        session = get_session()
        session.set_credentials("first", "b")
        async with connect(scripted, session) as client:
            await call(client)
            client._request_signer._credentials.access_key = "second"
            client._request_signer._credentials.token = "t"
            await call(client)
            session.set_credentials("third", "b")
            await call(client)
            async with connect(scripted, session) as other:
                await call(other)
            await call(client)
            assert gone(client) == {"fast": 4}
        assert signed(scripted) == ["first", "second t", "second t", "third", "second t"]

    asyncio.run(work())


def metadata(number: int, seconds: float) -> dict[str, str]:
    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return {
        "access_key": f"key{number}",
        "secret_key": "b",
        "token": f"t{number}",
        "expiry_time": expiry.isoformat(),
    }


def refreshing() -> tuple[Callable[[], Any], Counter[str]]:
    """What refreshes credentials, for an hour, and takes its time for it; and how often it was asked."""
    asked = Counter[str]()

    async def refresh() -> dict[str, str]:
        asked["refresh"] += 1
        number = asked["refresh"]
        await asyncio.sleep(0.01)
        return metadata(number, 3600)

    return refresh, asked


def test_credentials_that_are_refreshed(scripted: Scripted) -> None:
    """By many tasks at once: they are refreshed once, and everybody signs with what aiobotocore would."""

    async def work() -> None:
        refresh, asked = refreshing()
        session = get_session()
        session._credentials = AioRefreshableCredentials.create_from_metadata(
            metadata(0, 3600), refresh_using=refresh, method="test"
        )
        async with connect(scripted, session) as client:
            await call(client)
            # Five minutes left: less than anybody waits with a refresh.
            session._credentials._expiry_time -= datetime.timedelta(seconds=3300)
            await asyncio.gather(*(call(client) for _ in range(20)))
            await call(client)
            assert gone(client) == {"fast": 22}
        assert asked == {"refresh": 1}
        assert signed(scripted) == ["key0 t0", *["key1 t1"] * 21]

    asyncio.run(work())


def test_credentials_that_are_looked_for_at_the_first_call(scripted: Scripted) -> None:
    async def work() -> None:
        refresh, asked = refreshing()
        session = get_session()
        session._credentials = AioDeferredRefreshableCredentials(refresh_using=refresh, method="assume-role")
        async with connect(scripted, session) as client, connect(scripted, session) as other:
            assert asked == {}
            await asyncio.gather(*(call(each) for each in (client, other) * 10))
            assert gone(client) == gone(other) == {"fast": 10}
        assert asked == {"refresh": 1}
        assert signed(scripted) == ["key1 t1"] * 20

    asyncio.run(work())


def test_a_refresh_that_fails(scripted: Scripted) -> None:
    """It is the caller's error, as it is without us; and the next call asks again."""

    async def work() -> None:
        failing = True

        async def refresh() -> dict[str, str]:
            if failing:
                raise CredentialRetrievalError(provider="test", error_msg="lost")
            return metadata(1, 3600)

        session = get_session()
        session._credentials = AioDeferredRefreshableCredentials(refresh_using=refresh, method="test")
        async with connect(scripted, session) as client:
            with pytest.raises(CredentialRetrievalError, match="lost"):
                await call(client)
            failing = False
            await call(client)
        assert signed(scripted) == ["key1 t1"]

    asyncio.run(work())


def test_a_refresh_that_is_cancelled(scripted: Scripted) -> None:
    """The one who cancelled it is cancelled, and nobody else."""

    async def work() -> None:
        started = asyncio.Event()
        numbers = iter(range(1, 10))

        async def refresh() -> dict[str, str]:
            number = next(numbers)
            started.set()
            if number == 1:
                await asyncio.sleep(20)
            return metadata(number, 3600)

        session = get_session()
        session._credentials = AioDeferredRefreshableCredentials(refresh_using=refresh, method="test")
        async with connect(scripted, session) as client:
            first = asyncio.create_task(call(client))
            await started.wait()
            second = asyncio.create_task(call(client))
            await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await second
        assert signed(scripted) == ["key2 t2"]

    asyncio.run(work())


@pytest.mark.usefixtures("environment")
def test_no_credentials(scripted: Scripted) -> None:
    async def work() -> None:
        async with connect(scripted) as client:
            with pytest.raises(NoCredentialsError):
                await call(client)
            assert gone(client) == {"credentials": 1}
        assert scripted.requests == []

    asyncio.run(work())


def test_unsigned(scripted: Scripted) -> None:
    async def work() -> None:
        async with connect(scripted, config=AioConfig(signature_version=UNSIGNED)) as client:
            await call(client)
            assert gone(client) == {"fast": 1}
        assert "authorization" not in scripted.requests[0].headers

    asyncio.run(work())


def test_clients_with_other_credentials_share_nothing(scripted: Scripted) -> None:
    """Calls of one tick: each is signed with what its own client has."""

    async def work() -> None:
        async with (
            connect(scripted, **keys("a")) as one,
            connect(scripted, **keys("b")) as two,
            connect(scripted, **keys("a")) as same,
        ):
            await asyncio.gather(*(call(each) for each in (one, two, same) * 5))
            assert turbosqs.stats(one)["requests"] == {"GetQueueUrl": 10}
            assert turbosqs.stats(two)["requests"] == {"GetQueueUrl": 5}
            assert turbosqs.stats(same)["requests"] == {"GetQueueUrl": 10}
        assert Counter(signed(scripted)) == {"a": 10, "b": 5}

    asyncio.run(work())
