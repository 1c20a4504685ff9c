"""The client's surface (names, signatures, texts, meta) against a boto3 client's; nothing here sends a request."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import re
import sys
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import boto3
import botocore
import pytest
import turbosqs.types
from botocore.config import Config as BotocoreConfig
from support.libraries import name_of
from support.libraries import ours as is_ours
from turbosqs import service_model
from turbosqs._operations import ERRORS, METHOD_TO_API
from turbosqs.meta import Events
from turbosqs.sqs import SQS


class FakeCore:
    """Stands in for the Rust client: answers with what it was asked, and with who asked."""

    region_name = "eu-central-1"
    endpoint_url = "https://sqs.eu-central-1.amazonaws.com"
    partition = "aws"
    general: ClassVar[dict[str, str]] = {}
    timeouts = (60.0, 60.0)
    variants = (False, False)
    retry_mode = "standard"

    def __init__(self) -> None:
        self.closed = 0
        self.flushed = 0

    def call(self, operation: str, params: dict[str, Any], _: int) -> dict[str, Any]:
        callers = sys._getframe(1), sys._getframe(2)
        return {"operation": operation, "params": params, "callers": [frame.f_code.co_name for frame in callers]}

    def presign(self, *arguments: Any) -> str:
        return repr(arguments)

    def credentials(self) -> tuple[str, str, None, None, str]:
        return "a", "b", None, None, "explicit"

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        assert self.flushed > self.closed, "what waits is sent first"
        self.closed += 1


@pytest.fixture
def ours() -> Any:
    return SQS(FakeCore())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def theirs() -> Any:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
    return session.client("sqs", region_name="eu-central-1")


METHODS = sorted(METHOD_TO_API)


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def refusal(work: Any) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the two sides are compared, whatever it is
        work()
    return type(caught.value), str(caught.value)


# --- operations ----------------------------------------------------------------------------------------------------


def test_the_client_has_every_public_name_of_boto3s(ours: Any, theirs: Any) -> None:
    assert public(theirs) - public(ours) == set()
    assert type(ours).__name__ == type(theirs).__name__ == "SQS"


@pytest.mark.parametrize("method", METHODS)
def test_an_operation_reaches_the_core_through_two_frames(ours: Any, method: str) -> None:
    reply = getattr(ours, method)(QueueUrl="u", Other=[1])
    assert reply["operation"] == METHOD_TO_API[method]
    assert reply["params"] == {"QueueUrl": "u", "Other": [1]}
    # The method itself, and the one that turns the core's failures into exceptions.
    assert reply["callers"] == ["_make_api_call", method]


@pytest.mark.parametrize("arguments", [(1,), ({"QueueUrl": "u"},), (None, 2)], ids=repr)
@pytest.mark.parametrize("method", METHODS)
def test_positional_arguments_are_refused_in_boto3s_words(ours: Any, theirs: Any, method: str, arguments: Any) -> None:
    mine, original = (refusal(lambda c=c: getattr(c, method)(*arguments)) for c in (ours, theirs))
    assert mine == original


@pytest.mark.parametrize("method", METHODS)
def test_an_operation_looks_like_boto3s(ours: Any, theirs: Any, method: str) -> None:
    mine, original = getattr(ours, method), getattr(theirs, method)
    assert mine.__name__ == original.__name__ == method
    assert inspect.ismethod(mine)


@pytest.mark.skipif(not is_ours("signatures"), reason="(*args, **kwargs)")
@pytest.mark.parametrize("method", METHODS)
def test_the_signature_of_an_operation_has_its_arguments(ours: Any, theirs: Any, method: str) -> None:
    shape = theirs.meta.service_model.operation_model(METHOD_TO_API[method]).input_shape
    refusing, *parameters = inspect.signature(getattr(ours, method)).parameters.values()
    # To be refused in boto3's words.
    assert refusing.kind is refusing.VAR_POSITIONAL
    assert [each.name for each in parameters] == list(shape.members)
    assert {each.name for each in parameters if each.default is each.empty} == set(shape.required_members)
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    # What is told of a method is told of what takes its place.
    wrapper = functools.wraps(getattr(ours, method))(lambda **kwargs: kwargs)
    assert inspect.signature(wrapper) == inspect.signature(getattr(ours, method))


@pytest.mark.parametrize("method", METHODS)
def test_an_operation_documents_its_model_in_our_words(ours: Any, theirs: Any, method: str) -> None:
    model = theirs.meta.service_model.operation_model(METHOD_TO_API[method])
    text = inspect.getdoc(getattr(ours, method))
    assert text is not None
    for name in model.input_shape.members:
        line = re.search(rf"^    {name}: (.+)$", text, re.MULTILINE)
        assert line is not None, name
        assert line[1].endswith(", required") == (name in model.input_shape.required_members)
    for name in model.output_shape.members if model.output_shape else ():
        assert f"\n    {name}: " in text
    for shape in model.error_shapes:
        assert re.search(rf"\b{shape.name}\b", text)
    sentence = text.partition("\n")[0]
    assert sentence.rstrip(".") not in re.sub(r"<[^>]*>", "", model.documentation)


def test_instrumentation_may_replace_what_it_likes(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours._make_api_call = lambda operation, params: ("wrapped", operation, params)
    assert ours.send_message(QueueUrl="u") == ("wrapped", "SendMessage", {"QueueUrl": "u"})
    ours.send_message = lambda **kwargs: kwargs
    assert ours.send_message(a=1) == {"a": 1}
    monkeypatch.setattr(SQS, "list_queues", lambda *_, **__: "class")
    assert ours.list_queues() == "class"


def test_a_call_by_operation_name(ours: Any) -> None:
    assert ours._make_api_call("SendMessage", {"a": 1})["params"] == {"a": 1}


# --- the rest of a client ------------------------------------------------------------------------------------------


def test_an_unknown_attribute_is_refused_in_boto3s_words(ours: Any, theirs: Any) -> None:
    assert refusal(lambda: ours.send_mesage) == refusal(lambda: theirs.send_mesage)
    assert refusal(lambda: ours.__enter__) == refusal(lambda: theirs.__enter__)


@pytest.mark.parametrize("name", [*METHODS, "nope", "ListQueues", ""])
def test_what_can_be_paginated(ours: Any, theirs: Any, name: str) -> None:
    def answer(client: Any) -> Any:
        try:
            return client.can_paginate(name)
        except KeyError as error:
            return repr(error)

    assert answer(ours) == answer(theirs)


@pytest.mark.parametrize("name", ["send_message", "nope"])
def test_no_paginator(ours: Any, theirs: Any, name: str) -> None:
    assert refusal(lambda: ours.get_paginator(name)) == refusal(lambda: theirs.get_paginator(name))


def test_a_paginator_calls_the_clients_method(ours: Any) -> None:
    ours.list_queues = lambda **kwargs: {"QueueUrls": [str(kwargs)]}
    assert ours.get_paginator("list_queues").paginate(QueueNamePrefix="p").build_full_result() == {
        "QueueUrls": ["{'QueueNamePrefix': 'p'}"]
    }


def test_no_waiters(ours: Any, theirs: Any) -> None:
    assert ours.waiter_names == theirs.waiter_names == []
    assert refusal(lambda: ours.get_waiter("queue_exists")) == refusal(lambda: theirs.get_waiter("queue_exists"))


def test_presigning(ours: Any, theirs: Any) -> None:
    mine, original = (inspect.signature(client.generate_presigned_url).parameters for client in (ours, theirs))
    assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in original.values()]
    assert ours.generate_presigned_url("list_queues") == "('ListQueues', {}, 3600, None)"
    assert ours.generate_presigned_url("get_queue_url", {"QueueName": "q"}, 60, "GET") == (
        "('GetQueueUrl', {'QueueName': 'q'}, 60, 'GET')"
    )


@pytest.mark.parametrize("name", ["nope", "SendMessage", None])
def test_presigning_an_unknown_method(ours: Any, theirs: Any, name: Any) -> None:
    mine, original = (refusal(lambda c=c: c.generate_presigned_url(name)) for c in (ours, theirs))
    assert mine == original


def test_a_client_is_not_pickled_nor_copied(ours: Any, theirs: Any) -> None:
    assert refusal(lambda: pickle.dumps(theirs))[0] is pickle.PicklingError
    for work in (pickle.dumps, copy.copy, copy.deepcopy):
        cls, text = refusal(lambda work=work: work(ours))
        assert cls is pickle.PicklingError
        assert "Make one where it is used" in text


def test_close_leaves_the_client_usable(ours: Any) -> None:
    ours.close()
    ours.close()
    assert ours._core.closed == 2
    assert ours.list_queues()["operation"] == "ListQueues"


def test_the_errors_are_those_of_every_client(ours: Any) -> None:
    assert ours.exceptions is SQS(FakeCore()).exceptions  # type: ignore[arg-type]
    assert issubclass(ours.exceptions.QueueDoesNotExist, ours.exceptions.ClientError)


# --- meta ----------------------------------------------------------------------------------------------------------


def test_meta(ours: Any, theirs: Any) -> None:
    assert public(ours.meta) == public(theirs.meta)
    assert type(ours.meta).__name__ == type(theirs.meta).__name__
    for name in ("region_name", "endpoint_url", "partition", "method_to_api_mapping"):
        assert getattr(ours.meta, name) == getattr(theirs.meta, name), name
    assert type(ours.meta.service_model) is type(theirs.meta.service_model)
    assert ours.meta.service_model is ours.meta.service_model
    assert ours.meta.service_model.operation_names == theirs.meta.service_model.operation_names


@pytest.mark.parametrize("cls", [BotocoreConfig, turbosqs.Config])
def test_the_config_in_force_names_the_region(cls: Any) -> None:
    given = cls(read_timeout=7)
    given.user_agent_extra = "set later"
    config = SQS(FakeCore(), given).meta.config  # type: ignore[arg-type]
    assert type(config) is cls
    assert (config.read_timeout, config.user_agent_extra, config.region_name) == (7, "set later", "eu-central-1")
    assert given.region_name is None


SETTINGS = ("region_name", "signature_version", "retries", "read_timeout", "connect_timeout", "max_pool_connections")


@pytest.mark.parametrize("environment", [{}, {"AWS_MAX_ATTEMPTS": "7"}, {"AWS_RETRY_MODE": "adaptive"}], ids=repr)
@pytest.mark.parametrize("profile", [None, "retrying"])
@pytest.mark.parametrize(
    "options",
    [
        None,
        {},
        {"retries": {"max_attempts": 2}},
        {"retries": {"total_max_attempts": 2, "max_attempts": 5}},
        {"retries": {"mode": "legacy"}, "read_timeout": 5},
        {"region_name": "eu-west-3", "signature_version": "v4"},
        {"signature_version": botocore.UNSIGNED},
    ],
    ids=name_of,
)
def test_the_config_in_force(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: Any, profile: str | None, options: Any
) -> None:
    (tmp_path / "config").write_text("[profile retrying]\nmax_attempts = 9\nretry_mode = legacy\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = None if options is None else BotocoreConfig(**options)
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", profile_name=profile)
    theirs = session.client("sqs", region_name="eu-central-1", config=config).meta.config
    session = turbosqs.Session(aws_access_key_id="a", aws_secret_access_key="b", profile_name=profile)
    ours = session.client("sqs", region_name="eu-central-1", config=config).meta.config
    assert {name: getattr(ours, name) for name in SETTINGS} == {name: getattr(theirs, name) for name in SETTINGS}


def test_the_config_in_force_where_none_was_given(ours: Any) -> None:
    assert type(ours.meta.config) is turbosqs.Config
    assert ours.meta.config is ours.meta.config


def test_the_events_are_botocores(ours: Any, theirs: Any) -> None:
    assert type(ours.meta.events) is type(theirs.meta.events)
    assert ours.meta.events is ours.meta.events


def test_events_without_botocore() -> None:
    events = Events()
    for register in (events.register, events.register_first, events.register_last):
        with pytest.raises(
            ModuleNotFoundError, match=r"'before-send.sqs' is called by botocore, .*: pip install boto3"
        ):
            register("before-send.sqs", print, unique_id="x")
    events.unregister("before-send.sqs", print)
    assert events.emit("before-send.sqs", request=1) == []
    assert events.emit_until_response("before-send.sqs") == (None, None)


# --- the model without botocore ------------------------------------------------------------------------------------


def described(shape: Any) -> Any:
    if shape is None:
        return None
    match shape.type_name:
        case "structure":
            members = {name: described(member) for name, member in shape.members.items()}
            return shape.name, members, list(shape.required_members)
        case "list":
            return shape.name, [described(shape.member)]
        case "map":
            return shape.name, described(shape.key), described(shape.value)
        case scalar:
            return shape.name, scalar


def test_our_service_model_tells_what_botocores_tells(theirs: Any) -> None:
    mine, original = service_model.ServiceModel(), theirs.meta.service_model
    for name in ("service_name", "service_id", "api_version", "endpoint_prefix", "protocol", "operation_names"):
        assert getattr(mine, name) == getattr(original, name), name
    assert repr(mine) == repr(original)
    assert [described(shape) for shape in mine.error_shapes] == [described(shape) for shape in original.error_shapes]
    assert set(mine.shape_names) <= set(original.shape_names)
    for name in mine.operation_names:
        ours, operation = mine.operation_model(name), original.operation_model(name)
        assert ours.name == operation.name
        assert ours.service_model is mine
        assert described(ours.input_shape) == described(operation.input_shape)
        assert described(ours.output_shape) == described(operation.output_shape)
        assert [shape.name for shape in ours.error_shapes] == [shape.name for shape in operation.error_shapes]
    for name in mine.shape_names:
        assert described(mine.shape_for(name)) == described(original.shape_for(name))
    assert [shape.name for shape in mine.error_shapes] == list(ERRORS)


# --- types ---------------------------------------------------------------------------------------------------------


def test_every_request_has_a_type_that_fits_the_model(theirs: Any) -> None:
    model = theirs.meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        typed = getattr(turbosqs.types, shape.name)
        assert set(get_type_hints(typed)) == set(shape.members), name
        assert typed.__required_keys__ == set(shape.required_members), name


def test_every_reply_has_a_type_that_fits_the_model(theirs: Any) -> None:
    model = theirs.meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).output_shape
        typed = getattr(turbosqs.types, shape.name if shape else "EmptyResult")
        assert set(get_type_hints(typed)) == {*(shape.members if shape else ()), "ResponseMetadata"}, name
        assert "ResponseMetadata" in typed.__required_keys__


PROGRAM = """
import turbosqs
from turbosqs.types import Message

sqs = turbosqs.client("sqs", region_name="eu-central-1")
reveal_type(sqs.send_message(QueueUrl="u", MessageBody="b")["MessageId"])
reveal_type(sqs.receive_message(QueueUrl="u").get("Messages"))
sqs.send_message(QueueUrl="u", MessageBody="b", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b""}})
sqs.send_message_batch(QueueUrl="u", Entries=[{"Id": "0", "MessageBody": "b"}])
reveal_type(turbosqs.client("s3"))
reveal_type((turbosqs.client(service_name="sqs"), turbosqs.Session().client("sqs", "x", None, True, config=None)))
reveal_type((turbosqs.aio.client("sqs", "x", telemetry=True), turbosqs.aio.client("s3"), turbosqs.resource("sqs", "x")))
try:
    sqs.purge_queue(QueueUrl="u")
except sqs.exceptions.QueueDoesNotExist as error:
    reveal_type(error.response)
except turbosqs.exceptions.EndpointConnectionError as error:
    reveal_type(error.kwargs)
async def awaiting() -> None:
    async with turbosqs.aio.client("sqs") as awaitable:
        reveal_type(awaitable)
        reveal_type((await awaitable.list_queues()).get("QueueUrls"))
        async for page in awaitable.get_paginator("list_queues").paginate():
            print(page["QueueUrls"])
sqs.send_message(QueueUrl="u")
sqs.send_message(QueueUrl="u", MessageBody=b"b")
sqs.send_message("u", "b")
sqs.send_mesage(QueueUrl="u", MessageBody="b")
turbosqs.aio.client("sqs").send_message(QueueUrl="u")
turbosqs.client("sqs", regoin="x")
turbosqs.aio.client("sqs", batcing=True)
turbosqs.aio.client("sqs", 5)
turbosqs.exceptions.EndpointConectionError
"""
EXPECTED = [
    'Revealed type is "str"',
    'Revealed type is "list[TypedDict(turbosqs._annotations.own.MessageTypeDef, {',
    'Revealed type is "Any"',
    'Revealed type is "tuple[turbosqs.sqs.SQS, turbosqs.sqs.SQS]"',
    'Revealed type is "tuple[turbosqs.aio.sqs.SQS, Any, turbosqs._annotations.resources.Resource]"',
    'Revealed type is "TypedDict(turbosqs.types.ErrorResponse, {',
    'Revealed type is "dict[str, Any]"',
    'Revealed type is "turbosqs.aio.sqs.SQS"',
    'Revealed type is "list[str] | None"',
    'Missing named argument "MessageBody"',
    'Argument "MessageBody" to "send_message" of "Operations" has incompatible type "bytes"; expected "str"',
    'Argument 1 to "send_message" of "Operations" has incompatible type "str"; expected "Never"',
    'Missing named argument "MessageBody" for "send_message" of "AsyncOperations"',
    '"SQS" has no attribute "send_mesage"',
    'Unexpected keyword argument "regoin"',
    'Unexpected keyword argument "batcing"',
    'No overload variant matches argument types "str", "int"',
    'Module has no attribute "EndpointConectionError"',
]


def test_type_checkers_know_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPY_CONFIG_FILE_DIR", "mypy sets it")
    api = pytest.importorskip("mypy.api")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    out, err, _ = api.run([str(program), "--strict", "--no-pretty", "--cache-dir", str(tmp_path / "cache")])
    assert err == ""
    for text in EXPECTED:
        assert text in out, out
    # What is right is not complained of: the first complaint is about the first wrong line.
    wrong = PROGRAM.splitlines().index('sqs.send_message(QueueUrl="u")') + 1
    assert min(map(int, re.findall(r":(\d+): error", out))) == wrong
