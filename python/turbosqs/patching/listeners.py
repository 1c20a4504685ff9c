"""Who would miss a call that botocore does not make.

The answer is asked for at each call, so it is kept: handlers for as long as the emitter has the same lookup cache,
which it replaces whenever a handler comes or goes, functions for as long as they are the same objects, and all of it
for as long as a ``ClientWatch`` finds nothing that has changed.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from itertools import takewhile
from operator import is_, itemgetter
from types import FunctionType, MethodType
from typing import Any

from botocore import awsrequest, handlers
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.history import get_global_history_recorder
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.httpsession import URLLib3Session
from botocore.signers import RequestSigner
from urllib3.connectionpool import HTTPConnectionPool

from .._core import ClientWatch, Watch
from .tools import HANDLERS, IDLE, NAMING, Layer, written
from .tracing import Tools, added_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: A namespace, a name in it, and what was found there.
    _Found = tuple[Mapping[str, Any], str, Any]

_history = get_global_history_recorder()

#: What a client is made of. Programs exchange parts now and then.
_PARTS = ("_endpoint", "_request_signer", "_serializer", "_ruleset_resolver", "_user_agent_creator", "meta")
_parts = itemgetter(*_PARTS)

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

#: botocore's objects, and aiobotocore's, whose methods are handlers of every client, by the module of their classes.
_OWN_MODULES = tuple(
    f"{package}.{module}"
    for package in ("botocore", "aiobotocore")
    for module in ("signers", "useragent", "retries.standard", "retries.adaptive", "retryhandler")
)

#: The methods that a call goes through; aiobotocore has the same.
CLIENT_METHODS = (
    "_make_api_call",
    "_make_request",
    "_convert_to_request_dict",
    "_emit_api_params",
    "_resolve_endpoint_ruleset",
)
ENDPOINT_METHODS = (
    "make_request",
    "create_request",
    "prepare_request",
    "_send_request",
    "_get_response",
    "_do_get_response",
    "_needs_retry",
    "_send",
)

_METHODS: dict[type, tuple[str, ...]] = {
    BaseClient: CLIENT_METHODS,
    Endpoint: ENDPOINT_METHODS,
    RequestSigner: ("handler", "sign", "get_auth"),
    URLLib3Session: ("send",),
}
#: What a call reaches its connection by, or the connection is made with: where it is, its name there, the packages that
#: it may be from, and the way of a call if it is from elsewhere.
Watched = tuple[Mapping[str, Any], str, tuple[str, ...], str]

SOCKETS: tuple[Watched, ...] = tuple(
    (vars(socket), name, ("socket",), "sockets") for name in ("socket", "getaddrinfo", "create_connection")
)


class Functions:
    """The functions of a library that carry its clients' calls.

    Attributes:
        base: the class of its clients.
        emitter: the class of their emitters.
        names: of methods that carry calls: none of a client's parts has an attribute of such a name.
        watched: what stands for them.
    """

    def __init__(
        self,
        base: type,
        emitter: type,
        methods: Mapping[type, tuple[str, ...]],
        packages: tuple[str, ...],
        others: tuple[Watched, ...],
    ) -> None:
        """Know them.

        Args:
            base, emitter: as above.
            methods: the methods that carry calls, by their class. Of two classes with the same method the first is
                the one that counts.
            packages: where all of it was written.
            others: what else is watched.
        """
        self.base = base
        self.emitter = emitter
        self.names = frozenset(name for names in methods.values() for name in names)
        # Those that this version has; and those that it inherits, should somebody put one there.
        methods_of = [(cls, name) for cls, names in methods.items() for name in names if hasattr(cls, name)]
        self.watched = (*((vars(cls), name, packages, "wrapped") for cls, name in methods_of), *others)
        # A state in which nobody would miss calls.
        self._accepted: Replaced | None = None

    def replaced(self) -> Replaced:
        """What stands in the place of the functions that carry calls, now."""
        accepted = self._accepted
        if accepted is not None and accepted.watch.is_same():
            return accepted
        now = Replaced(self)
        if now.way is None:
            self._accepted = now
        return now


class Replaced:
    """What stands in the place of the functions that carry calls.

    Attributes:
        way: why calls have to take botocore's path; None if nobody would miss them.
        tools: the known tools among it.
        found: what was looked at.
        watch: whether it is still there.
    """

    def __init__(self, functions: Functions) -> None:
        self.way: str | None = None
        self.tools: Tools | None = None
        self.found: list[_Found] = [(namespace, name, namespace.get(name)) for namespace, name, *_ in functions.watched]
        self.watch = Watch(self.found)
        layers: dict[str, list[Layer]] = {}
        for (_, name, value), (_, _, packages, way) in zip(self.found, functions.watched, strict=True):
            if value is None or _is_from(packages, value):
                continue
            if name in functions.names and name in layers:
                # Of a class whose method is not the one that is called.
                continue
            layers[name] = []
            while not _is_from(packages, value):
                layer = Layer(value)
                if not layer.is_known(name):
                    self.way = "sockets" if way == "sockets" else f"{way}: {layer.name}"
                    return
                layers[name].append(layer)
                value = layer.inner
        self.tools = Tools.of(layers)


#: botocore's.
BOTOCORE = Functions(
    BaseClient,
    HierarchicalEmitter,
    _METHODS,
    ("botocore",),
    (
        *((vars(awsrequest), name, ("botocore",), "wrapped") for name in ("AWSHTTPConnection", "AWSHTTPSConnection")),
        (vars(awsrequest.AWSHTTPConnectionPool), "ConnectionCls", ("botocore",), "wrapped"),
        (vars(awsrequest.AWSHTTPSConnectionPool), "ConnectionCls", ("botocore",), "wrapped"),
        # botocore's pools inherit it.
        (vars(HTTPConnectionPool), "urlopen", ("urllib3",), "wrapped"),
        *SOCKETS,
    ),
)
replaced = BOTOCORE.replaced


def is_passed_on(functions: Functions = BOTOCORE) -> bool:
    """Whether all that was replaced still leads to what it replaced: wrappers of instrumentation do, mocks do not."""
    for namespace, name, packages, way in functions.watched:
        value = namespace.get(name)
        if value is None:
            # Inherited, and nobody has put another one there.
            continue
        if way == "sockets" and getattr(value, "__module__", "").partition(".")[0] in _COOPERATIVE:
            continue
        while not _is_from(packages, value):
            layer = Layer(value)
            # Of the object itself: to ask a mock for an attribute is to get one.
            value = layer.inner if layer.is_known(name) else getattr(value, "__wrapped__", None)
            if value is None:
                return False
    return True


#: Whose sockets are Python's, but for how they wait.
_COOPERATIVE = ("gevent", "eventlet")


def call(client: Any, operation_name: str, api_params: dict[str, Any]) -> Any:
    """A call that is botocore's from beginning to end, or whoever's has taken botocore's place.

    Looked up now: others replace it. Bound as an attribute of the client would be: a mock that is no function does not
    get the client.
    """
    function = vars(BaseClient)["_make_api_call"]
    bind = getattr(type(function), "__get__", None)
    return (function if bind is None else bind(function, client, type(client)))(operation_name, api_params)


def _overriding(cls: type, base: type) -> str | None:
    """The way of calls, if a client's class has a method of its own for them."""
    for each in _before(cls, base):
        if "_make_api_call" in vars(each):
            return f"wrapped: {Layer(vars(each)['_make_api_call']).name}"
    return None


def _before(cls: type, base: type) -> Iterator[type]:
    """A class, and those after it whose methods go before the base's."""
    return takewhile(lambda each: each is not base, cls.__mro__)


class Seen:
    """What was seen of an operation of a client.

    Attributes:
        way: why its calls have to take botocore's path; None if nobody would miss them.
        tools: the known tools that trace them.
        name: what handlers add to the User-Agent of their requests.
        watch: whether all is as it was then; None if calls are botocore's.
    """

    __slots__ = ("name", "tools", "watch", "way")

    def __init__(
        self, way: str | None, tools: Tools | None = None, name: str = "", watch: ClientWatch | None = None
    ) -> None:
        self.way = way
        self.tools = tools
        self.name = name
        self.watch = watch


class Listening:
    """Who listens to one client of botocore's."""

    #: Those of its library.
    _functions = BOTOCORE

    def __init__(self, client: Any) -> None:
        self._parts = _parts(client.__dict__)
        self._endpoint = client._endpoint
        self._session = client._endpoint.http_session
        self._signer = client._request_signer
        # How many attributes the client and its parts had when none of them stood before a method. To stand there is
        # to be one more: what they have of their own is never taken away.
        self._numbers: tuple[int, ...] = ()
        self._events = client.meta.events
        self._emitter = emitter(client, self._functions.emitter)
        # The emitter's lookup cache, and who listens to what for as long as it has that one.
        self._audiences: tuple[Any, dict[str, Audience]] = (None, {})
        # By operation, when nobody would have missed a call of it.
        self._quiet: dict[str, Seen] = {}

    @property
    def is_known(self) -> bool:
        """Whether it can be told who listens."""
        return self._emitter is not None

    def is_passed_on(self) -> bool:
        """Whether all that was replaced of the library's functions still leads to what it replaced."""
        return is_passed_on(self._functions)

    def is_outdated(self, client: Any) -> bool:
        """Whether the client is no longer made of what it was made of."""
        return (
            not all(map(is_, _parts(client.__dict__), self._parts))
            or client.meta.events is not self._events
            or self._endpoint.http_session is not self._session
        )

    def look(self, client: Any, operation_name: str) -> Seen:
        """Who would miss a call. What is found is kept for as long as nothing changes."""
        quiet = self._quiet.get(operation_name)
        if quiet is not None and quiet.watch.is_same(client, client.__dict__):  # type: ignore[union-attr]
            return quiet
        now = self._functions.replaced()
        way = now.way or self._shadowing(client) or _overriding(type(client), self._functions.base)
        if way is not None:
            return Seen(way)
        audience = self.audience(operation_name)
        if audience.way is not None:
            return Seen(audience.way)
        for mock in audience.mocks:
            if mock.enabled:
                return Seen("moto")
        if _history._enabled:
            return Seen("history")
        tools = now.tools if audience.tools is None else audience.tools.beside(now.tools)
        seen = Seen(None, tools, audience.name, self._watch(client, now, audience))
        self._quiet[operation_name] = seen
        return seen

    def _watch(self, client: Any, now: Replaced, audience: Audience) -> ClientWatch:
        """A watch over all that was looked at, as it was then: what has changed meanwhile is a difference."""
        size, *sizes = self._numbers
        watched: list[_Found] = [
            (vars(client.meta), "events", self._events),
            (vars(self._endpoint), "http_session", self._session),
            (vars(self._emitter), "_lookup_cache", audience.cache),
            (vars(_history), "_enabled", False),
            *((vars(mock), "enabled", False) for mock in audience.mocks),
            *((vars(cls), "_make_api_call", None) for cls in _before(type(client), self._functions.base)),
        ]
        parts = self._endpoint.__dict__, self._session.__dict__, self._signer.__dict__
        return ClientWatch(
            now.watch,
            client,
            client.__dict__,
            list(zip(_PARTS, self._parts, strict=True)),
            size,
            watched,
            list(zip(parts, sizes, strict=True)),
        )

    def _shadowing(self, client: Any) -> str | None:
        """The way of a call, if a method that carries it was replaced in this very client, or in a part of it."""
        attributes = client.__dict__, self._endpoint.__dict__, self._session.__dict__, self._signer.__dict__
        numbers = tuple(map(len, attributes))
        if numbers == self._numbers:
            return None
        for each in attributes:
            for name in self._functions.names.intersection(each):
                return f"wrapped: {Layer(each[name]).name}"
        self._numbers = numbers
        return None

    def audience(self, operation_name: str) -> Audience:
        """Who has a handler registered for an operation's events."""
        # In this order: a handler that comes meanwhile replaces the cache that the answer is kept under.
        cache = self._emitter._lookup_cache
        known = self._audiences
        if known[0] is not cache:
            self._audiences = known = (cache, {})
        audience = known[1].get(operation_name)
        if audience is None:
            known[1][operation_name] = audience = Audience(cache, self._emitter._handlers, operation_name)
        return audience


def _is_from(packages: tuple[str, ...], value: Any) -> bool:
    """Whether a function or a class was written in one of them, and so was all that it decorates."""
    while type(value) is FunctionType:
        # Not __module__, which decorators copy.
        if value.__globals__.get("__name__", "").partition(".")[0] not in packages:
            return False
        if not hasattr(value, "__wrapped__"):
            return True
        value = value.__wrapped__
    return issubclass(type(value), type) and value.__module__.partition(".")[0] in packages


def is_botocores(function: Any) -> bool:
    """Whether botocore has written a function, and all that it decorates."""
    return _is_from(("botocore",), function)


def emitter(client: Any, kind: type) -> Any:
    """The emitter behind a client's ``meta.events``, if it is of that kind and all of the client has the same."""
    events = client.meta.events
    if type(events) is not EventAliaser:
        return None
    found = events._emitter
    known = type(found) is kind and hasattr(found, "_lookup_cache") and hasattr(found, "_handlers")
    # The signer has a weak proxy, which lets its attributes through.
    others = (client._endpoint._event_emitter, client._request_signer._event_emitter)
    return found if known and all(other._emitter is found for other in others) else None


def name_added(client: Any) -> str:
    """What handlers add to the User-Agent of a client's requests."""
    found = emitter(client, HierarchicalEmitter)
    handlers = [] if found is None else found._handlers.prefix_search("request-created.sqs.SendMessage")
    return added_name([handler for handler in handlers if written(handler) in NAMING])


class Audience:
    """Who listens to an operation.

    Attributes:
        way: why calls have to take botocore's path; None if nobody listens, or only moto might, or known tools do.
        mocks: moto's stubbers, which listen while they are enabled. To import moto is to register one.
        tools: known tools that have handlers.
        name: what handlers add to the User-Agent.
        cache: the lookup cache that the emitter had then.
    """

    def __init__(self, cache: Any, handlers: Any, operation_name: str) -> None:
        self.cache = cache
        self.way: str | None = None
        self.mocks: list[Any] = []
        known: dict[str, list[Any]] = {}
        naming: list[Any] = []
        for event in EVENTS:
            whole = f"{event}.sqs.{operation_name}"
            found = list(handlers.prefix_search(whole))
            others = [handler for handler in found if not _is_builtin(handler)]
            # One of botocore's own that was taken out is as telling as one that was put in.
            way = None if len(found) - len(others) == _builtin(whole) else "events"
            own = 0
            for handler in others:
                if _is_stubbers(handler):
                    way = "stubber"
                elif _is_motos(handler):
                    self.mocks.append(handler)
                elif _is_own(handler):
                    own += 1
                elif event == "request-created" and (name := written(handler)) in NAMING:
                    naming.append(handler)
                elif (name := written(handler)) in HANDLERS.get(event, ()):
                    known.setdefault(event, []).append((handler, IDLE.get(name)))
                else:
                    way = way or f"events: {name}"
            if event == "needs-retry" and own == 0:
                way = way or "events"
            # A stubber explains all the rest.
            if way is not None and self.way != "stubber":
                self.way = way
        self.tools = Tools(handlers=known) if known else None
        self.name = added_name(naming)


def _entries() -> dict[int, list[str]]:
    """botocore's own handlers by id, with the events that they are registered for."""
    found: dict[int, list[str]] = {}
    for name, handler, *_ in handlers.BUILTIN_HANDLERS:
        if _is_from(("botocore",), handler):
            found.setdefault(id(handler), []).append(name)
    return found


# Others append to the list, moto for one.
_BUILTIN = _entries()


def _is_builtin(handler: Any) -> bool:
    return id(handler) in _BUILTIN


# How many of botocore's own handlers an event has, once somebody has asked.
_counted: dict[str, int] = {}


def _builtin(event: str) -> int:
    """How many of botocore's own handlers an event has."""
    if event not in _counted:
        _counted[event] = sum(_hears(name, event) for names in _BUILTIN.values() for name in names)
    return _counted[event]


def _hears(name: str, event: str) -> bool:
    """Whether a handler registered under a name is called for an event: its parts begin with the name's."""
    parts, wanted = event.split("."), name.split(".")
    return len(wanted) <= len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=False))


def _is_own(handler: Any) -> bool:
    owner = type(handler.__self__) if type(handler) is MethodType else type(handler)
    return owner.__module__ in _OWN_MODULES


def _is_stubbers(handler: Any) -> bool:
    stub = sys.modules.get("botocore.stub")
    return stub is not None and isinstance(getattr(handler, "__self__", None), stub.Stubber)


def _is_motos(handler: Any) -> bool:
    return type(handler).__module__.partition(".")[0] == "moto" and hasattr(handler, "enabled")
