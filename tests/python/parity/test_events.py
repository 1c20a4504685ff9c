"""botocore's events on our clients as on boto3's: which are emitted, with what, and what handlers change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from support.fakes import HANG_UP, Reply, Scripted, fault, ok
from support.libraries import BOTO3, KEYS, SUBJECT, Library, name_of
from support.observe import Raised, alike, outcome, same
from turbosqs.patching.listeners import EVENTS

Pair = tuple[Any, Any]


def arrived(server: Scripted) -> list[Any]:
    """What of each request arrives, without what the libraries say about themselves and when."""
    wanted = ("x-mine", "x-amz-target", "content-type")
    return [
        [
            request.method,
            request.json,
            {name: request.headers.get(name) for name in wanted},
            "authorization" in request.headers,
        ]
        for request in server.requests
    ]


def compare(
    server: Scripted, pair: Pair, listen: Callable[[Any, list[Any]], Any], *replies: Reply, **arguments: Any
) -> list[Any]:
    """One call of each, with handlers of its own: what it comes to, what was heard, and what arrived."""
    seen = []
    for client in pair:
        server.play(*(replies or [ok(QueueUrl="u")]))
        heard: list[Any] = []
        listen(client.meta.events, heard)
        result = outcome(client.get_queue_url, **(arguments or {"QueueName": "q"}))
        seen.append([result, heard, arrived(server)])
    same(*seen)
    return seen[1]


def note(heard: list[Any]) -> Callable[..., None]:
    def handler(event_name: str, **arguments: Any) -> None:
        heard.append((event_name, sorted(arguments)))

    return handler


def everything(events: Any, heard: list[Any]) -> None:
    for event in EVENTS:
        events.register(event, note(heard))


@pytest.mark.parametrize(
    "replies",
    [
        (ok(QueueUrl="u"),),
        (fault(400, "com.amazonaws.sqs#QueueDoesNotExist", "gone", "AWS.SimpleQueueService.NonExistentQueue;Sender"),),
        (fault(503), ok(QueueUrl="u")),
        (HANG_UP, ok(QueueUrl="u")),
    ],
    ids=["success", "refusal", "one retry", "one lost"],
)
def test_all_events(scripted: Scripted, pair: Pair, replies: tuple[Reply, ...]) -> None:
    heard = compare(scripted, pair, everything, *replies)[1]
    assert {name.partition(".")[0] for name, _ in heard} >= set(EVENTS) - {"after-call-error"}


def test_all_events_of_a_call_that_does_not_fit(scripted: Scripted, pair: Pair) -> None:
    compare(scripted, pair, everything, QueueName=5)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event(event: str, scripted: Scripted, pair: Pair) -> None:
    """Under its full name and under every shorter one."""
    for name in (event, f"{event}.sqs", f"{event}.sqs.GetQueueUrl", f"{event}.*.GetQueueUrl", f"{event}.sqs.Nonsense"):
        compare(scripted, pair, lambda events, heard, name=name: events.register(name, note(heard)))  # type: ignore[misc]


def _other_params(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "QueueOwnerAWSAccountId": "1"}


def _changed_params(params: dict[str, Any], **_: Any) -> None:
    params["QueueName"] = "changed"


def _header(request: Any = None, params: Any = None, **_: Any) -> None:
    (request.headers if request is not None else params["headers"])["X-Mine"] = "yes"


def _answer(**_: Any) -> Any:
    return type("Http", (), {"status_code": 200})(), {"QueueUrl": "before the call"}


def _raw(request: Any, **_: Any) -> AWSResponse:
    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield b'{"QueueUrl": "before sending"}'

    return AWSResponse(request.url, 200, {}, Raw())


def _added(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Added"] = 5


def _raised(**_: Any) -> None:
    raise ZeroDivisionError("mine")


CHANGES: dict[str, tuple[str, Any]] = {
    "params": ("provide-client-params.sqs.GetQueueUrl", _other_params),
    "params that do not fit": ("provide-client-params.sqs.GetQueueUrl", lambda **_: {"QueueName": 5}),
    "params in place": ("before-parameter-build.sqs.GetQueueUrl", _changed_params),
    "a header before the call": ("before-call.sqs.GetQueueUrl", _header),
    "a header of the request": ("request-created.sqs.GetQueueUrl", _header),
    "a header before it is signed": ("before-sign.sqs.GetQueueUrl", _header),
    "a header before it is sent": ("before-send.sqs.GetQueueUrl", _header),
    "an answer before the call": ("before-call.sqs.GetQueueUrl", _answer),
    "an answer before it is sent": ("before-send.sqs.GetQueueUrl", _raw),
    "a changed reply": ("after-call.sqs.GetQueueUrl", _added),
    "an exception": ("before-send.sqs.GetQueueUrl", _raised),
    "an exception after the call": ("after-call.sqs.GetQueueUrl", _raised),
    "nothing is signed": ("choose-signer.sqs.GetQueueUrl", lambda **_: botocore.UNSIGNED),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_handler_changes(name: str, scripted: Scripted, pair: Pair) -> None:
    event, handler = CHANGES[name]
    compare(scripted, pair, lambda events, _: events.register(event, handler))


def test_retries_that_a_handler_asks_for(scripted: Scripted, pair: Pair) -> None:
    """It is botocore's own loop that asks it."""

    def once(attempts: int, **_: Any) -> int | None:
        return 0 if attempts == 1 else None

    seen = compare(scripted, pair, lambda events, _: events.register("needs-retry.sqs.GetQueueUrl", once))
    assert len(seen[2]) == 2


def test_a_failure_is_told_of(scripted: Scripted, pair: Pair) -> None:
    def told(events: Any, heard: list[Any]) -> None:
        events.register("before-send", _raised)
        events.register("after-call-error", lambda exception, **_: heard.append(repr(exception)))

    assert compare(scripted, pair, told)[1] == ["ZeroDivisionError('mine')"]


def test_the_order_of_handlers(scripted: Scripted, pair: Pair) -> None:
    def in_order(events: Any, heard: list[Any]) -> None:
        for register, word in ((events.register_last, 3), (events.register, 2), (events.register_first, 1)):
            register("before-call.sqs", lambda word=word, **_: heard.append(word), unique_id=f"mine-{word}")
            # The same again is one.
            register("before-call.sqs", lambda **_: None, unique_id=f"mine-{word}")

    assert compare(scripted, pair, in_order)[1] == [1, 2, 3]


@pytest.mark.parametrize("arguments", [("before-call", 5), ("before-call", lambda: None), ("before-call",), (5, print)])
def test_what_is_no_handler(arguments: tuple[Any, ...], pair: Pair) -> None:
    alike(lambda client: client.meta.events.register(*arguments), pair)


def test_one_that_is_taken_out(scripted: Scripted, pair: Pair) -> None:
    heard: list[Any] = []
    for client in pair:
        scripted.play(ok(QueueUrl="u"))
        handler = note(heard)
        client.meta.events.register("before-call", handler, unique_id="mine")
        client.get_queue_url(QueueName="q")
        client.meta.events.unregister("before-call", handler, unique_id="mine")
        client.meta.events.unregister("before-call", print)
        client.get_queue_url(QueueName="q")
    assert len(heard) == 2
    if SUBJECT.name == "turbosqs":
        _, subject = pair
        assert list(subject.stats()["botocore"].values()) == [1]
        assert subject.stats()["requests"] == {"GetQueueUrl": 1}


def test_a_presigned_url(pair: Pair) -> None:
    def look(client: Any) -> Any:
        client.meta.events.register("provide-client-params.sqs.GetQueueUrl", _other_params)
        url = client.generate_presigned_url("get_queue_url", {"QueueName": "q"})
        return url.partition("?")[2].partition("&X-Amz-Date")[0]

    alike(look, pair)


SETTINGS: list[dict[str, Any]] = [
    {"parameter_validation": False},
    {"user_agent_extra": "mine/1"},
    {"retries": {"total_max_attempts": 1}},
    {"retries": {"mode": "legacy", "max_attempts": 1}},
    {"read_timeout": 0.2},
    {"signature_version": botocore.UNSIGNED},
    {"ignore_configured_endpoint_urls": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_a_call_that_is_listened_to_has_the_clients_settings(settings: dict[str, Any], scripted: Scripted) -> None:
    slow = [Reply(delay=1)] if "read_timeout" in settings else [fault(503)]
    clients = [
        library.client(scripted.url, config=botocore.config.Config(**settings), aws_session_token="t")
        for library in (BOTO3, SUBJECT)
    ]
    arguments: dict[str, Any] = {"QueueName": 5} if "parameter_validation" in settings else {"QueueName": "q"}
    requests = compare(scripted, tuple(clients), everything, *slow, **arguments)[2]
    assert requests


def test_it_has_the_clients_environment(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the moment when the client was made, as boto3's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "early")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "early")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", scripted.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    clients = [library.bare(region_name="us-east-1") for library in (BOTO3, SUBJECT)]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    for client in clients:
        scripted.play(ok(QueueUrl="u"))
        client.meta.events.register("before-send", lambda **_: None)
        client.get_queue_url(QueueName="q")
        (request,) = scripted.requests
        assert "Credential=early/" in request.headers["authorization"]


def session_with(library: Library, **options: Any) -> Any:
    return library.session(**KEYS, region_name="us-east-1", **options)


def test_handlers_of_a_session(scripted: Scripted) -> None:
    """Clients have those that were there when they were made, and later ones not."""
    seen = []
    for library in (BOTO3, SUBJECT):
        scripted.play(ok(QueueUrl="u"))
        heard: list[Any] = []
        session = session_with(library)
        clients = [session.client("sqs", endpoint_url=scripted.url)]
        for name in ("before-call.sqs", "before-send.*.GetQueueUrl"):
            session.events.register(name, note(heard))
            clients.append(session.client("sqs", endpoint_url=scripted.url))
        counts = []
        for client in clients:
            before = len(heard)
            client.get_queue_url(QueueName="q")
            counts.append(len(heard) - before)
        seen.append([counts, heard])
        assert counts == [0, 1, 2], library.name
    same(*seen)


def botocore_session() -> Any:
    given = botocore.session.Session()
    given.set_config_variable("region", "eu-west-3")
    given.set_credentials("theirs", "s", "token")
    given.set_default_client_config(botocore.config.Config(retries={"total_max_attempts": 1}, user_agent_extra="mine"))
    given.user_agent_extra = "by-session/1"
    return given


def test_a_botocore_session(scripted: Scripted) -> None:
    """Its region, credentials, configuration and handlers."""
    seen = []
    for library in (BOTO3, SUBJECT):
        scripted.play(fault(503))
        heard: list[Any] = []
        given = botocore_session()
        given.register("before-call.sqs.ListQueues", note(heard))
        session = library.module.Session(botocore_session=given)
        client = session.client("sqs", endpoint_url=scripted.url)
        results = [outcome(client.get_queue_url, QueueName="q"), outcome(client.list_queues)]
        for request in scripted.requests:
            authorization = request.headers["authorization"]
            assert "Credential=theirs/" in authorization
            assert "/eu-west-3/sqs/" in authorization
            assert request.headers["x-amz-security-token"] == "token"
            assert "mine" in request.headers["user-agent"]
            assert "by-session/1" in request.headers["user-agent"]
        meta = client.meta
        about = [meta.region_name, meta.endpoint_url, meta.partition, meta.config.retries, session.region_name]
        seen.append([results, heard, len(scripted.requests), about])
        assert isinstance(results[0], Raised)
    same(*seen)


def test_a_botocore_session_without_credentials_or_region(scripted: Scripted) -> None:
    def call(library: Library) -> Any:
        session = library.module.Session(botocore_session=botocore.session.Session())
        return session.client("sqs", "us-east-1", endpoint_url=scripted.url).list_queues()

    assert isinstance(alike(call), Raised)
    assert isinstance(
        alike(lambda library: library.module.Session(botocore_session=botocore.session.Session()).client("sqs")), Raised
    )
