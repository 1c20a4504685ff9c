"""Arguments, right and wrong, and replies, made from botocore's model of SQS: for every operation, nothing forgotten
by hand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from hypothesis import strategies as st

from support.fakes import Reply, Request, Scripted
from support.observe import Outcome, outcome


@cache
def model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("sqs", "service-2"), "sqs")


#: Every operation by the name of its method.
OPERATIONS: dict[str, OperationModel] = {
    xform_name(name): model().operation_model(name) for name in model().operation_names
}


class Odd:
    """An object that no parameter takes, and that looks the same every time."""

    def __repr__(self) -> str:
        return "<something odd>"


class Text(str):
    """A text by inheritance."""

    __slots__ = ()


class Number(int):
    """A number by inheritance."""


#: One value of every type that a caller might pass.
VALUES: dict[str, Any] = {
    "None": None,
    "float": 1.5,
    "text": "text",
    "empty text": "",
    "a text's heir": Text("heir"),
    "int": 5,
    "an int's heir": Number(7),
    "bool": True,
    "bytes": b"bytes",
    "bytearray": bytearray(b"array"),
    "memoryview": memoryview(b"view"),
    "list": ["x", 5],
    "empty list": [],
    "tuple": ("x",),
    "set": {"x"},
    "dict": {"k": "v"},
    "empty dict": {},
    "dict with a number for a key": {5: "v"},
    "complex": 1j,
    "nan": float("nan"),
    "object": Odd(),
    "type": int,
    "range": range(3),
}

Path = tuple[str | int, ...]


def example(shape: Shape) -> Any:
    """A valid value with every member there is, and one of each list and map."""
    match shape.type_name:
        case "structure":
            return {name: example(member) for name, member in shape.members.items()}
        case "list":
            return [example(shape.member)]
        case "map":
            return {"key": example(shape.value)}
        case "integer" | "long":
            return 1
        case "boolean":
            return True
        case "blob":
            return b"blob"
    return "text"


def shaken(shape: Shape) -> dict[str, Any]:
    """A reply with everything in it, members in the wrong order, and members that nobody knows."""
    full = wire(example(shape))
    return {"Unknown": {"a": [1]}, **dict(reversed(list(full.items()))), "unknown": None}


def wire(value: Any) -> Any:
    """A Python value as the JSON protocol carries it."""
    match value:
        case dict():
            return {key: wire(member) for key, member in value.items()}
        case list():
            return [wire(member) for member in value]
        case bytes():
            return "YmxvYg=="
    return value


def places(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    """Every value inside an example of this shape, with its path."""
    if path:
        yield path, shape
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield from places(member, (*path, name))
        case "list":
            yield from places(shape.member, (*path, 0))
        case "map":
            yield from places(shape.value, (*path, "key"))


def changed(arguments: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy with this value there."""
    result = copy.deepcopy(arguments)
    inside: Any = result
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return result


def without(arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    """A copy with nothing there."""
    result = copy.deepcopy(arguments)
    inside: Any = result
    for step in path[:-1]:
        inside = inside[step]
    del inside[path[-1]]
    return result


def label(path: Path) -> str:
    return ".".join(map(str, path)) or "input"


def variations(operation: OperationModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Named arguments for an operation: everything right, then each thing wrong, then much of it at once."""
    shape = operation.input_shape
    full = example(shape)
    yield "everything", full
    yield "nothing", {}
    yield "only what is required", {name: full[name] for name in shape.required_members}
    found = list(places(shape))
    for path, member in found:
        for name, value in VALUES.items():
            yield f"{label(path)} is {name}", changed(full, path, value)
        if member.type_name == "list":
            yield f"{label(path)} holds one of everything", changed(full, path, list(VALUES.values()))
            yield f"{label(path)} is a tuple", changed(full, path, (example(member.member),) * 2)
        if member.type_name == "map":
            everything = {name: value for name, value in VALUES.items() if name != "nan"}
            yield f"{label(path)} holds one of everything", changed(full, path, everything)
            for key in (None, 5, 1.5, b"k", ("t",), "", True):
                yield f"{label(path)} has the key {key!r}", changed(full, path, {key: example(member.value)})
    for path, structure in [((), shape), *found]:
        if structure.type_name == "structure":
            yield f"{label(path)} has an unknown member", changed(full, (*path, "Unknown"), 1)
            unknown = changed(changed(full, (*path, "Zzz"), 1), (*path, "Aaa"), 2)
            yield f"{label(path)} has two unknown members", unknown
            for name in structure.members:
                yield f"{label((*path, name))} is missing", without(full, (*path, name))
            if path:
                yield f"{label(path)} is empty", changed(full, path, {})
    for name, value in VALUES.items():
        yield f"every member is {name}", {**dict.fromkeys(shape.members, value), "Unknown": value}


def some(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values for a shape: mostly right, now and then anything at all."""
    match shape.type_name:
        case "structure":
            members = {name: some(member, depth + 1) for name, member in shape.members.items()}
            required = {name: members.pop(name) for name in shape.required_members}
            right: st.SearchStrategy[Any] = st.fixed_dictionaries(required, optional=members)
            torn = st.fixed_dictionaries({}, optional={**members, **required, "Unknown": ANYTHING})
            right = st.one_of(right, right, torn)
        case "list":
            right = st.lists(some(shape.member, depth + 1), max_size=3)
        case "map":
            right = st.dictionaries(st.text(max_size=4), some(shape.value, depth + 1), max_size=3)
        case "integer" | "long":
            right = st.one_of(st.integers(), st.booleans())
        case "boolean":
            right = st.booleans()
        case "blob":
            right = st.one_of(st.binary(max_size=8), st.binary(max_size=8).map(bytearray), WORDS)
        case _:
            right = WORDS
    return right if depth == 0 else st.one_of(right, right, right, ANYTHING)


def asked(server: Scripted, client: Any, method: str, arguments: dict[str, Any]) -> tuple[Outcome, list[Any]]:
    """What a call came to, and what was sent."""
    server.play(Reply())
    result = outcome(getattr(client, method), **arguments)
    return result, [essence(request) for request in server.requests]


def essence(request: Request) -> list[Any]:
    """The part of a request that the arguments decide. NaN is told apart from itself by ``repr``."""
    return [request.method, request.target, request.headers["x-amz-target"], repr(sorted_members(request.json))]


def sorted_members(value: Any) -> Any:
    """JSON without an order of keys, which means nothing on the wire."""
    match value:
        case dict():
            return {key: sorted_members(value[key]) for key in sorted(value)}
        case list():
            return [sorted_members(member) for member in value]
    return value


#: Texts with everything that a Python string may hold, lone surrogates too.
WORDS = st.text(st.characters(exclude_categories=()), max_size=8)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=2), st.tuples(inner)),
    max_leaves=4,
)
