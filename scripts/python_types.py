"""The generated types of requests and replies: at run time, and for type checkers.

`types.py` has a TypedDict for each structure of the model, under the names of the AWS API reference. A type checker
reads `types.pyi`, where each is the TypedDict of the stub packages (mypy_boto3_sqs, types_boto3_sqs,
types_aiobotocore_sqs) if one of them is installed, so that a reply is what code that is annotated with them expects.
Where none is, it is the one of `_annotations/own.py`, which says what SQS leaves out of a reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from botocore.model import ServiceModel, Shape, StructureShape

# The members that SQS puts into every reply. The model's own "required" is not that: it requires ``Successful`` and
# ``Failed``, and SQS leaves the empty one out.
ALWAYS_THERE = {
    "CancelMessageMoveTaskResult": {"ApproximateNumberOfMessagesMoved"},
    "CreateQueueResult": {"QueueUrl"},
    "GetQueueUrlResult": {"QueueUrl"},
    "Message": {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"},
    "SendMessageResult": {"MD5OfMessageBody", "MessageId"},
    "StartMessageMoveTaskResult": {"TaskHandle"},
}

SCALARS = {"string": "str", "integer": "int", "long": "int", "boolean": "bool"}

#: Names of values; `AttributeNames` takes names of both kinds, of queues and of messages.
LITERALS = (
    "QueueAttributeName",
    "MessageSystemAttributeName",
    "MessageSystemAttributeNameForSends",
    "AttributeNameFilter",
)

# What is no structure of the model, but is in every reply or in the arguments of paginators.
COMMON = {
    "ResponseMetadata": (
        {
            "RequestId": "str",
            "HTTPStatusCode": "int",
            "HTTPHeaders": "dict[str, str]",
            "RetryAttempts": "int",
            "MaxAttemptsReached": "bool",
        },
        {"MaxAttemptsReached"},
    ),
    "EmptyResult": ({"ResponseMetadata": "ResponseMetadata"}, set()),
    "PaginationConfig": (
        {"MaxItems": "int | str", "PageSize": "int | str", "StartingToken": "str"},
        {"MaxItems", "PageSize", "StartingToken"},
    ),
}
#: Those of the common ones that the stub packages call otherwise.
RENAMED = {"EmptyResult": "EmptyResponseMetadataTypeDef", "PaginationConfig": "PaginatorConfigTypeDef"}

#: Types of our own: the request whose members they have, those that they lack, and those that are ours.
OPTIONS: dict[str, tuple[str, set[str], dict[str, str]]] = {
    "SendMessageEntry": ("SendMessageRequest", {"QueueUrl"}, {}),
    "DeleteMessageEntry": ("DeleteMessageRequest", {"QueueUrl"}, {}),
    "ChangeMessageVisibilityEntry": ("ChangeMessageVisibilityRequest", {"QueueUrl"}, {}),
    "PollingOptions": (
        "ReceiveMessageRequest",
        {"QueueUrl", "MaxNumberOfMessages", "ReceiveRequestAttemptId"},
        {"min_life": "float", "max_buffered": "int", "max_buffered_bytes": "int"},
    ),
    "ListQueuesPaging": ("ListQueuesRequest", {"NextToken", "MaxResults"}, {"PaginationConfig": "PaginationConfig"}),
    "ListDeadLetterSourceQueuesPaging": (
        "ListDeadLetterSourceQueuesRequest",
        {"NextToken", "MaxResults"},
        {"PaginationConfig": "PaginationConfig"},
    ),
}

#: What an error of the service holds.
ERRORS = {
    "ErrorDetails": (
        {"Code": "str", "Message": "str", "Type": "str", "QueryErrorCode": "str"},
        {"Type", "QueryErrorCode"},
    ),
    "ErrorResponse": (
        {"Error": "ErrorDetails", "ResponseMetadata": "ResponseMetadata"},
        set(),
    ),
}

# Name, members with their types, those that may be missing.
Typed = tuple[str, dict[str, str], set[str]]


def files(model: ServiceModel, origin: str) -> dict[str, str]:
    """The files with types, by their paths in the package."""
    shared, ours = list(structures(model)), list(options(model))
    return {
        "types.py": at_run_time(model, origin, [*shared, *ours]),
        "types.pyi": for_checkers(origin, shared, ours),
        "_annotations/own.py": own(model, origin, shared),
    }


# --- what there is ----------------------------------------------------------------------------------------------


def structures(model: ServiceModel) -> Iterator[Typed]:
    """The common ones, those of requests, then those of replies."""
    for name, (members, optional) in COMMON.items():
        yield name, members, optional
    operations = [model.operation_model(name) for name in model.operation_names]
    requests = reachable(operation.input_shape for operation in operations)
    replies = reachable(operation.output_shape for operation in operations if operation.output_shape)
    tops = {operation.output_shape.name for operation in operations if operation.output_shape}
    for shape in requests.values():
        yield shape.name, written_members(shape), set(shape.members) - set(shape.required_members)
    for shape in replies.values():
        # What is sent may take looser forms than what comes back (any sequence, any kind of bytes).
        name = f"{shape.name}Output" if shape.name in requests else shape.name
        members = {name: read(member, set(requests)) for name, member in shape.members.items()}
        always = ALWAYS_THERE.get(shape.name, set())
        if shape.name in tops:
            members["ResponseMetadata"] = "ResponseMetadata"
            always = always | {"ResponseMetadata"}
        else:
            always = always | set(shape.required_members)
        if unknown := always - set(members):
            raise SystemExit(f"{shape.name} no longer has {sorted(unknown)}")
        yield name, members, set(members) - always


def options(model: ServiceModel) -> Iterator[Typed]:
    """Types of our own."""
    requests = reachable(model.operation_model(name).input_shape for name in model.operation_names)
    for name, (request, without, more) in OPTIONS.items():
        shape = requests[request]
        kept = {member: type_name for member, type_name in written_members(shape).items() if member not in without}
        yield name, {**kept, **more}, set(kept) - set(shape.required_members) | set(more)
    for name, (members, optional) in ERRORS.items():
        yield name, members, optional


def reachable(tops: Iterator[StructureShape]) -> dict[str, StructureShape]:
    """The structures below ``tops``, children first, by name."""
    found: dict[str, StructureShape] = {}

    def visit(shape: Shape) -> None:
        if shape.type_name == "list":
            visit(shape.member)
        elif shape.type_name == "map":
            visit(shape.value)
        elif shape.type_name == "structure" and shape.name not in found:
            for member in shape.members.values():
                visit(member)
            found[shape.name] = shape

    for top in tops:
        visit(top)
    return found


def written_members(shape: StructureShape) -> dict[str, str]:
    return {name: written(member, name) for name, member in shape.members.items()}


def written(shape: Shape, name: str = "") -> str:
    """The type of what is sent, in the member of that name."""
    match shape.type_name:
        case "structure":
            return str(shape.name)
        case "list":
            return f"Sequence[{'AttributeNameFilter' if name == 'AttributeNames' else written(shape.member)}]"
        case "map":
            return f"Mapping[{written(shape.key)}, {written(shape.value)}]"
        case "blob":
            return "bytes | bytearray | str | IO[bytes]"
        case _:
            return scalar(shape)


def read(shape: Shape, requests: set[str]) -> str:
    """The type of what comes back."""
    match shape.type_name:
        case "structure":
            return f"{shape.name}Output" if shape.name in requests else shape.name
        case "list":
            return f"list[{read(shape.member, requests)}]"
        case "map":
            return f"dict[{scalar(shape.key)}, {read(shape.value, requests)}]"
        case "blob":
            return "bytes"
        case _:
            return scalar(shape)


def scalar(shape: Shape) -> str:
    return shape.name if shape.name in LITERALS else SCALARS[shape.type_name]


def literals(model: ServiceModel) -> dict[str, str]:
    """The names of values, as the API reference has them, each with its type."""
    values = {name: model.shape_for(name).enum for name in LITERALS if name != "AttributeNameFilter"}
    both = {*values["QueueAttributeName"], *values["MessageSystemAttributeName"]}
    values["AttributeNameFilter"] = sorted(both)
    return {name: f"Literal[{', '.join(map(repr, listed))}]" for name, listed in values.items()}


# --- how it is written ------------------------------------------------------------------------------------------


def at_run_time(model: ServiceModel, origin: str, every: list[Typed]) -> str:
    return "\n".join(
        [
            f'"""Requests and replies for type checkers, {origin}',
            "",
            "The names are those of the AWS API reference. A member that a reply may lack is optional here, because",
            "the client leaves out what SQS leaves out. Beside them are the options of writers and iterators.",
            "",
            "A type checker takes the types of the stub packages in their place (mypy_boto3_sqs, types_boto3_sqs,",
            "types_aiobotocore_sqs) if one of them is installed: see `types.pyi`.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "from collections.abc import Mapping, Sequence",
            "from typing import IO, Literal, TypedDict",
            "",
            public([*LITERALS, *(name for name, _, _ in every)]),
            "",
            *(f"{name} = {values}" for name, values in literals(model).items()),
            "",
            *(line for typed in every for line in typed_dict(*typed)),
            "",
        ]
    )


def typed_dict(name: str, members: dict[str, str], optional: set[str]) -> Iterator[str]:
    """Python 3.10 has no ``NotRequired``: required members go into a base of their own."""

    def fields(chosen: set[str]) -> Iterator[str]:
        for member, type_name in members.items():
            if member in chosen:
                yield f"    {member}: {type_name}"

    required = set(members) - optional
    base = "TypedDict"
    if required and optional:
        base = f"_{name}Required"
        yield f"class {base}(TypedDict):"
        yield from fields(required)
        yield ""
    total = ", total=False" if optional else ""
    yield f"class {name}({base}{total}):"
    yield from fields(optional or required)
    yield ""


def checked(typed: Typed) -> Iterator[str]:
    """The same where a type checker alone reads it."""
    name, members, optional = typed
    yield f"class {name}(TypedDict):"
    for member, type_name in members.items():
        yield f"    {member}: {f'NotRequired[{type_name}]' if member in optional else type_name}"
    yield ""


def stub_name(name: str) -> str:
    """What the stub packages call a type."""
    return RENAMED.get(name) or f"{name}TypeDef"


def public(names: list[str]) -> str:
    return f"__all__ = {sorted(names)!r}"


def for_checkers(origin: str, shared: list[Typed], ours: list[Typed]) -> str:
    names = [name for name, _, _ in shared]
    return "\n".join(
        [
            f"# {origin[0].upper()}{origin[1:]}",
            "",
            "from collections.abc import Mapping, Sequence",
            "from typing import TypedDict",
            "",
            "from typing_extensions import NotRequired",
            "",
            *(f"from ._annotations.chosen import {stub_name(name)} as {name}" for name in sorted(names)),
            "",
            *(f"from ._annotations.own import _{name} as {name}" for name in LITERALS),
            "",
            public([*LITERALS, *names, *(name for name, _, _ in ours)]),
            "",
            *(line for typed in ours for line in checked(typed)),
        ]
    )


def own(model: ServiceModel, origin: str, shared: list[Typed]) -> str:
    def renamed(type_name: str) -> str:
        known = {name: stub_name(name) for name, _, _ in shared} | {name: f"_{name}" for name in LITERALS}
        return re.sub(r"\w+", lambda word: known.get(word[0], word[0]), type_name)

    lines: list[str] = []
    for name, members, optional in shared:
        typed = stub_name(name), {member: renamed(type_name) for member, type_name in members.items()}, optional
        lines += checked(typed)
    return "\n".join(
        [
            f'"""Types where there are no stub packages, {origin}',
            "",
            "They have the names that those packages give them.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "from collections.abc import Mapping, Sequence",
            "from typing import IO, TYPE_CHECKING, Literal, TypedDict",
            "",
            "if TYPE_CHECKING:",
            "    from typing_extensions import NotRequired",
            "",
            *(f"    _{name} = {values}" for name, values in literals(model).items()),
            "",
            *lines,
        ]
    )
