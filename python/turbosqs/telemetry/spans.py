"""What spans and metrics say: attributes, links, errors."""

from __future__ import annotations

from urllib.parse import urlsplit

from opentelemetry.trace import Link, Status, StatusCode

from . import contexts, names
from .metrics import queue_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from opentelemetry.trace import Span, SpanContext

    from .. import _core

#: What is known of queues and endpoints, by their URLs; so many at most.
_MOST = 1024
_queues: dict[str, dict[str, str]] = {}
_servers: dict[str, dict[str, Any]] = {}


def attributes_of(verb: str, url: Any, core: _core.Client) -> dict[str, Any]:
    """The attributes that all spans about a queue have."""
    attributes: dict[str, Any] = {names.SYSTEM: names.SQS, names.OPERATION_NAME: verb, names.OPERATION_TYPE: verb}
    if isinstance(url, str):
        attributes.update(_of_queue(url))
    endpoint = core.endpoint_url
    server = _servers.get(endpoint)
    if server is None:
        if len(_servers) >= _MOST:
            _servers.clear()
        _servers[endpoint] = server = _of_server(endpoint)
    attributes.update(server)
    return attributes


def attributes_of_metric(attributes: Mapping[str, Any], failure: str | None = None) -> dict[str, Any]:
    """Those of them that a metric has."""
    of_metric = {name: value for name, value in attributes.items() if name != names.QUEUE_URL}
    return of_metric if failure is None else {**of_metric, names.ERROR_TYPE: failure}


def _of_queue(url: str) -> dict[str, str]:
    known = _queues.get(url)
    if known is not None:
        return known
    scheme, separator, rest = url.partition("//")
    authority, slash, path = rest.partition("/")
    # A user and a password in front of the host are nobody's business, nor is a query.
    shown = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]
    if len(_queues) >= _MOST:
        _queues.clear()
    _queues[url] = found = {names.DESTINATION: queue_name(shown), names.QUEUE_URL: shown}
    return found


def _of_server(endpoint: str) -> dict[str, Any]:
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return {}
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port}


def title(attributes: Mapping[str, Any]) -> str:
    return f"{attributes[names.OPERATION_NAME]} {attributes.get(names.DESTINATION, '')}".rstrip()


def links_to(messages: Sequence[Mapping[str, Any]]) -> list[Link]:
    """Links to the spans that have sent messages, as far as those bear their contexts."""
    links = []
    for message in messages:
        sender: SpanContext | None = contexts.sender_of(contexts.context_in(message))
        if sender is not None:
            links.append(Link(sender, {names.MESSAGE_ID: message.get("MessageId", "")}))
    return links


def fail(span: Span, failure: str, description: str | None = None) -> None:
    """Say of a span that it has failed. The service's own words are not repeated: they may quote the request."""
    span.set_attribute(names.ERROR_TYPE, failure)
    span.set_status(Status(StatusCode.ERROR, description or failure))


def error_type(error: BaseException) -> str:
    """The code of a refusal, or the exception's name."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code) if code else type(error).__qualname__
