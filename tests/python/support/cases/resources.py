"""The parity cases as a program that uses the resource layer would put them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.cases.language import Advance, Call, Case, Pages, Step, play
from support.observe import Outcome, outcome

#: Methods of a queue, by the client's method that they call.
QUEUE = {
    "add_permission": "add_permission",
    "change_message_visibility_batch": "change_message_visibility_batch",
    "delete_message_batch": "delete_messages",
    "delete_queue": "delete",
    "purge_queue": "purge",
    "remove_permission": "remove_permission",
    "send_message": "send_message",
    "send_message_batch": "send_messages",
    "set_queue_attributes": "set_attributes",
}
#: Methods of a message.
MESSAGE = {"change_message_visibility": "change_visibility", "delete_message": "delete"}


def drive(case: Case, resource: Any, advance: Callable[[float], object] | None) -> list[tuple[str, Outcome]]:
    """The transcript of a resource. What it has no method for goes through its client."""
    playing = play(case)
    try:
        step, arguments = next(playing)
        while True:
            step, arguments = playing.send(outcome(_ask, resource, step, arguments, advance))
    except StopIteration as end:
        transcript: list[tuple[str, Outcome]] = end.value
        return transcript


def _ask(resource: Any, step: Step, arguments: dict[str, Any], advance: Callable[[float], object] | None) -> Any:
    match step:
        case Call():
            return _call(resource, step.method, arguments)
        case Pages():
            pages = resource.meta.client.get_paginator(step.method).paginate(**arguments)
            return pages.build_full_result() if step.whole else list(pages)
        case Advance():
            assert advance is not None
            return advance(step.seconds)


def _call(resource: Any, method: str, arguments: dict[str, Any]) -> Any:
    """The call by way of objects, and its reply in the shape of the client's, so that later steps find their way."""
    others = {name: value for name, value in arguments.items() if name not in ("QueueUrl", "ReceiptHandle")}
    url, handle = arguments.get("QueueUrl"), arguments.get("ReceiptHandle")
    if method == "create_queue":
        return {"QueueUrl": resource.create_queue(**arguments).url}
    if method == "get_queue_url":
        return {"QueueUrl": resource.get_queue_by_name(**arguments).url}
    if method == "list_queues" and set(arguments) <= {"QueueNamePrefix"}:
        return {"QueueUrls": [queue.url for queue in resource.queues.filter(**arguments)]}
    if method == "list_dead_letter_source_queues" and url is not None and not others:
        return {"queueUrls": [queue.url for queue in resource.Queue(url).dead_letter_source_queues.all()]}
    if method == "receive_message" and url is not None:
        messages = resource.Queue(url).receive_messages(**others)
        return {"Messages": [{**message.meta.data, "ReceiptHandle": message.receipt_handle} for message in messages]}
    if method == "get_queue_attributes" and url is not None and others == {"AttributeNames": ["All"]}:
        return {"Attributes": resource.Queue(url).attributes}
    if method in QUEUE and url is not None:
        return getattr(resource.Queue(url), QUEUE[method])(**others)
    if method in MESSAGE and url is not None and handle is not None:
        return getattr(resource.Message(url, handle), MESSAGE[method])(**others)
    return getattr(resource.meta.client, method)(**arguments)
