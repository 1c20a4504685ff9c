"""Docstrings have one form: the same headings everywhere, and `Args:` names what can be passed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import turbosqs

PACKAGE = Path(turbosqs.__file__).parent
HEADINGS = {"Args", "Attributes", "Raises", "Returns", "Yields"}
#: The indentation of a docstring's text is no part of it.
HEADING = re.compile(r"(?m)^(?! )([A-Z]\w*):$")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def section(docstring: str, heading: str) -> list[str]:
    """The names that are explained under a heading."""
    _, found, rest = f"\n{docstring}".partition(f"\n{heading}:\n")
    lines = rest.split("\n\n")[0].splitlines() if found else []
    entries = [line for line in lines if re.match(r" {4}\S", line)]
    return [name.strip("`* ") for line in entries for name in line.partition(":")[0].split(",")]


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[set[str], bool]:
    """The names that a function takes, and whether it takes others as well."""
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return {argument.arg for argument in every if argument}, node.args.kwarg is not None


def complaints(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        docstring = ast.get_docstring(node) if isinstance(node, Documented) else None
        if docstring is None:
            continue
        name = getattr(node, "name", "module")
        found += [f"{name}: {heading}" for heading in HEADING.findall(docstring) if heading not in HEADINGS]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken, is_open = parameters(node)
            unknown = [argument for argument in section(docstring, "Args") if argument not in taken]
            found += [] if is_open else [f"{name} takes no {argument}" for argument in unknown]
    return found


def test_docstrings_have_one_form() -> None:
    found = {str(path.relative_to(PACKAGE)): complaints(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert len(found) > 40
    assert not {name: each for name, each in found.items() if each}


@pytest.mark.parametrize(
    ("docstring", "complaint"),
    [
        ("Arguments:\n        taken: it.", "f: Arguments"),
        ("Args:\n        other: it.", "f takes no other"),
        ("Args:\n        taken, other: it.", "f takes no other"),
        ("Args:\n        taken: it,\n            whole: and so on.\n\n    Raises:\n        ValueError: no.", None),
    ],
)
def test_another_form_is_seen(docstring: str, complaint: str | None) -> None:
    source = f'def f(taken):\n    """A function.\n\n    {docstring}\n    """'
    assert complaints(source) == ([complaint] if complaint else [])
