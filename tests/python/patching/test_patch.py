"""What ``patch()`` takes hold of, and that ``unpatch()`` leaves no trace."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from threading import Barrier
from typing import Any
from unittest import mock

import boto3
import botocore.client
import pytest
import turbosqs
from boto3 import client as early
from botocore.client import BaseClient, ClientCreator
from botocore.stub import Stubber
from support.libraries import BOTO3, KEYS
from support.ways import gone


@pytest.fixture(autouse=True)
def _unpatched() -> Iterator[None]:
    before = state()
    yield
    turbosqs.unpatch()
    assert state() == before


def state() -> Any:
    """All that `patch()` could take hold of."""
    codes = [vars(BaseClient)[name].__code__ for name in ("_make_api_call", "close")]
    return vars(BaseClient).copy(), codes, vars(ClientCreator).copy(), sys.meta_path.copy()


@pytest.fixture
def settings(embedded: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    embedded.reset()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return {"endpoint_url": embedded.endpoint_url, "region_name": "us-east-1", **KEYS}


def is_fast(client: Any) -> bool:
    before = turbosqs.stats(client)["fast"]
    client.list_queues()
    return bool(turbosqs.stats(client)["fast"] == before + 1)


def is_patched(client: Any) -> bool:
    try:
        turbosqs.stats(client)
    except TypeError:
        return False
    return True


def test_what_was_made_before(settings: dict[str, Any]) -> None:
    client = BOTO3.session().client("sqs", **settings)
    resource = BOTO3.session().resource("sqs", **settings)
    queue = resource.create_queue(QueueName="q")
    session = BOTO3.session()
    boto3.setup_default_session(**KEYS)
    turbosqs.patch()
    assert is_fast(client)
    queue.send_message(MessageBody="b")
    assert gone(resource.meta.client) == {"fast": 1}
    assert is_fast(session.client("sqs", **settings))
    assert is_fast(session.resource("sqs", **settings).meta.client)
    assert is_fast(boto3.client("sqs", **settings))


def test_what_is_made_after(settings: dict[str, Any]) -> None:
    turbosqs.patch()
    for client in (
        early("sqs", **settings),
        boto3.client("sqs", **settings),
        boto3.resource("sqs", **settings).meta.client,
        boto3.Session().client("sqs", **settings),
        boto3.session.Session().resource("sqs", **settings).meta.client,
        botocore.session.get_session().create_client(
            "sqs", region_name="us-east-1", endpoint_url=settings["endpoint_url"], **KEYS
        ),
    ):
        assert isinstance(client, BaseClient)
        assert is_fast(client)


def test_other_services_are_left_alone(settings: dict[str, Any]) -> None:
    theirs = type(BOTO3.session().client("sns", **settings))
    turbosqs.patch()
    ours = type(BOTO3.session().client("sns", **settings))
    for cls in (theirs, ours):
        assert cls.__mro__ == (cls, BaseClient, object)
    client = BOTO3.session().client("sns", **settings)
    with Stubber(client) as stubber:
        stubber.add_response("list_topics", {"Topics": []})
        assert client.list_topics()["Topics"] == []
    assert not is_patched(client)
    assert [name for name in vars(client) if "turbosqs" in name] == []


def test_a_client_with_a_way_of_calling_of_its_own_is_left_alone(settings: dict[str, Any]) -> None:
    """aiobotocore's clients, for one: they derive from its own client, and are made by its own creator."""

    class AioBaseClient(BaseClient):  # type: ignore[misc]
        async def _make_api_call(self, operation_name: str, api_params: Any) -> Any: ...

    class AioClientCreator(ClientCreator):  # type: ignore[misc]
        def _create_client_class(self, _: str, service_model: Any) -> Any:
            attributes = self._create_methods(service_model)
            attributes["_PY_TO_OP_NAME"] = self._create_name_mapping(service_model)
            return type("SQS", (AioBaseClient,), attributes)

    creator = AioClientCreator(None, None, None, None, None, None)
    model = BOTO3.session().client("sqs", **settings).meta.service_model
    before = creator._create_client_class("sqs", model)
    turbosqs.patch()
    after = creator._create_client_class("sqs", model)
    for cls in (before, after):
        assert cls.__mro__ == (cls, AioBaseClient, BaseClient, object)


def test_a_mixin_stays_where_it_is(settings: dict[str, Any]) -> None:
    """Others put bases of theirs in by the same event that we could have used."""

    class Mixin:
        greeting = "hello"

        def list_queues(self, **arguments: Any) -> Any:
            return super().list_queues(**arguments)  # type: ignore[misc]

    session = BOTO3.session()
    session.events.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Mixin))
    turbosqs.patch()
    client = session.client("sqs", **settings)
    assert [cls.__name__ for cls in type(client).__mro__] == ["SQS", "Mixin", "BaseClient", "object"]
    assert is_fast(client)


def test_unpatch_leaves_no_trace(settings: dict[str, Any]) -> None:
    client, other = (BOTO3.session().client("sqs", **settings) for _ in range(2))
    for each in (client, other):
        each.list_queues()
    before = [(vars(each).copy(), type(each).__mro__, vars(type(each)).copy()) for each in (client, other)]
    base, creator = vars(BaseClient).copy(), vars(ClientCreator).copy()
    turbosqs.patch()
    assert is_fast(client)
    made = BOTO3.session().client("sqs", **settings)
    turbosqs.unpatch()
    assert [(vars(each), type(each).__mro__, vars(type(each)).copy()) for each in (client, other)] == before
    assert (vars(BaseClient), vars(ClientCreator)) == (base, creator)
    assert type(made).__mro__ == (type(made), BaseClient, object)
    made.list_queues()
    assert not is_patched(made)


def test_patching_twice_is_patching_once(settings: dict[str, Any]) -> None:
    turbosqs.patch()
    turbosqs.patch()
    client = BOTO3.session().client("sqs", **settings)
    assert is_fast(client)
    turbosqs.unpatch()
    assert type(client).__mro__ == (type(client), BaseClient, object)
    turbosqs.unpatch()
    turbosqs.patch()
    assert is_fast(client)


def test_blocks_nest_and_overlap(settings: dict[str, Any]) -> None:
    client = BOTO3.session().client("sqs", **settings)
    first, second = turbosqs.patched(), turbosqs.patched()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert is_fast(client)
    second.__exit__(None, None, None)
    assert not is_patched(client)
    turbosqs.patch()
    with turbosqs.patched():
        pass
    assert is_fast(client)
    with turbosqs.patched():
        turbosqs.unpatch()
        assert is_fast(client)
    assert not is_patched(client)
    with pytest.raises(ZeroDivisionError), turbosqs.patched():
        _ = 1 / 0
    assert not is_patched(client)


def test_what_botocore_wrote_stays_readable(settings: dict[str, Any]) -> None:
    """aiobotocore's own tests look at the source of what it replaces, through decorators."""
    functions = [BaseClient._make_api_call, BaseClient.close]
    functions += [function.__wrapped__ for function in functions if hasattr(function, "__wrapped__")]

    def read() -> Any:
        return [(inspect.getsource(each), inspect.signature(each), each.__qualname__) for each in functions]

    before = read()
    turbosqs.patch()
    assert is_fast(BOTO3.session().client("sqs", **settings))
    assert read() == before


@pytest.mark.parametrize("hold", ["closure", "attribute", "partial", "mock"])
def test_whoever_holds_the_function(hold: str, settings: dict[str, Any]) -> None:
    """Wrappers from before `patch()` have botocore's function already, each in its own way: they call the core's."""
    original = BaseClient._make_api_call
    client = BOTO3.session().client("sqs", **settings)

    def closure(self: Any, operation_name: str, api_params: Any) -> Any:
        return original(self, operation_name, api_params)

    match hold:
        case "closure":
            replacement: Any = closure
        case "attribute":
            replacement = _Wrapping()
            replacement.__wrapped__ = original
        case "partial":
            replacement = functools.partialmethod(original)
        case "mock":
            replacement = mock.MagicMock(side_effect=ZeroDivisionError)
    with mock.patch.object(BaseClient, "_make_api_call", replacement):
        turbosqs.patch()
        turbosqs.unpatch()
    turbosqs.patch()
    assert is_fast(client)


class _Wrapping:
    """As wrapt's wrappers: an object that leads on by `__wrapped__`."""

    __wrapped__: Any = None


def test_a_botocore_without_the_function() -> None:
    """Of some other make: its clients stay as they are, and a line says so."""
    printed = alone(
        """
        import logging, turbosqs
        logging.basicConfig(format="%(name)s %(message)s", stream=__import__("sys").stdout)
        from botocore.client import BaseClient
        function = BaseClient._make_api_call
        while function is not None:
            function.__qualname__ = "other"
            function = getattr(function, "__wrapped__", None)
        turbosqs.patch()
        turbosqs.unpatch()
        turbosqs.patch()
        """
    )
    assert printed == (
        "turbosqs boto3's SQS clients stay as they are: botocore's own BaseClient._make_api_call is not to be found\n"
    )


def test_calls_under_way_are_finished(settings: dict[str, Any]) -> None:
    """Threads call while the patch comes and goes: every call is answered, whichever way it took."""
    client = BOTO3.session().client("sqs", **settings)
    url = client.create_queue(QueueName="q")["QueueUrl"]
    barrier = Barrier(5)

    def send() -> int:
        barrier.wait()
        return sum("MessageId" in client.send_message(QueueUrl=url, MessageBody="b") for _ in range(100))

    with ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(send) for _ in range(4)]
        barrier.wait()
        while not all(each.done() for each in sending):
            with turbosqs.patched():
                client.list_queues()
            client.list_queues()
        assert [each.result() for each in sending] == [100] * 4


def test_the_first_calls_of_many_threads(settings: dict[str, Any]) -> None:
    """Each finds no call path, no core and no credentials handed over yet: none may call before all three are there."""
    turbosqs.patch()
    for _ in range(20):
        client = BOTO3.session().client("sqs", **settings)
        barrier = Barrier(8)

        def call(client: Any = client, barrier: Barrier = barrier) -> Any:
            barrier.wait()
            return client.list_queues()["ResponseMetadata"]["HTTPStatusCode"]

        with ThreadPoolExecutor(8) as threads:
            assert {each.result() for each in [threads.submit(call) for _ in range(8)]} == {200}
        assert gone(client) == {"fast": 8}


def test_close_closes_both(settings: dict[str, Any]) -> None:
    turbosqs.patch()
    client = BOTO3.session().client("sqs", **settings)
    client.close()
    assert is_fast(client)
    client.close()
    assert is_fast(client)


def test_the_process_counts_too(settings: dict[str, Any]) -> None:
    turbosqs.patch()
    before = turbosqs.stats()["fast"]
    for _ in range(2):
        assert is_fast(BOTO3.session().client("sqs", **settings))
    assert turbosqs.stats()["fast"] == before + 2


def alone(script: str, *arguments: str) -> str:
    """What a script prints in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", dedent(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_variables_of_its_frames(embedded: Any) -> None:
    """Debuggers and error reporters look at them, those of the closure too; once that was the end of the process."""
    printed = alone(
        """
        import sys
        import boto3, turbosqs
        turbosqs.patch()
        client = boto3.client("sqs", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="a",
                              aws_secret_access_key="b")
        try:
            client.get_queue_url(QueueName="none")
        except client.exceptions.ClientError as error:
            traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_name == "_make_api_call":
                print(traceback.tb_frame.f_locals["operation_name"])
            traceback = traceback.tb_next
        """,
        embedded.endpoint_url,
    )
    assert printed == "GetQueueUrl\n" * 2


def test_patch_before_boto3_is_imported(embedded: Any) -> None:
    printed = alone(
        """
        import sys
        import turbosqs
        turbosqs.patch()
        print("botocore" in sys.modules, "turbosqs._core" in sys.modules)
        import boto3, botocore.client
        client = boto3.client("sqs", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="a",
                              aws_secret_access_key="b")
        client.list_queues()
        # Others wait for what may never come.
        left = sorted(each.name for each in sys.meta_path if "turbosqs" in type(each).__module__)
        print(turbosqs.stats(client)["fast"], turbosqs.stats(), left)
        print(type(botocore.client.__loader__).__name__, type(botocore.client.__spec__.loader).__name__)
        """,
        embedded.endpoint_url,
    )
    assert printed.splitlines() == [
        "False False",
        "1 {'fast': 1} ['aiobotocore.client', 'kombu.transport']",
        "SourceFileLoader SourceFileLoader",
    ]


def test_unpatch_before_boto3_is_imported() -> None:
    printed = alone(
        """
        import sys
        before = sys.meta_path.copy()
        import turbosqs
        with turbosqs.patched():
            assert sys.meta_path != before
        print(sys.meta_path == before)
        """
    )
    assert printed == "True\n"


def test_without_boto3() -> None:
    printed = alone(
        """
        import turbosqs, turbosqs.patching.hook as hook
        hook.find_spec = lambda name: None
        for way in (turbosqs.patch, turbosqs.patched().__enter__):
            try:
                way()
            except ModuleNotFoundError as error:
                print(error.name, "|", error)
        turbosqs.unpatch()
        """
    )
    assert printed == 2 * "botocore | patch() puts boto3's clients on the core and needs boto3: pip install boto3\n"
