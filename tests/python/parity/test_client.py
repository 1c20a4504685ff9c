"""The rest of a client: ``meta``, ``exceptions``, paginators, waiters, ``close``, and what Python may do with one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest
from support.arguments import OPERATIONS, model
from support.fakes import Scripted, fault, ok
from support.libraries import BOTO3, SUBJECT, Library
from support.observe import Raised, Returned, alike, outcome, same

Pair = tuple[Any, Any]


def compare(pair: Pair, look: Callable[[Any], Any]) -> None:
    """A look at both comes to the same."""
    alike(look, pair)


META: dict[str, Callable[[Any], Any]] = {
    "region": lambda client: client.meta.region_name,
    "endpoint": lambda client: client.meta.endpoint_url,
    "partition": lambda client: client.meta.partition,
    "methods": lambda client: client.meta.method_to_api_mapping,
    "service": lambda client: client.meta.service_model.service_name,
    "service id": lambda client: str(client.meta.service_model.service_id),
    "api version": lambda client: client.meta.service_model.api_version,
    "operations": lambda client: list(client.meta.service_model.operation_names),
    "signing name": lambda client: client.meta.service_model.signing_name,
    "endpoint prefix": lambda client: client.meta.service_model.endpoint_prefix,
    "connect timeout": lambda client: client.meta.config.connect_timeout,
    "read timeout": lambda client: client.meta.config.read_timeout,
    "pool": lambda client: client.meta.config.max_pool_connections,
    "region of the config": lambda client: client.meta.config.region_name,
    "signature": lambda client: client.meta.config.signature_version,
    "validation": lambda client: client.meta.config.parameter_validation,
    "retries": lambda client: client.meta.config.retries,
    "proxies": lambda client: client.meta.config.proxies,
    "proxy settings": lambda client: client.meta.config.proxies_config,
    "extra": lambda client: client.meta.config.user_agent_extra,
    "application": lambda client: client.meta.config.user_agent_appid,
    "client certificate": lambda client: client.meta.config.client_cert,
    "keepalive": lambda client: client.meta.config.tcp_keepalive,
    "fips": lambda client: client.meta.config.use_fips_endpoint,
    "dualstack": lambda client: client.meta.config.use_dualstack_endpoint,
    "ignored endpoints": lambda client: client.meta.config.ignore_configured_endpoint_urls,
    "an unknown setting": lambda client: client.meta.config.nonsense,
    "an unknown fact": lambda client: client.meta.nonsense,
}


@pytest.mark.parametrize("name", META)
def test_meta(name: str, pair: Pair) -> None:
    compare(pair, META[name])


CONFIGS: list[dict[str, Any]] = [
    {},
    {"region_name": "eu-west-1"},
    {"connect_timeout": 1.5, "read_timeout": 2},
    {"max_pool_connections": 50},
    {"retries": {"max_attempts": 3}},
    {"retries": {"total_max_attempts": 3, "mode": "adaptive"}},
    {"user_agent": "mine/1.0", "user_agent_extra": "more", "user_agent_appid": "app"},
    {"proxies": {"http": "http://127.0.0.1:1"}, "client_cert": "a.pem"},
    {"nonsense": 1},
    {"nonsense": 1, "more": 2},
    {"signature_version": "v4"},
    {"parameter_validation": False},
    {"tcp_keepalive": True},
    {"inject_host_prefix": False},
    {"use_dualstack_endpoint": True, "use_fips_endpoint": True},
    {"s3": {"addressing_style": "nonsense"}},
    {"connect_timeout": "soon"},
]
SETTINGS = (
    "region_name",
    "signature_version",
    "user_agent",
    "user_agent_extra",
    "user_agent_appid",
    "connect_timeout",
    "read_timeout",
    "parameter_validation",
    "max_pool_connections",
    "proxies",
    "proxies_config",
    "retries",
    "client_cert",
    "inject_host_prefix",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
    "ignore_configured_endpoint_urls",
    "tcp_keepalive",
)


@pytest.mark.parametrize("settings", CONFIGS, ids=str)
def test_config(settings: dict[str, Any]) -> None:
    """A Config has botocore's attributes and defaults, and refuses what botocore's refuses."""
    alike(lambda library: facts(library.config(**settings)))


def facts(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SETTINGS}


def test_config_by_position() -> None:
    alike(lambda library: facts(library.config("eu-west-1", "v4")))


@pytest.mark.parametrize("other", CONFIGS, ids=str)
def test_config_merge(other: dict[str, Any]) -> None:
    def merged(config: Any) -> dict[str, Any]:
        return facts(config(read_timeout=9, retries={"max_attempts": 7}).merge(config(**other)))

    alike(lambda library: merged(library.config))


def test_botocores_config_is_taken(scripted: Scripted) -> None:
    """The subject takes botocore's own Config, and what it says holds."""
    scripted.play(fault(503))
    config = BOTO3.config(retries={"total_max_attempts": 1}, user_agent_extra="mine/1.0")
    client = SUBJECT.client(scripted.url, config=config)
    with pytest.raises(botocore.exceptions.ClientError):
        client.list_queues()
    assert len(scripted.requests) == 1
    assert "mine/1.0" in scripted.requests[0].headers["user-agent"]


@pytest.mark.parametrize("config", [{"read_timeout": 1}, 5, "config"], ids=repr)
def test_a_config_that_is_none(config: Any, library: Library, scripted: Scripted) -> None:
    """Something else for a Config is refused before anything is asked."""
    scripted.play()
    assert isinstance(outcome(lambda: library.client(scripted.url, config=config).list_queues()), Raised)
    assert scripted.requests == []


def test_exceptions(pair: Pair) -> None:
    """28 modelled classes and ClientError, found by name and by code, with the same ancestors and texts."""
    names = [shape.name for shape in model().error_shapes]
    assert len(names) == 28
    codes = [shape.metadata.get("error", {}).get("code", shape.name) for shape in model().error_shapes]

    def look(client: Any) -> Any:
        exceptions = client.exceptions
        kinds = [getattr(exceptions, name) for name in names]
        return {
            "names": [kind.__name__ for kind in kinds],
            "ancestors": [[base.__qualname__ for base in kind.__mro__] for kind in kinds],
            "modules": [kind.__module__ for kind in kinds],
            "by code": [exceptions.from_code(code).__name__ for code in (*codes, *names, "Nonsense", "", None, 5)],
            "the same": exceptions is client.exceptions
            and exceptions.from_code(codes[0]) is exceptions.from_code(codes[0]),
            "ClientError": exceptions.ClientError is botocore.exceptions.ClientError,
            "text": str(kinds[0]({"Error": {"Code": "c", "Message": "m"}}, "Operation")),
        }

    compare(pair, look)


@pytest.mark.parametrize("name", ["Nonsense", "NoSuchBucket", "_private", "QueueDoesNotExistException", "AWS"])
def test_an_unknown_exception(name: str, pair: Pair) -> None:
    compare(pair, lambda client: getattr(client.exceptions, name))


def test_an_exception_made_by_hand(pair: Pair) -> None:
    """Tests of programs raise them like this."""
    response = {
        "Error": {"Code": "Old.Code", "Message": "text"},
        "ResponseMetadata": {"RetryAttempts": 2, "MaxAttemptsReached": True},
    }

    def look(client: Any) -> None:
        raise client.exceptions.QueueDoesNotExist(response, "SendMessage")

    compare(pair, look)


def test_paginators(pair: Pair) -> None:
    compare(pair, lambda client: {method: client.can_paginate(method) for method in OPERATIONS})


@pytest.mark.parametrize("name", ["send_message", "nonsense", "ListQueues", "", 5, None])
def test_what_cannot_be_paginated(name: Any, pair: Pair) -> None:
    compare(pair, lambda client: client.can_paginate(name))
    compare(pair, lambda client: client.get_paginator(name))


TOKENS = ok(QueueUrls=["a"], NextToken="more"), ok(QueueUrls=["b"], NextToken="and more"), ok(QueueUrls=["c"])
WALKS: dict[str, Callable[[Any], Any]] = {
    "pages": lambda paginate: list(paginate()),
    "whole": lambda paginate: paginate().build_full_result(),
    "search": lambda paginate: list(paginate().search("QueueUrls[]")),
    "search for two": lambda paginate: list(paginate().search("{urls: QueueUrls, token: NextToken}")),
    "a search that is wrong": lambda paginate: list(paginate().search("QueueUrls[")),
    "twice": lambda paginate: [list(pages) + list(pages) for pages in [paginate()]],
    "two items": lambda paginate: list(paginate(PaginationConfig={"MaxItems": 2})),
    "where it stopped": lambda paginate: [
        (p.build_full_result(), p.resume_token) for p in [paginate(PaginationConfig={"MaxItems": 2})]
    ],
    "a token set": lambda paginate: [
        (setattr(p, "resume_token", {"NextToken": "x"}), p.resume_token)  # type: ignore[func-returns-value]
        for p in [paginate()]
    ],
    "a bad token set": lambda paginate: [setattr(p, "resume_token", "x") for p in [paginate()]],  # type: ignore[func-returns-value]
    "facts": lambda paginate: [[str(p.result_keys[0].expression), str(p.non_aggregate_part)] for p in [paginate()]],
    "no settings": lambda paginate: list(paginate(PaginationConfig=None)),
    "unknown settings": lambda paginate: list(paginate(PaginationConfig={"Nonsense": 1})),
    "a position": lambda paginate: list(paginate(5)),
    "a wrong argument": lambda paginate: list(paginate(Nonsense=5)),
    "page size": lambda paginate: list(paginate(PaginationConfig={"PageSize": 3}, MaxResults=7)),
    "a token": lambda paginate: list(paginate(PaginationConfig={"StartingToken": "start"})),
    "not yet asked": lambda paginate: paginate().resume_token,
}


@pytest.mark.parametrize("name", WALKS)
def test_pages(name: str, scripted: Scripted, pair: Pair) -> None:
    """What a paginator hands out, and what it asks for."""
    results = []
    for client in pair:
        scripted.play(*TOKENS)
        result = outcome(WALKS[name], client.get_paginator("list_queues").paginate)
        if name == "a position":
            # Python's own sentence names the function as its author wrote it.
            assert isinstance(result, Raised)
            result = Returned(type(result.error))
        results.append([result, [request.json for request in scripted.requests]])
    same(*results)


def test_the_same_token_twice(scripted: Scripted, pair: Pair) -> None:
    """A server that goes round in circles is a PaginationError."""
    results = []
    for client in pair:
        scripted.play(ok(QueueUrls=["a"], NextToken="same"))
        results.append(outcome(list, client.get_paginator("list_queues").paginate()))
    assert isinstance(results[0], Raised)
    same(*results)


def test_waiters(pair: Pair) -> None:
    compare(pair, lambda client: client.waiter_names)
    for name in ("queue_exists", "", None):
        compare(pair, lambda client, name=name: client.get_waiter(name))  # type: ignore[misc]


def test_close(pair: Pair) -> None:
    """A closed client opens again when it is used."""
    compare(pair, lambda client: [client.close(), client.close(), client.get_queue_url(QueueName="q")["QueueUrl"]])


def test_no_context_manager(pair: Pair) -> None:
    compare(pair, lambda client: hasattr(client, "__enter__"))


@pytest.mark.parametrize("name", ["nonsense", "sendMessage", "SendMessage", "_nonsense", "__nonsense__"])
def test_unknown_attributes(name: str, pair: Pair) -> None:
    compare(pair, lambda client: getattr(client, name))


def test_names(pair: Pair) -> None:
    """Everything public of boto3's client is there; what it is called, and the signatures that inspect sees."""
    boto3, subject = pair
    assert {name for name in dir(boto3) if not name.startswith("_")} <= set(dir(subject))
    compare(pair, lambda client: type(client).__name__)
    compare(pair, lambda client: [getattr(client, method).__name__ for method in OPERATIONS])
    for method in OPERATIONS:
        assert str(getattr(subject, method).__doc__).strip()


def test_no_pickle(pair: Pair) -> None:
    """A client does not leave its process."""
    for client in pair:
        with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
            pickle.dumps(client)


def test_set_attributes(pair: Pair) -> None:
    """Instrumentation replaces methods, on instances and on classes."""
    for client in pair:
        original = client.send_message
        client.send_message = lambda **arguments: ("wrapped", arguments)
        assert client.send_message(a=1) == ("wrapped", {"a": 1})
        client.send_message = original
        client.mine = "note"
        assert client.mine == "note"
        kind = type(client)
        kept = kind.list_queues
        kind.list_queues = lambda self, client=client, **arguments: (self is client, arguments)
        try:
            assert client.list_queues(x=1) == (True, {"x": 1})
        finally:
            kind.list_queues = kept


def test_identity(pair: Pair) -> None:
    """Clients are equal to themselves alone, and can be keys."""
    for client in pair:
        assert client in (client,)
        assert {client: 1}[client] == 1
        assert bool(client)
