"""Every block of code of the documentation's site is run, page by page, and every command in it exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import turbosqs

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(turbosqs.__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
#: For pages about web frameworks (`make python` makes it).
FRAMEWORKS = Path(sys.prefix) / "examples" / "bin" / "python"
BLOCK = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
#: What needs no running: figures, pictures, files of other programs.
INERT = {"text", "yaml", "ini", "json", "toml"}


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in BLOCK.findall(page.read_text("utf-8")) if found == language]


def test_every_block_has_a_language_that_is_tried() -> None:
    found = {language for page in PAGES for language, _ in BLOCK.findall(page.read_text("utf-8"))}
    assert found <= {"python", "console", *INERT}
    assert {"python", "console"} <= found


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_code_of_a_page(page: Path, server: Any, tmp_path: Path) -> None:
    """Its blocks are one program, as they would be typed one after another; there is a queue called orders."""
    server.create_queue("orders", {"VisibilityTimeout": "30"})
    program = tmp_path / f"page_{page.stem}.py"
    program.write_text("\n\n".join(blocks(page, "python")), "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(PACKAGE),
        "AWS_ENDPOINT_URL_SQS": server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    code = program.read_text("utf-8")
    python = str(FRAMEWORKS) if re.search(r"(?m)^from (flask|fastapi) ", code) else sys.executable
    as_tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "\ndef test_" in code else []
    command = [python, *as_tests, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()]
    return sorted({line.removeprefix("$ ") for line in lines if line.startswith("$ turbosqs ")})


@pytest.mark.parametrize("command", commands())
def test_a_command(command: str) -> None:
    """The command exists, and its help knows each option."""
    _, name, *rest = shlex.split(command)
    asked = [sys.executable, "-m", "turbosqs", name, "--help"]
    text = subprocess.run(asked, capture_output=True, text=True, timeout=55, check=True).stdout
    # What follows a script's name is the script's.
    options = rest[: next((place for place, word in enumerate(rest) if word.endswith(".py")), len(rest))]
    if name != "run" or "celery" not in rest:
        assert all(option in text for option in options if option.startswith("--")), text


def test_make_has_what_the_pages_name() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8")))
    named = {target for page in PAGES for target in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))}
    assert named
    assert named <= targets
