"""What a call did, as text: the whole reply or the whole exception, ids and times aside.

Texts are compared because they leave nothing out: types (``True`` is not ``1``), the order of keys, absent against
empty, the class of an exception with its bases and its attributes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from support.libraries import BOTO3, SUBJECT

#: Members that a server invents. Each distinct value becomes `<name number>`, so that the id of a message received
#: must still be the id of the message sent.
IDS = {"MessageId", "ReceiptHandle", "RequestId", "SequenceNumber", "TaskHandle", "x-amzn-requestid"}
#: What is shorter than this, a test made up itself.
SHORTEST = 8
#: Members that tell the time, or depend on how long the text of a time is: only their type is compared.
TIMES = {
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "StartedTimestamp",
    "date",
    "content-length",
    "x-amz-crc32",
}
PLAIN = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True)
class Returned:
    value: Any


@dataclass(frozen=True)
class Raised:
    error: BaseException


Outcome = Returned | Raised


def outcome(call: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Outcome:
    """What the call came to."""
    try:
        return Returned(call(*arguments, **keywords))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
        return Raised(error)


async def awaited(call: Awaitable[Any]) -> Outcome:
    """What an awaitable came to."""
    try:
        return Returned(await call)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
        return Raised(error)


def alike(look: Callable[[Any], Any], subjects: Sequence[Any] = (BOTO3, SUBJECT)) -> Outcome:
    """Fail unless a look at each library, or client, boto3's first, comes to the same. What boto3's came to."""
    results = [outcome(look, subject) for subject in subjects]
    same(*results)
    return results[0]


def describe(value: Any) -> str:
    """The text of an outcome, or of any structure of outcomes and replies."""
    ids: dict[str, list[str]] = {}
    _collect(value, ids)
    text = "\n".join(_lines(value))
    names = {found: f"<{kind} {number}>" for kind, each in ids.items() for number, found in enumerate(each, 1)}
    for found in sorted(names, key=len, reverse=True):
        text = text.replace(found, names[found])
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def same(expected: Any, actual: Any, *, about: str = "") -> None:
    """Fail, with the lines that differ, unless both come to the same text. boto3's first."""
    left = expected if isinstance(expected, str) else describe(expected)
    right = actual if isinstance(actual, str) else describe(actual)
    if left != right:
        lines = list(difflib.unified_diff(left.splitlines(), right.splitlines(), "boto3", "subject", lineterm="", n=2))
        shown = "\n".join(lines[:80])
        raise AssertionError(f"{about}\n{shown}" + ("\n..." if len(lines) > 80 else ""))


def _collect(value: Any, ids: dict[str, list[str]]) -> None:
    """The ids of each kind, in the order of their first appearance."""
    match value:
        case Returned():
            _collect(value.value, ids)
        case Raised():
            _collect(getattr(value.error, "response", None), ids)
        case dict():
            for key, member in value.items():
                if key in IDS and isinstance(member, str) and len(member) >= SHORTEST:
                    known = ids.setdefault("RequestId" if key == "x-amzn-requestid" else key, [])
                    if member not in known:
                        known.append(member)
                else:
                    _collect(member, ids)
        case list() | tuple():
            for member in value:
                _collect(member, ids)


def _lines(value: Any, indent: str = "", label: str = "") -> list[str]:
    deeper = indent + "  "
    match value:
        case Returned():
            return _lines(value.value, indent, label + "returned ")
        case Raised():
            return _lines(_facts(value.error), indent, label + "raised ")
        case dict() if type(value) is dict:
            inside = [line for key, member in value.items() for line in _member(key, member, deeper)]
            return [f"{indent}{label}{{", *inside, f"{indent}}}"] if inside else [f"{indent}{label}{{}}"]
        case list() | tuple() if type(value) in (list, tuple):
            left, right = "[]" if isinstance(value, list) else "()"
            inside = [line for member in value for line in _lines(member, deeper)]
            return (
                [f"{indent}{label}{left}", *inside, f"{indent}{right}"] if inside else [f"{indent}{label}{left}{right}"]
            )
        case _ if type(value) in PLAIN:
            return [f"{indent}{label}{value!r}"]
        case _:
            kind = type(value)
            return [f"{indent}{label}<{kind.__module__}.{kind.__qualname__}> {value!r}"]


def _member(key: Any, member: Any, indent: str) -> list[str]:
    if key in TIMES and isinstance(member, (str, int)):
        return [f"{indent}{key!r}: <{type(member).__name__}>"]
    return _lines(member, indent, f"{key!r}: ")


def _facts(error: BaseException) -> dict[str, Any]:
    """Everything about an exception that a program can get at."""
    kind = type(error)
    # From Python 3.14 on its json notes where in a value it stood.
    attributes = {name: value for name, value in vars(error).items() if name != "__notes__"}
    return {
        "class": _name(kind),
        "bases": [_name(base) for base in kind.__mro__[1:]],
        "str": str(error),
        "args": list(error.args),
        **_opaque(attributes),
    }


def _opaque(member: Any) -> Any:
    """An attribute of an exception; of the cause in it (`error=`, in the words of urllib3) only that it is there."""
    if isinstance(member, dict):
        return {key: "<a cause>" if key in ("error", "request") else _opaque(value) for key, value in member.items()}
    if isinstance(member, (list, tuple)):
        return type(member)(_opaque(value) for value in member)
    return member if type(member) in PLAIN else "<an object>"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
