"""The asyncio client's surface: names, sessions, paginators, presigned URLs, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import subprocess
import sys
import threading
import types
from typing import Any

import pytest
import turbosqs
from support.fakes import Scripted, fault, ok
from support.libraries import KEYS
from support.loops import Run, client, queue
from support.observe import Raised, awaited, outcome, same
from turbosqs import aio
from turbosqs._operations import METHOD_TO_API
from turbosqs.exceptions import NoRegionError
from turbosqs.local import Server

PAGES = (ok(QueueUrls=["a", "b"], NextToken="t"), ok(QueueUrls=["c"]))


@pytest.fixture
def scripted(scripted: Scripted) -> Scripted:
    scripted.play(*PAGES)
    return scripted


@pytest.fixture
def both(scripted: Scripted) -> tuple[Any, Any]:
    """The sync client and an asyncio client of the same settings."""
    options = {"region_name": "eu-west-1", "endpoint_url": scripted.url, **KEYS}
    return turbosqs.Session().client("sqs", **options), aio.Session().client("sqs", **options)


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_same_names(both: tuple[Any, Any]) -> None:
    blocking, awaitable = both
    assert public(blocking) == public(awaitable)
    assert type(awaitable).__name__ == "SQS"
    for name in public(blocking) - {"exceptions", "meta", "waiter_names"}:
        assert inspect.signature(getattr(blocking, name)).parameters.keys() == (
            inspect.signature(getattr(awaitable, name)).parameters.keys()
        ), name


def test_what_does_not_wait_is_the_same(both: tuple[Any, Any]) -> None:
    """Meta, exceptions, waiters, paginators' names, refusals."""
    for look in (
        lambda sqs: (sqs.meta.region_name, sqs.meta.endpoint_url, sqs.meta.partition, sqs.meta.method_to_api_mapping),
        lambda sqs: sqs.exceptions.QueueDoesNotExist,
        lambda sqs: sqs.exceptions.Nonsense,
        lambda sqs: (sqs.waiter_names, [sqs.can_paginate(name) for name in METHOD_TO_API]),
        lambda sqs: sqs.get_waiter("any"),
        lambda sqs: sqs.can_paginate("nonsense"),
        lambda sqs: sqs.get_paginator("send_message"),
        lambda sqs: sqs.get_paginator("nonsense"),
        lambda sqs: sqs.send_message("positional"),
        lambda sqs: pickle.dumps(sqs),
        lambda sqs: sqs.batch_writer(QueueUrl=5),
        lambda sqs: sqs.stats(),
    ):
        same(*(outcome(look, sqs) for sqs in both))


@pytest.mark.parametrize(
    "arguments",
    [
        {"ClientMethod": "send_message", "Params": {"QueueUrl": "u", "MessageBody": "x"}},
        {"ClientMethod": "list_queues"},
        {"ClientMethod": "list_queues", "ExpiresIn": "60", "HttpMethod": "GET"},
        {"ClientMethod": "list_queues", "ExpiresIn": "soon"},
        {"ClientMethod": "list_queues", "Params": {"Nonsense": 1}},
        {"ClientMethod": "nonsense"},
    ],
    ids=str,
)
def test_presigned_urls(both: tuple[Any, Any], run: Run, arguments: dict[str, Any]) -> None:
    """Signatures and dates aside, which depend on the second."""
    import re

    def masked(text: str) -> str:
        return re.sub(r"\d{8}T\d{6}Z|Signature=[0-9a-f]+", "", text)

    blocking, awaitable = both
    expected = outcome(lambda: masked(blocking.generate_presigned_url(**arguments)))

    async def work() -> Any:
        return masked(await awaitable.generate_presigned_url(**arguments))

    same(expected, run(awaited(work())))


@pytest.mark.parametrize(
    "options",
    [{}, {**KEYS, "verify": "/nowhere.pem", "endpoint_url": "https://127.0.0.1:1"}],
    ids=["no credentials", "no such bundle"],
)
def test_what_cannot_be_set_going(options: dict[str, Any], run: Run, scripted: Scripted) -> None:
    """An entry, a request or a signature: it fails as it does in the sync client."""
    options = {"region_name": "eu-west-1", "endpoint_url": scripted.url, **options}
    blocking, awaitable = turbosqs.Session().client("sqs", **options), aio.Session().client("sqs", **options)
    for method, arguments in (
        ("send_message", {"QueueUrl": "u", "MessageBody": "x"}),
        ("list_queues", {}),
        *([] if "verify" in options else [("generate_presigned_url", {"ClientMethod": "list_queues"})]),
    ):
        expected = outcome(getattr(blocking, method), **arguments)
        same(expected, run(awaited(getattr(awaitable, method)(**arguments))), about=method)
        assert isinstance(expected, Raised)


# --- paginators ----------------------------------------------------------------------------------------------------


def test_pages(both: tuple[Any, Any], scripted: Scripted, run: Run) -> None:
    """Pages, a full result, a search, the entries: as the sync paginator has them; cut and resumed as well."""
    blocking, awaitable = both
    cut = {"PaginationConfig": {"MaxItems": 1}}

    async def collected(pages: Any) -> list[Any]:
        return [page async for page in pages]

    looks: list[tuple[Any, Any]] = [
        (lambda pages: list(pages), collected),
        (lambda pages: pages.build_full_result(), lambda pages: pages.build_full_result()),
        (lambda pages: list(pages.search("QueueUrls")), lambda pages: collected(pages.search("QueueUrls"))),
        (
            lambda pages: list(pages.search("length(QueueUrls)")),
            lambda pages: collected(pages.search("length(QueueUrls)")),
        ),
        (lambda pages: list(pages.result_key_iters()[0]), lambda pages: collected(pages.result_key_iters()[0])),
    ]
    for arguments in ({}, cut):
        for theirs, ours in looks:
            scripted.play(*PAGES)
            pages = blocking.get_paginator("list_queues").paginate(**arguments)
            expected = theirs(pages), pages.resume_token
            scripted.play(*PAGES)
            awaited_pages = awaitable.get_paginator("list_queues").paginate(**arguments)
            same(expected, (run(ours(awaited_pages)), awaited_pages.resume_token))


def test_an_error_in_the_middle_of_pages(both: tuple[Any, Any], scripted: Scripted, run: Run) -> None:
    scripted.play(PAGES[0], fault(400, "com.amazonaws.sqs#InvalidSecurity", "no"))
    sqs = both[1]

    pages = sqs.get_paginator("list_queues").paginate().__aiter__()
    assert run(anext(pages))["QueueUrls"] == ["a", "b"]
    with pytest.raises(sqs.exceptions.InvalidSecurity):
        run(anext(pages))


# --- sessions ------------------------------------------------------------------------------------------------------


def test_forms_of_aioboto3_and_aiobotocore(server: Server, run: Run) -> None:
    async def work() -> None:
        options = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS}
        async with aio.Session().client("sqs", **options) as sqs:
            url = await queue(sqs)
        session = aio.Session(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], region_name="us-east-1")
        async with session.client("sqs", endpoint_url=server.endpoint_url) as sqs:
            assert (await sqs.get_queue_url(QueueName="q"))["QueueUrl"] == url
        sqs = session.client("sqs", endpoint_url=server.endpoint_url)
        assert (await sqs.get_queue_url(QueueName="q"))["QueueUrl"] == url

    run(work())


def test_the_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """``aio.client`` has the settings that ``turbosqs.setup_default_session`` made."""
    monkeypatch.setattr(turbosqs, "DEFAULT_SESSION", None)
    with pytest.raises(NoRegionError):
        aio.client("sqs")
    turbosqs.setup_default_session(region_name="eu-north-1")
    assert aio.client("sqs").meta.region_name == "eu-north-1"
    assert aio.Session(region_name="eu-south-1").region_name == "eu-south-1"


def test_other_services_are_aioboto3s(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its session of the same arguments when it is there; else one line says what to install."""
    session = aio.Session(region_name="eu-west-1")
    with pytest.raises(ModuleNotFoundError, match=r"client\('s3'\) needs aioboto3: pip install aioboto3"):
        session.client("s3")
    with pytest.raises(ModuleNotFoundError, match=r"resource\('sqs'\) needs aioboto3"):
        session.resource("sqs")

    class Theirs:
        def __init__(self, **arguments: Any) -> None:
            self.arguments = arguments

        def client(self, *args: Any, **kwargs: Any) -> Any:
            return self.arguments, args, kwargs

    fake = types.ModuleType("aioboto3")
    fake.Session = Theirs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aioboto3", fake)
    assert session.client("s3", use_ssl=False) == ({"region_name": "eu-west-1"}, ("s3",), {"use_ssl": False})


def test_a_botocore_session_resolves_settings_and_credentials() -> None:
    import botocore.session

    given = botocore.session.get_session()
    given.set_credentials("theirs", "s")
    client = aio.Session(botocore_session=given).client("sqs", region_name="us-east-1")
    assert isinstance(client, aio.SQS)
    assert client.meta.region_name == "us-east-1"
    assert client._get_credentials().access_key == "theirs"


def test_a_client_of_boto3s_is_refused() -> None:
    import boto3

    with pytest.raises(TypeError, match="made from a client of turbosqs's"):
        aio.SQS(boto3.client("sqs", region_name="us-east-1"))


def test_replies_of_one_request_are_their_callers_own(server: Server, run: Run) -> None:
    """Their metadata is equal, and nobody sees what another does with it."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        first, second, *_ = await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody="x") for _ in range(10)))
        assert first["ResponseMetadata"] == second["ResponseMetadata"]
        assert list(first["ResponseMetadata"]) == ["RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts"]
        first["ResponseMetadata"]["HTTPHeaders"].clear()
        first["ResponseMetadata"].clear()
        assert second["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"] == second["ResponseMetadata"]["RequestId"]

    run(work())


def test_no_loop_is_running(server: Server) -> None:
    """A call is a coroutine, and asks for its loop when it is awaited."""
    call = client(server).list_queues()
    with pytest.raises(RuntimeError, match="no running event loop"):
        call.send(None)


def test_an_unawaited_call_is_told_by_python(server: Server) -> None:
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        client(server).list_queues()


def test_a_loop_that_cannot_watch_descriptors(server: Server) -> None:
    """As Windows' own: a thread of the loop's waits in its stead, and ends when the loop is gone."""

    class Blind(asyncio.SelectorEventLoop):
        def add_reader(self, fd: Any, *rest: Any) -> Any:  # type: ignore[override]
            # What wakes the loop for others is its own affair.
            if isinstance(fd, int) and fd != self._ssock.fileno():  # type: ignore[attr-defined]
                raise NotImplementedError("no descriptors here")
            return super()._add_reader(fd, *rest)  # type: ignore[misc]

    def wakers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "turbosqs-aio-waker"]

    async def calls() -> None:
        sqs = client(server)
        url = await queue(sqs)
        sent = await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(n)) for n in range(100)))
        assert len({reply["MessageId"] for reply in sent}) == 100
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            await sqs.get_queue_url(QueueName="missing")
        given_up = asyncio.ensure_future(sqs.receive_message(QueueUrl=f"{url}-empty", WaitTimeSeconds=20))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert given_up.cancelled()

    before = wakers()
    loop = Blind()
    loop.run_until_complete(calls())
    # Another run of the same loop has the same thread.
    loop.run_until_complete(calls())
    (waker,) = (thread for thread in wakers() if thread not in before)
    loop.close()
    del loop
    gc.collect()
    waker.join(20)
    assert not waker.is_alive()


def test_nobody_imports_asyncio_for_the_sync_client(server: Server) -> None:
    script = (
        "import sys, turbosqs\n"
        f"sqs = turbosqs.client('sqs', region_name='x', endpoint_url={server.endpoint_url!r}, **{KEYS!r})\n"
        "sqs.list_queues()\n"
        "print('asyncio' in sys.modules, 'turbosqs.aio' in sys.modules, turbosqs.aio.client.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "False False client\n"
