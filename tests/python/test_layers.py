"""The modules of the package import what the list in its docstring has below them, and nothing above."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import turbosqs

PACKAGE = Path(turbosqs.__file__).parent


def listed(docstring: str) -> list[str]:
    """The modules, outermost first."""
    return re.findall(r"(?m)^- `(\w+)` ", docstring)


def imports(source: str, package: tuple[str, ...]) -> set[str]:
    """The modules of the package that a module of it imports, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(*base, *str(name).split("."))[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] == "turbosqs":
            inner = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            found |= set(inner)
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("turbosqs.")}
    return found


def violations(modules: list[str], name: str, imported: set[str]) -> list[str]:
    above = modules[: modules.index(name)]
    return [f"{name} imports {other}, which stands above it" for other in sorted(imported) if other in above]


def test_no_module_imports_one_above_it() -> None:
    modules = listed(turbosqs.__doc__ or "")
    found = []
    seen = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        name = relative.parts[0].removesuffix(".py")
        if name == "__init__":
            continue
        seen.add(name)
        assert name in modules, f"{name} is missing from the list in the docstring of turbosqs"
        found += violations(modules, name, imports(path.read_text(), relative.parts[:-1]))
    assert not found
    assert set(modules) == seen


def test_an_upward_import_is_seen_however_it_is_written() -> None:
    modules = ["session", "sqs", "base"]
    for source in (
        "from .session import Session",
        "from . import session",
        "def f():\n    from .session import Session",
        "import turbosqs.session",
        "from turbosqs.session import Session",
        "from turbosqs import session",
    ):
        assert violations(modules, "base", imports(source, ())), source
    assert violations(modules, "sqs", imports("from ..session import Session", ("sqs",)))
    for source in ("from .base import Base", "from botocore import session", "import session"):
        assert not violations(modules, "sqs", imports(source, ())), source
