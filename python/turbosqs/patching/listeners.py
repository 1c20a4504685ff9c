"""Who would miss a call that botocore does not make.

The answer is asked for at each call, so it is kept: handlers for as long as the emitter has the same lookup cache,
which it replaces whenever a handler comes or goes, and functions for as long as they are the same objects.
"""

import socket
import sys
from types import FunctionType, MethodType

from botocore import awsrequest, handlers  # type: ignore[import-untyped]
from botocore.client import BaseClient  # type: ignore[import-untyped]
from botocore.endpoint import Endpoint  # type: ignore[import-untyped]
from botocore.hooks import EventAliaser, HierarchicalEmitter  # type: ignore[import-untyped]
from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]
from botocore.signers import RequestSigner  # type: ignore[import-untyped]
from urllib3.connectionpool import HTTPConnectionPool

from .._core import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What happens in the course of a call, in its order.
EVENTS = (
    "provide-client-params",
    "before-parameter-build",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "before-parse",
    "response-received",
    "needs-retry",
    "after-call",
    "after-call-error",
)

#: botocore's objects whose methods are handlers of every client, by the module of their classes.
_OWN_MODULES = (
    "botocore.signers",
    "botocore.useragent",
    "botocore.retries.standard",
    "botocore.retries.adaptive",
    "botocore.retryhandler",
)

_METHODS: "dict[type, tuple[str, ...]]" = {
    BaseClient: (
        "_make_api_call",
        "_make_request",
        "_convert_to_request_dict",
        "_emit_api_params",
        "_resolve_endpoint_ruleset",
    ),
    Endpoint: (
        "make_request",
        "create_request",
        "prepare_request",
        "_send_request",
        "_get_response",
        "_do_get_response",
        "_needs_retry",
        "_send",
    ),
    RequestSigner: ("handler", "sign", "get_auth"),
    URLLib3Session: ("send",),
}
#: Names that none of a client's parts has of its own.
NAMES = frozenset(name for names in _METHODS.values() for name in names)

#: What carries a call to its connection, and what the connection is made with: where it is, its name there, the package
#: that it should be from, and the way of a call if it is not.
_CARRIERS = (
    # Those that this botocore has.
    *(
        (vars(owner), name, "botocore", "wrapped")
        for owner, names in _METHODS.items()
        for name in names
        if name in vars(owner)
    ),
    *((vars(awsrequest), name, "botocore", "wrapped") for name in ("AWSHTTPConnection", "AWSHTTPSConnection")),
    (vars(awsrequest.AWSHTTPConnectionPool), "ConnectionCls", "botocore", "wrapped"),
    (vars(awsrequest.AWSHTTPSConnectionPool), "ConnectionCls", "botocore", "wrapped"),
    # botocore's pools inherit it.
    (vars(HTTPConnectionPool), "urlopen", "urllib3", "wrapped"),
    *((vars(socket), name, "socket", "sockets") for name in ("socket", "getaddrinfo", "create_connection")),
)

# Over a state in which all of it was botocore's own, and Python's.
_watch: "Watch | None" = None


def replaced() -> "str | None":
    """Why calls have to take botocore's path, if somebody replaced what carries them; None if nobody did."""
    return None if _watch is not None and _watch.is_same() else _look()


def _look() -> "str | None":
    global _watch
    now = [(namespace, name, namespace.get(name)) for namespace, name, _, _ in _CARRIERS]
    for (_, _, value), (_, _, package, way) in zip(now, _CARRIERS, strict=True):
        if not _is_from(package, value):
            return way
    _watch = Watch(now)
    return None


def _is_from(package: str, value: "Any") -> bool:
    """Whether a function or a class was written there, and so was all that it decorates."""
    while type(value) is FunctionType:
        # Not __module__, which decorators copy.
        if value.__globals__.get("__name__", "").partition(".")[0] != package:
            return False
        if not hasattr(value, "__wrapped__"):
            return True
        value = value.__wrapped__
    return issubclass(type(value), type) and value.__module__.partition(".")[0] == package


def emitter(client: "Any") -> "Any":
    """The emitter behind a client's ``meta.events``, if it is one that we know and all of the client has the same."""
    events = client.meta.events
    if type(events) is not EventAliaser:
        return None
    found = events._emitter
    known = type(found) is HierarchicalEmitter and hasattr(found, "_lookup_cache") and hasattr(found, "_handlers")
    # The signer has a weak proxy, which lets its attributes through.
    others = (client._endpoint._event_emitter, client._request_signer._event_emitter)
    return found if known and all(other._emitter is found for other in others) else None


class Audience:
    """Who listens to an operation.

    Attributes:
        way: why calls have to take botocore's path; None if nobody listens, or only moto might.
        mocks: moto's stubbers, which listen while they are enabled. To import moto is to register one.
    """

    def __init__(self, handlers: "Any", operation_name: str) -> None:
        self.way: str | None = None
        self.mocks: list[Any] = []
        for event in EVENTS:
            name = f"{event}.sqs.{operation_name}"
            found = list(handlers.prefix_search(name))
            others = [handler for handler in found if not _is_builtin(handler)]
            # One of botocore's own that was taken out is as telling as one that was put in.
            way = None if len(found) - len(others) == _builtin(name) else "events"
            own = 0
            for handler in others:
                if _is_stubbers(handler):
                    way = "stubber"
                elif _is_motos(handler):
                    self.mocks.append(handler)
                elif _is_own(handler):
                    own += 1
                else:
                    way = way or "events"
            if event == "needs-retry" and own == 0:
                way = way or "events"
            # A stubber explains all the rest.
            if way is not None and self.way != "stubber":
                self.way = way


def _entries() -> "dict[int, list[str]]":
    """botocore's own handlers by id, with the events that they are registered for."""
    found: dict[int, list[str]] = {}
    for name, handler, *_ in handlers.BUILTIN_HANDLERS:
        if _is_from("botocore", handler):
            found.setdefault(id(handler), []).append(name)
    return found


# Others append to the list, moto for one.
_BUILTIN = _entries()


def _is_builtin(handler: "Any") -> bool:
    return id(handler) in _BUILTIN


def _builtin(event: str) -> int:
    """How many of botocore's own handlers an event has."""
    return sum(_hears(name, event) for names in _BUILTIN.values() for name in names)


def _hears(name: str, event: str) -> bool:
    """Whether a handler registered under a name is called for an event: its parts begin with the name's."""
    parts, wanted = event.split("."), name.split(".")
    return len(wanted) <= len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=False))


def _is_own(handler: "Any") -> bool:
    owner = type(handler.__self__) if type(handler) is MethodType else type(handler)
    return owner.__module__ in _OWN_MODULES


def _is_stubbers(handler: "Any") -> bool:
    stub = sys.modules.get("botocore.stub")
    return stub is not None and isinstance(getattr(handler, "__self__", None), stub.Stubber)


def _is_motos(handler: "Any") -> bool:
    return type(handler).__module__.partition(".")[0] == "moto" and hasattr(handler, "enabled")
