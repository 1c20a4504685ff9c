"""The language of a case: what is asked of a client, as data, whatever kind of client it is.

A case is a list of steps. ``play`` walks them and leaves the asking to its driver, so that one list of cases serves
a blocking client, an awaitable one, and boto3's own client with its inside replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.observe import Outcome, Returned, awaited, outcome


@dataclass(frozen=True)
class Ref:
    """A value out of an earlier reply: ``Ref("send", "MessageId")``."""

    step: str
    path: tuple[str | int, ...]

    def __init__(self, step: str, *path: str | int) -> None:
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "path", path)


@dataclass(frozen=True)
class Filled:
    """A text with the value of a Ref where it says ``%s``."""

    template: str
    ref: Ref


@dataclass(frozen=True)
class Call:
    """``client.method(**arguments)``; ``name`` is what a later Ref calls its reply."""

    method: str
    arguments: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Pages:
    """Every page of ``client.get_paginator(method).paginate(**arguments)``, and its ``resume_token``.

    ``whole``: its ``build_full_result()`` instead.
    """

    method: str
    arguments: Mapping[str, Any]
    name: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Advance:
    """Time passes; only for servers that can."""

    seconds: float
    name: str = ""


Step = Call | Pages | Advance


@dataclass(frozen=True)
class Case:
    name: str
    steps: tuple[Step, ...]
    servers: frozenset[str] = field(default=frozenset({"moto", "embedded"}))

    def __str__(self) -> str:
        return self.name


def play(case: Case) -> Generator[tuple[Step, dict[str, Any]], Outcome, list[tuple[str, Outcome]]]:
    """Yields each step with its arguments filled in, is sent what it came to, returns the transcript."""
    replies: dict[str, Any] = {}
    transcript: list[tuple[str, Outcome]] = []
    for step in case.steps:
        arguments = {} if isinstance(step, Advance) else fill(step.arguments, replies)
        result = yield step, arguments
        if isinstance(result, Returned) and step.name:
            replies[step.name] = result.value
        if not isinstance(step, Advance):
            transcript.append((step.method, result))
    return transcript


def fill(value: Any, replies: Mapping[str, Any]) -> Any:
    """The arguments with every Ref in place."""
    match value:
        case Ref():
            found = replies[value.step]
            for key in value.path:
                found = found[key]
            return found
        case Filled():
            return value.template % fill(value.ref, replies)
        case dict():
            return {key: fill(member, replies) for key, member in value.items()}
        case list() | tuple() if type(value) in (list, tuple):
            return type(value)(fill(member, replies) for member in value)
        case _:
            return value


def drive(case: Case, client: Any, advance: Callable[[float], object] | None) -> list[tuple[str, Outcome]]:
    """The transcript of a blocking client."""
    playing = play(case)
    try:
        step, arguments = next(playing)
        while True:
            step, arguments = playing.send(outcome(_ask, client, step, arguments, advance))
    except StopIteration as end:
        transcript: list[tuple[str, Outcome]] = end.value
        return transcript


def _ask(client: Any, step: Step, arguments: dict[str, Any], advance: Callable[[float], object] | None) -> Any:
    match step:
        case Call():
            return getattr(client, step.method)(**arguments)
        case Pages():
            pages = client.get_paginator(step.method).paginate(**arguments)
            return pages.build_full_result() if step.whole else {"pages": list(pages), "resume": pages.resume_token}
        case Advance():
            if advance is None:
                raise RuntimeError("this server cannot let time pass")
            return advance(step.seconds)


async def drive_awaiting(
    case: Case, client: Any, advance: Callable[[float], object] | None
) -> list[tuple[str, Outcome]]:
    """The transcript of a client whose methods are awaited."""
    playing = play(case)
    try:
        step, arguments = next(playing)
        while True:
            step, arguments = playing.send(await awaited(_ask_awaiting(client, step, arguments, advance)))
    except StopIteration as end:
        transcript: list[tuple[str, Outcome]] = end.value
        return transcript


async def _ask_awaiting(
    client: Any, step: Step, arguments: dict[str, Any], advance: Callable[[float], object] | None
) -> Any:
    match step:
        case Call():
            return await getattr(client, step.method)(**arguments)
        case Pages():
            pages = client.get_paginator(step.method).paginate(**arguments)
            if step.whole:
                return await pages.build_full_result()
            return {"pages": [page async for page in pages], "resume": pages.resume_token}
        case Advance():
            return _ask(client, step, arguments, advance)


#: The URL of the queue that ``on_queue`` makes.
URL = Ref("queue", "QueueUrl")
EMBEDDED = frozenset({"embedded"})
MOTO = frozenset({"moto"})
BOTH = EMBEDDED | MOTO


def call(method: str, /, **arguments: Any) -> Call:
    return Call(method, arguments)


def named(name: str, method: str, /, **arguments: Any) -> Call:
    return Call(method, arguments, name)


def on_queue(
    name: str,
    *steps: Step,
    queue: str = "plain",
    attributes: Mapping[str, str] | None = None,
    servers: frozenset[str] = BOTH,
) -> Case:
    """A case that begins with a queue of its own."""
    wanted: dict[str, Any] = {"QueueName": queue}
    if attributes is not None:
        wanted["Attributes"] = attributes
    return Case(name, (Call("create_queue", wanted, "queue"), *steps), servers)
