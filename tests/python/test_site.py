"""Every block of code of the documentation's site is run, page by page; every command in it exists, and so does the one
that makes each figure."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import turbosqs
import turbosqs.aio
import turbosqs.telemetry

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(turbosqs.__file__).parent.parent
DOCS = ROOT / "docs"
#: Kept with the code, and off the site (`exclude_docs` of mkdocs.yml).
EXCLUDED = DOCS / "measurements.md"
SITE = sorted(set(DOCS.rglob("*.md")) - {EXCLUDED})
PAGES = [*SITE, ROOT / "README.md"]
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


#: What something takes, as a number with the unit of a measurement, or as the word for such a unit.
FIGURE = re.compile(
    r"(?<![\w.,])(?:[1-9][\d,.]*x\b|\d[\d,.]*(?:"
    r" ?(?:µs|us|ns|ms|kB|KB|MB|GB|%)(?!\w)"
    r"| times\b|(?: \w+){0,2} a second\b| of CPU\b"
    r"))|\b(?:nano|micro|milli)seconds?\b"
)

#: How a figure is made: a command that makes it again.
COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/[a-z]+/bin/)?(?:make (?P<target>[a-z-]+)\b|pytest .*?(?P<tests>tests/[\w/.]+)"
    r"|python (?P<script>benches/\w+\.py)|python -m (?P<module>benches(?:\.\w+)?|support\.\w+))"
)

#: A page that a command writes.
WRITTEN = {"bench.md": "Written by `make bench`.", "scale.md": "`make scale` writes this page"}

#: What has such a unit and was not measured: settings, what one gives or is given, the form of an output.
SAID = {
    "batching.md": ["or for 2 ms"],
    "celery.md": ["Where the service takes 5 ms"],
    "cost.md": ['"Each 64 KB chunk', "ten short polls a second"],
    "testing.md": ["200 - 0.1 ms", "NonExistentQueue 0.0 ms"],
    "design/benches.md": ["the SQS beside it after 5 ms"],
    "design/celery.md": ["A poll waits up to 10 ms", "linger for 20 ms", "messages a second. One that fails"],
    "design/receiving.md": ["10 ms linger"],
    "design/transport.md": ["50 ms base", "and for 10 ms at least"],
}


def paragraphs(text: str) -> list[str]:
    """Paragraphs, items of lists, and tables; a table is one with the paragraph that stands before it."""
    found: list[str] = []
    for piece in re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) )", text):
        if piece.lstrip().startswith("|") and found:
            found[-1] += f"\n\n{piece}"
        else:
            found.append(piece)
    return found


def commands_of(paragraph: str) -> list[re.Match[str]]:
    """The commands that a paragraph names, between backticks, that make figures."""
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", paragraph)
    return [command for span in spans if (command := COMMAND.match(" ".join(span.split())))]


def unfounded(text: str) -> list[str]:
    """The figures of a page in whose paragraph no command is named."""
    return [
        f"{figure[0]} in: {' '.join(paragraph.split())[:200]}"
        for paragraph in paragraphs(text)
        if not commands_of(paragraph)
        for figure in FIGURE.finditer(paragraph)
    ]


@pytest.mark.parametrize("page", SITE, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_figure_names_the_command_that_makes_it(page: Path) -> None:
    """In its own paragraph; for a table, in that before it."""
    name, text = page.relative_to(DOCS).as_posix(), page.read_text("utf-8")
    for said in SAID.get(name, ()):
        assert said in text, f"no longer on the page: {said}"
        text = text.replace(said, "")
    if name in WRITTEN:
        assert WRITTEN[name] in text
    else:
        assert unfounded(text) == []


def test_the_commands_that_make_figures_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8")))
    named = [
        command
        for page in SITE
        for paragraph in paragraphs(page.read_text("utf-8"))
        for command in commands_of(paragraph)
    ]
    assert {"bench"} <= {command["target"] for command in named} - {None} <= targets
    for command in named:
        for path in (command["tests"], command["script"]):
            assert path is None or (ROOT / path).exists(), command[0]
        if module := command["module"]:
            place = ROOT / ("" if module.startswith("benches") else "tests/python") / module.replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").exists(), command[0]


def test_the_site_leaves_out_what_is_said_to_be() -> None:
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert re.search(rf"(?m)^exclude_docs: {EXCLUDED.name}$", settings)
    listed = set(re.findall(r": ([\w/-]+\.md)$", settings, re.MULTILINE)) - {EXCLUDED.name}
    assert listed == {page.relative_to(DOCS).as_posix() for page in SITE}
    # Such a link is a broken one, which the build tells without failing.
    linking = [page.name for page in SITE if re.search(rf"\]\((?:\.\./)*{EXCLUDED.name}", page.read_text("utf-8"))]
    assert linking == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A call takes 3.5 µs here.", ["3.5 µs"]),
        ("It takes microseconds, and 1,000 tasks a second.", ["microseconds", "1,000 tasks a second"]),
        ("It is 12x quicker, 40 times in all, for 90 us of CPU and 3 %", ["12x", "40 times", "90 us", "3 %"]),
        ("By `make bench`:\n\n| a | 3 ms |\n|---|---|", []),
        ("By `make bench`.\n\nIt takes 3 ms.", ["3 ms"]),
        ("* `make bench`\n* 3 ms", ["3 ms"]),
        ("By hand:\n\n| a | 3 ms |\n|---|---|", ["3 ms"]),
        ("3 MB by `TURBOSQS_FLEET=9 pytest -s tests/python/receiving/test_fleet.py`", []),
        ("3 MB by `PYTHONPATH=tests/python python -m support.exits`", []),
        ("3 MB, as `python -m turbosqs` says", ["3 MB"]),
        ("Bodies of 64 KiB, 1 MiB, leases of 30 s, version 0.3x, three times, 10 minutes", []),
    ],
)
def test_a_figure_without_its_command_is_found(text: str, found: list[str]) -> None:
    assert [each.partition(" in: ")[0] for each in unfounded(text)] == found


#: Public names that the reference explains in a sentence, or elsewhere: modules, the default session and its methods.
ELSEWHERE = {"DEFAULT_SESSION", "aio", "client", "exceptions", "local", "resource", "session", "setup_default_session"}


def test_the_reference_has_every_public_name() -> None:
    shown = set(re.findall(r"(?m)^::: turbosqs\.([\w.]+)$", (DOCS / "reference.md").read_text("utf-8")))
    found = [attrgetter(name)(import_all(name)) for name in shown]
    for module in (turbosqs, turbosqs.aio, turbosqs.telemetry):
        names = set(module.__all__) - ELSEWHERE - {"Instrumentor", "telemetry"}
        assert [name for name in sorted(names) if not any(getattr(module, name) is each for each in found)] == []


def import_all(name: str) -> Any:
    """The package, with the modules on the way to a name imported."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        import_module(".".join(["turbosqs", *parts[:end]]))
    return turbosqs


#: Files of other projects that pages speak of.
OTHERS = {"tests/test_sqs.py"}


def test_the_files_that_pages_name_are_there() -> None:
    """Each by the end of its path, as pages name them."""
    folders = ("benches", "examples", "python", "scripts", "src", "tests")
    there = [f"/{path.relative_to(ROOT).as_posix()}" for folder in folders for path in (ROOT / folder).rglob("*.*")]
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        named = set(re.findall(r"`(?:\.\./)?([\w/.-]+\.(?:py|pyi|rs))`", page.read_text("utf-8"))) - OTHERS
        gone = {name for name in named if not any(path.endswith(f"/{name}") for path in there)}
        assert not gone, f"{page.name} names what is not there"
