"""Tests that need what one platform has are marked so, and the suite can be run on another: ``support/needs.py``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support import needs

TESTS = Path(__file__).parent

#: What is in the source of a test that needs a mark, or of a script that it has as a text.
SIGNS = {
    "FORK": r"\bos\.fork\(|get_context\(\"fork\"\)|\.waitpid\(",
    "SIGNALS": r"\bSIG(?:KILL|HUP|USR1|STOP|CONT|QUIT|TERM|INT)\b|\bsetitimer\(|\bpthread_kill\b",
    "PROC": r"[\"']/proc/",
    "RESOURCE": r"\bimport resource\b",
    "SCRIPTS": r"#!/bin/sh|\bsh -c\b|credential_process = echo|\.chmod\(",
    "LOOPBACK": r"\(\"127\.0\.0\.2\", None",
    "BACKLOG": r"\bblack_hole\(",
}
assert set(SIGNS) == {name for name, mark in vars(needs).items() if isinstance(mark, pytest.MarkDecorator)}


def lacking(source: str) -> dict[str, set[str]]:
    """The tests of a module that have such a sign, or use a part of it that has, with the marks that they lack."""
    parts: dict[str, ast.stmt] = {}
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                parts[node.name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                parts[name] = node
    lines = source.splitlines()
    texts = {}
    for name, node in parts.items():
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        texts[name] = "\n".join(lines[first - 1 : node.end_lineno])
    marks_of_all = set(re.findall(r"needs\.(\w+)", "\n".join(re.findall(r"(?m)^pytestmark = .+(?:\n .+)*", source))))
    wanted = {name: {mark for mark, sign in SIGNS.items() if re.search(sign, text)} for name, text in texts.items()}
    found = {}
    for name in texts:
        used, reached = {name}, [name]
        while reached:
            text = texts[reached.pop()]
            more = {other for other in texts if other not in used and re.search(rf"\b{other}\b", text)}
            used |= more
            reached += more
        marked = set(re.findall(r"needs\.(\w+)", texts[name])) | marks_of_all
        missing = set().union(*(wanted[each] for each in used)) - marked
        if name.startswith("test") and missing:
            found[name] = missing
    return found


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS)).removesuffix(".py")
)
def test_what_not_every_platform_has_is_marked(path: Path) -> None:
    if path != Path(__file__):
        assert lacking(path.read_text()) == {}


def test_what_lacks_a_mark_is_seen() -> None:
    helper = "def helper():\n    '''os.fork()'''\n\n"
    assert lacking(helper + "def test():\n    helper()\n") == {"test": {"FORK"}}
    assert lacking(helper + "@needs.FORK\ndef test():\n    helper()\n") == {}
    assert lacking(helper + "pytestmark = [needs.FORK]\ndef test(helper):\n    pass\n") == {}
    assert lacking(helper + "def test():\n    pass\n") == {}
