"""The generated half of the Python surface: methods, and the model as Python data; types are ``python_types.py``'s.

``generate_model.py`` calls ``files`` with botocore's model; the sentences that describe an operation are ours and
live here, everything else (members, types, which are required, which errors) is the model's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import python_types
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, Shape
from python_types import SCALARS

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "turbosqs"

# What an operation does, in a sentence.
SENTENCES = {
    "AddPermission": "Let other AWS accounts use chosen actions of a queue, under a label by which to take it back.",
    "CancelMessageMoveTask": "Stop a task that moves messages out of a dead-letter queue; what has moved stays moved.",
    "ChangeMessageVisibility": "Set how long, from now, a received message stays hidden from other receivers.",
    "ChangeMessageVisibilityBatch": "Set the remaining hidden time of up to ten received messages, each its own.",
    "CreateQueue": "Make a queue, or find the one of that name if its attributes agree, and tell its URL.",
    "DeleteMessage": "Remove a received message for good; its receipt handle names it.",
    "DeleteMessageBatch": "Remove up to ten received messages for good; each may succeed or fail on its own.",
    "DeleteQueue": "Remove a queue with everything in it; its name is free again after 60 seconds.",
    "GetQueueAttributes": "Read settings and approximate counts of a queue.",
    "GetQueueUrl": "Find the URL of a queue by its name.",
    "ListDeadLetterSourceQueues": "List the queues whose redrive policy names this one, a page at a time.",
    "ListMessageMoveTasks": "Show the latest tasks that move messages out of a dead-letter queue, newest first.",
    "ListQueueTags": "Read all tags of a queue.",
    "ListQueues": "List the URLs of queues in the region, all or by a prefix of their names, a page at a time.",
    "PurgeQueue": "Throw away every message in a queue; allowed once in 60 seconds.",
    "ReceiveMessage": "Take up to ten messages and hide them from others, waiting for some to come if asked to.",
    "RemovePermission": "Take back the permission that was given under a label.",
    "SendMessage": "Put one message on a queue.",
    "SendMessageBatch": "Put up to ten messages on a queue in one request; each may succeed or fail on its own.",
    "SetQueueAttributes": "Change settings of a queue; a change may take 60 seconds to reach everywhere.",
    "StartMessageMoveTask": "Move messages from a dead-letter queue back to where they came from, or elsewhere.",
    "TagQueue": "Add tags to a queue, or overwrite those of the same keys.",
    "UntagQueue": "Remove tags from a queue by their keys.",
}


def files(model: ServiceModel, paginators: dict[str, Any], origin: str) -> dict[Path, str]:
    """Every generated Python file with its text; ``origin`` says in their first lines where they come from."""
    if set(SENTENCES) != set(model.operation_names):
        raise SystemExit(f"operations without or beyond a sentence: {set(SENTENCES) ^ set(model.operation_names)}")
    sources = {
        "_operations.py": operations(model, paginators, origin),
        "_operations.pyi": operations_stub(model),
        "_model.py": model_data(model, origin),
        **python_types.files(model, origin),
    }
    return {PACKAGE / name: formatted(name, source) for name, source in sources.items()}


def formatted(name: str, source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / name), "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


# --- the methods ------------------------------------------------------------------------------------------------


def operations(model: ServiceModel, paginators: dict[str, Any], origin: str) -> str:
    names = list(model.operation_names)
    methods = {xform_name(name): name for name in names}
    paging = {
        xform_name(name): {field: config[field] for field in ("input_token", "output_token", "limit_key", "result_key")}
        for name, config in paginators.items()
    }
    return "\n".join(
        [
            f'"""The operations of SQS as methods, {origin}"""',
            "",
            "from __future__ import annotations",
            "",
            "from ._signatures import takes",
            "",
            f"API_VERSION = {model.api_version!r}",
            f"METHOD_TO_API = {methods!r}",
            f"PAGINATORS = {paging!r}",
            f"ERRORS = {tuple(shape.name for shape in model.error_shapes)!r}",
            "",
            "",
            "class Errors:",
            '    """A class for each of ``ERRORS``, which are made at run time; see ``errorfactory``."""',
            "",
            "class Operations:",
            '    """The 23 operations, each a call of ``self._make_api_call``, which the client supplies.',
            "",
            "    What a method returns is what ``_make_api_call`` returns: the reply, or something to await it by.",
            '    """',
            "",
            *(method(model.operation_model(name)) for name in names),
            "",
            "# They differ in what `_make_api_call` returns, and so in their types alone.",
            "AsyncOperations = Operations",
        ]
    )


def method(operation: OperationModel) -> str:
    name = xform_name(operation.name)
    # A list of positional arguments only to refuse it with boto3's words; an empty one costs no allocation.
    return f'''
    def {name}(self, *args, **kwargs):
        """{SENTENCES[operation.name]}

{docstring(operation)}
        """
        if args:
            raise TypeError("{name}() only accepts keyword arguments.")
        return self._make_api_call("{operation.name}", kwargs)

    takes({name}, "{operation.input_shape.name}")
'''


def docstring(operation: OperationModel) -> str:
    members = operation.input_shape.members
    required = set(operation.input_shape.required_members)
    lines = ["Called like this, with what is not required left out::", ""]
    lines += [f"    {line}" for line in call(operation)]
    lines += ["", "Args:"]
    for name, shape in members.items():
        lines.append(f"    {name}: {spoken(shape)}" + (", required" if name in required else ""))
    if operation.output_shape is None or not operation.output_shape.members:
        lines += ["", "Returns:", "    A dict with ``ResponseMetadata`` alone."]
    else:
        lines += ["", "Returns:", "    A dict with ``ResponseMetadata`` and, where there is something to tell:"]
        lines += [f"    {name}: {spoken(shape)}" for name, shape in operation.output_shape.members.items()]
    lines += ["", "Raises:", "    From ``client.exceptions``:"]
    lines += wrapped([shape.name for shape in operation.error_shapes] + ["ClientError for any other refusal."])
    return "\n".join(" " * 8 + line if line else "" for line in lines)


def call(operation: OperationModel) -> list[str]:
    """A call with every argument, as lines of Python."""
    lines = [f"client.{xform_name(operation.name)}("]
    for name, shape in operation.input_shape.members.items():
        lines += assigned(f"{name}=", shape)
    return [*lines, ")"]


def assigned(before: str, shape: Shape) -> list[str]:
    """An argument or a member with a value of its type."""
    first, *rest = example(shape)
    lines = [before + first, *rest]
    lines[-1] += ","
    return [f"    {line}" for line in lines]


def example(shape: Shape) -> list[str]:
    match shape.type_name:
        case "structure":
            inner = [line for name, member in shape.members.items() for line in assigned(f'"{name}": ', member)]
            return ["{", *inner, "}"]
        case "list":
            return surrounded("[", example(shape.member), "]")
        case "map":
            first, *rest = example(shape.value)
            return surrounded("{", [f'"{(shape.key.enum or ["name"])[-1]}": {first}', *rest], "}")
        case "blob":
            return ['b"..."']
        case "string":
            return [f'"{shape.enum[0]}"' if shape.enum else '"..."']
        case "boolean":
            return ["True"]
        case _:
            return ["123"]


def surrounded(before: str, lines: list[str], after: str) -> list[str]:
    if len(lines) == 1:
        return [before + lines[0] + after]
    return [before + lines[0], *lines[1:-1], lines[-1] + after]


def wrapped(words: list[str], width: int = 100) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 2 > width:
            lines[-1] += ","
            lines.append("")
        lines[-1] += (", " if lines[-1] else "    ") + word
    return ["    " + line.strip() for line in lines]


def spoken(shape: Shape) -> str:
    """A type as the docstrings say it."""
    match shape.type_name:
        case "structure":
            return f"dict (``turbosqs.types.{shape.name}``)"
        case "list":
            return f"list of {spoken(shape.member)}"
        case "map":
            return f"dict of str to {spoken(shape.value)}"
        case "blob":
            return "bytes"
        case scalar:
            known: str = SCALARS[scalar]
            return known


def operations_stub(model: ServiceModel) -> str:
    names = list(model.operation_names)
    return "\n".join(
        [
            "from typing_extensions import Never, Unpack",
            "",
            "from . import types",
            "from ._exceptions import ClientError",
            "",
            "API_VERSION: str",
            "METHOD_TO_API: dict[str, str]",
            "PAGINATORS: dict[str, dict[str, str]]",
            "ERRORS: tuple[str, ...]",
            "",
            "class Errors:",
            *(f"    {shape.name}: type[ClientError]" for shape in model.error_shapes),
            "",
            *stub_class("Operations", "def", model, names),
            "",
            *stub_class("AsyncOperations", "async def", model, names),
            "",
        ]
    )


def stub_class(name: str, define: str, model: ServiceModel, operations: list[str]) -> Iterator[str]:
    """The typed form of the methods: ``def``, or ``async def`` for a client whose methods are awaited."""
    yield f"class {name}:"
    for operation in map(model.operation_model, operations):
        request = f"types.{operation.input_shape.name}"
        result = f"types.{operation.output_shape.name}" if operation.output_shape else "types.EmptyResult"
        yield f"    {define} {xform_name(operation.name)}("
        yield f"        self, *args: Never, **kwargs: Unpack[{request}]"
        yield f"    ) -> {result}: ..."


# --- the model as data, for ``meta.service_model`` where botocore is not installed --------------------


def model_data(model: ServiceModel, origin: str) -> str:
    operations = {}
    tops = list(model.error_shapes)
    for operation in map(model.operation_model, model.operation_names):
        output = operation.output_shape
        errors = tuple(shape.name for shape in operation.error_shapes)
        operations[operation.name] = (operation.input_shape.name, output.name if output else None, errors)
        tops += [operation.input_shape] + ([output] if output else [])
    shapes = {shape.name: flat(shape) for shape in every_shape(tops)}
    metadata = {key: model.metadata[key] for key in ("apiVersion", "endpointPrefix", "protocol", "serviceId", "uid")}
    return "\n".join(
        [
            f'"""The service model as Python data, {origin}"""',
            "",
            "from __future__ import annotations",
            "",
            f"METADATA: dict[str, str] = {metadata!r}",
            "# Operation: input, output, errors.",
            f"OPERATIONS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {operations!r}",
            "# Shape: type, then its members, its member or its key and value, then the required members.",
            f"SHAPES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {shapes!r}",
        ]
    )


def every_shape(tops: list[Shape]) -> Iterator[Shape]:
    seen: set[str] = set()

    def visit(shape: Shape) -> Iterator[Shape]:
        if shape.name in seen:
            return
        seen.add(shape.name)
        yield shape
        for child in children(shape).values():
            yield from visit(child)

    for top in tops:
        yield from visit(top)


def children(shape: Shape) -> dict[str, Shape]:
    match shape.type_name:
        case "structure":
            return dict(shape.members)
        case "list":
            return {"member": shape.member}
        case "map":
            return {"key": shape.key, "value": shape.value}
        case _:
            return {}


def flat(shape: Shape) -> tuple[str, dict[str, str], tuple[str, ...]]:
    members = {name: child.name for name, child in children(shape).items()}
    return shape.type_name, members, tuple(getattr(shape, "required_members", ()))
