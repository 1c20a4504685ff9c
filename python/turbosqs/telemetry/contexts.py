"""Trace contexts in messages: how they are put there, asked for, and read.

A propagator writes headers. X-Ray's travels in the system attribute that SQS has for it, which counts towards nothing;
others are message attributes, of which a message has ten at most, and which count towards its size.
"""

from __future__ import annotations

from opentelemetry import propagate, trace
from opentelemetry.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from opentelemetry.trace import SpanContext

#: X-Ray's header, and the system attribute that it travels in.
XRAY_HEADER, XRAY_ATTRIBUTE = "X-Amzn-Trace-Id", "AWSTraceHeader"

#: SQS's limits: message attributes, and bytes of a request's bodies and attributes.
MOST_ATTRIBUTES, MOST_BYTES = 10, 1 << 20


def with_context(operation: str, params: dict[str, Any], context: Context) -> dict[str, Any]:
    """The arguments of a send, with a context in each message; those that are given are not touched.

    Args:
        operation: ``SendMessage`` or ``SendMessageBatch``.
        params: its arguments, whatever they are: what does not fit is for others to refuse.
        context: the one to be sent along.
    """
    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    if not headers:
        return params
    if operation == "SendMessage":
        return _with_headers(params, headers, MOST_BYTES - size(params))
    entries = params.get("Entries")
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, dict) for entry in entries):
        return params
    room = MOST_BYTES - sum(map(size, entries))
    made = []
    for entry in entries:
        # What an attribute of this entry takes, another cannot have.
        with_headers = _with_headers(entry, headers, room)
        room -= size(with_headers) - size(entry)
        made.append(with_headers)
    return {**params, "Entries": made}


def _with_headers(message: dict[str, Any], headers: dict[str, str], room: int) -> dict[str, Any]:
    attributes, system = message.get("MessageAttributes") or {}, message.get("MessageSystemAttributes") or {}
    if not isinstance(attributes, dict) or not isinstance(system, dict):
        return message
    attributes, system = dict(attributes), dict(system)
    for name, value in headers.items():
        attribute = {"DataType": "String", "StringValue": value}
        if name.lower() == XRAY_HEADER.lower():
            system.setdefault(XRAY_ATTRIBUTE, attribute)
            continue
        taken = len(name) + len("String") + len(value.encode())
        # An attribute cannot be empty, and one that is there already is its sender's.
        if value and name not in attributes and len(attributes) < MOST_ATTRIBUTES and taken <= room:
            attributes[name] = attribute
            room -= taken
    more = {"MessageAttributes": attributes, "MessageSystemAttributes": system}
    return {**message, **{name: value for name, value in more.items() if value}}


def size(message: Mapping[str, Any]) -> int:
    """How many bytes of a message SQS counts. Of what SQS would refuse nothing is counted."""
    counted = _bytes(message.get("MessageBody"))
    attributes = message.get("MessageAttributes")
    if isinstance(attributes, dict):
        for name, attribute in attributes.items():
            if isinstance(attribute, dict):
                values = (attribute.get(key) for key in ("DataType", "StringValue", "BinaryValue"))
                counted += _bytes(name) + sum(map(_bytes, values))
    return counted


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def without_digests(reply: dict[str, Any], params: dict[str, Any]) -> None:
    """Take out of a reply to SendMessage what is only there because of attributes that its caller has not given."""
    for name in ("MessageAttributes", "MessageSystemAttributes"):
        if not params.get(name):
            reply.pop(f"MD5Of{name}", None)


def asking(params: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a receive that has contexts come with the messages."""
    made = dict(params)
    for header in propagate.get_global_textmap().fields:
        if header.lower() == XRAY_HEADER.lower():
            _ask(made, "MessageSystemAttributeNames", XRAY_ATTRIBUTE, made.get("AttributeNames"))
        else:
            _ask(made, "MessageAttributeNames", header, None)
    return made


def _ask(params: dict[str, Any], argument: str, name: str, others: Any) -> None:
    names = params.get(argument) or []
    if not isinstance(names, (list, tuple)):
        return
    asked = [*names, *(others if isinstance(others, (list, tuple)) else ())]
    if not any(each in ("All", ".*", name) for each in asked):
        params[argument] = [*names, name]


def context_in(message: Mapping[str, Any]) -> Context:
    """The context that a message has brought; an empty one if it has none."""
    headers = {}
    for name, attribute in (message.get("MessageAttributes") or {}).items():
        if "StringValue" in attribute:
            headers[name] = attribute["StringValue"]
    trace_header = (message.get("Attributes") or {}).get(XRAY_ATTRIBUTE)
    if trace_header is not None:
        headers[XRAY_HEADER] = trace_header
    return propagate.extract(headers, Context())


def sender_of(context: Context) -> SpanContext | None:
    """The span that a context is about."""
    sender = trace.get_current_span(context).get_span_context()
    return sender if sender.is_valid else None
