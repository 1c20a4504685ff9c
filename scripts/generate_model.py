"""Write the service model as data: ``src/model/table.rs``, from botocore's published SQS model.

    python scripts/generate_model.py          rewrite the table
    python scripts/generate_model.py --check  fail (exit 1) when the table in the tree is stale

The table is the only place where an operation, a member or an error of SQS is named; the marshaller, the
unmarshaller and the transport walk it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

TABLE = Path(__file__).resolve().parent.parent / "src" / "model" / "table.rs"


def load() -> tuple[ServiceModel, dict[str, Any]]:
    """botocore's SQS model and its paginators."""
    loader = Loader()
    model = ServiceModel(loader.load_service_model("sqs", "service-2"), "sqs")
    paginators = loader.load_service_model("sqs", "paginators-1")["pagination"]
    return model, paginators


def errors(model: ServiceModel) -> list[Shape]:
    """The modelled exceptions, in the model's order."""
    return list(model.error_shapes)


def structures(model: ServiceModel) -> Iterator[StructureShape]:
    """Every structure that an operation or an error reaches, children first, each once."""
    seen: set[str] = set()

    def visit(shape: Shape) -> Iterator[StructureShape]:
        if shape.type_name == "list":
            yield from visit(shape.member)
        elif shape.type_name == "map":
            if shape.key.type_name != "string":
                raise SystemExit(f"{shape.name}: map keys of type {shape.key.type_name} are not in the table's language")
            yield from visit(shape.value)
        elif shape.type_name == "structure" and shape.name not in seen:
            seen.add(shape.name)
            for member in shape.members.values():
                yield from visit(member)
            yield shape

    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape):
            if shape is not None:
                yield from visit(shape)
    for shape in errors(model):
        yield from visit(shape)


def constant(name: str) -> str:
    """``SendMessageResult`` as ``SEND_MESSAGE_RESULT``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


def shape_expression(shape: Shape) -> str:
    # The table's language has what SQS uses; a model that grows beyond it must stop here, not lose a rule.
    if unknown := set(shape.metadata) & {"min", "max", "pattern", "document", "union"}:
        raise SystemExit(f"{shape.name}: constraints {sorted(unknown)} are not in the table's language")
    match shape.type_name:
        case "string":
            return "Shape::String"
        case "integer" | "long":
            return "Shape::Integer"
        case "boolean":
            return "Shape::Boolean"
        case "blob":
            return "Shape::Blob"
        case "list":
            return f"Shape::List(&{shape_expression(shape.member)})"
        case "map":
            return f"Shape::Map(&{shape_expression(shape.value)})"
        case "structure":
            return f"Shape::Structure(&{constant(shape.name)})"
        case other:
            raise SystemExit(f"{shape.name}: type {other} is not in the table's language")


def structure_static(shape: StructureShape) -> str:
    members = "".join(
        f"Member {{ name: {quoted(name)}, shape: {shape_expression(member)} }}," for name, member in shape.members.items()
    )
    required = ", ".join(quoted(name) for name in shape.required_members)
    return (
        f"pub static {constant(shape.name)}: Structure = Structure {{ name: {quoted(shape.name)}, "
        f"members: &[{members}], required: &[{required}] }};"
    )


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def optional(text: str | None) -> str:
    return "None" if text is None else f"Some({text})"


def reference(shape: Shape | None) -> str:
    return optional(None if shape is None else f"&{constant(shape.name)}")


def operation_static(operation: OperationModel, paginator: dict[str, Any] | None) -> str:
    paging = None
    if paginator is not None:
        fields = ("input_token", "output_token", "limit_key", "result_key")
        if set(paginator) != set(fields):
            raise SystemExit(f"{operation.name}: paginator fields {sorted(paginator)} are not in the table's language")
        paging = "Paginator {" + ", ".join(f"{field}: {quoted(paginator[field])}" for field in fields) + "}"
    return (
        f"Operation {{ action: Action::{operation.name}, name: {quoted(operation.name)}, "
        f"method: {quoted(xform_name(operation.name))}, input: &{constant(operation.input_shape.name)}, "
        f"output: {reference(operation.output_shape)}, paginator: {optional(paging)} }}"
    )


def error_expression(shape: StructureShape) -> str:
    query = shape.metadata.get("error", {}).get("code")
    return (
        f"ErrorShape {{ name: {quoted(shape.name)}, query_code: {optional(quoted(query) if query else None)}, "
        f"structure: &{constant(shape.name)} }}"
    )


def table() -> str:
    model, paginators = load()
    if model.metadata["protocol"] != "json" or "awsQueryCompatible" not in model.metadata:
        raise SystemExit("the core speaks the JSON protocol with query-compatible errors; the model no longer does")
    names = list(model.operation_names)
    operations = ",\n".join(operation_static(model.operation_model(name), paginators.get(name)) for name in names)
    error_shapes = ",\n".join(error_expression(shape) for shape in errors(model))
    lines = [
        f"//! The SQS service model, generated by `scripts/generate_model.py` from botocore {botocore.__version__}. Do not edit.",
        "",
        "use super::{ErrorShape, Member, Operation, Paginator, Shape, Structure};",
        "",
        "/// What SQS can be asked to do; the AWS API reference calls these actions.",
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]",
        "pub enum Action {" + ", ".join(names) + "}",
        "",
        f"pub const API_VERSION: &str = {quoted(model.api_version)};",
        f"pub const SERVICE_ID: &str = {quoted(str(model.metadata['serviceId']))};",
        f"pub const TARGET_PREFIX: &str = {quoted(model.metadata['targetPrefix'])};",
        f"pub const JSON_VERSION: &str = {quoted(model.metadata['jsonVersion'])};",
        "",
        "/// Every operation, in the order of `Action`.",
        f"pub static OPERATIONS: [Operation; {len(names)}] = [{operations}];",
        "",
        "/// Every modelled error, in the model's order.",
        f"pub static ERRORS: [ErrorShape; {len(errors(model))}] = [{error_shapes}];",
        "",
        *(structure_static(shape) for shape in structures(model)),
        "",
    ]
    return rustfmt("\n".join(lines))


def rustfmt(source: str) -> str:
    command = ["rustfmt", "--edition", "2024", "--emit", "stdout", "--config-path", str(TABLE.parents[2])]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the table is stale")
    arguments = parser.parse_args()
    fresh = table()
    if arguments.check:
        if TABLE.read_text(encoding="utf-8") != fresh:
            print(f"{TABLE} is stale for botocore {botocore.__version__}: run scripts/generate_model.py", file=sys.stderr)
            return 1
        return 0
    TABLE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
