"""Names of code are the field's words, and a name of a type stands for one thing."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Words that were once names here and that nobody else uses for what they meant. ``docs/glossary.md`` has the others.
PRIVATE = {
    *("era", "eras", "slip", "slips", "letter", "letters", "bell", "verdict", "verdicts", "stock", "hungry", "starved"),
    *("spoiled", "company", "tally", "carriers", "trouble", "troubles", "troubled", "patience"),
}
#: Those of them that mean nothing in a sentence of ours, so that prose has none of them either.
PRIVATE_IN_PROSE = re.compile(
    r"\b(bells?|company|hungry|mailbox(es)?|slips?|spoiled|starved|tall(y|ies)|verdicts?)\b", re.IGNORECASE
)
#: SQS's own: a dead-letter queue.
SQS = re.compile(r"dead_?letter", re.IGNORECASE)

STRINGS_AND_COMMENTS = {
    ".rs": re.compile(
        r"""//[^\n]*|/\*.*?\*/|b?r(?P<hashes>\#*)".*?"(?P=hashes)|[bc]?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]+?|[^\\'\n])'""",
        re.DOTALL,
    ),
    ".py": re.compile(
        r"""\#[^\n]*|\"\"\".*?(?<!\\)\"\"\"|'''.*?(?<!\\)'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
    ),
}
STRINGS_AND_COMMENTS[".pyi"] = STRINGS_AND_COMMENTS[".py"]
TYPE = re.compile(r"(?m)^ *(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|union) (\w+)|^(?:pub(?:\([^)]*\))? )?type (\w+)")


def code(text: str, suffix: str) -> str:
    """A source without its comments and strings."""
    return STRINGS_AND_COMMENTS[suffix].sub(lambda match: "\n" * match[0].count("\n"), text)


def private(text: str, suffix: str) -> list[str]:
    """The names in a source that are, or contain, a private word."""
    found = []
    for identifier in re.findall(r"[A-Za-z_]\w*", code(text, suffix)):
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", SQS.sub("", identifier))
        if PRIVATE.intersection(part.lower() for part in parts):
            found.append(identifier)
    return found


def sources() -> list[Path]:
    return [
        path
        for folder in ("src", "python")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in STRINGS_AND_COMMENTS
    ]


def test_no_private_word_is_a_name() -> None:
    found = {str(path.relative_to(ROOT)): private(path.read_text(), path.suffix) for path in sources()}
    assert not {name: words for name, words in found.items() if words}


def test_no_private_word_is_in_prose() -> None:
    documents = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in (*sources(), *documents)}
    assert len(texts) > 150
    found = {name: sorted({match[0] for match in PRIVATE_IN_PROSE.finditer(text)}) for name, text in texts.items()}
    assert not {name: words for name, words in found.items() if words}


@pytest.mark.parametrize("name", ["era", "BatchEra", "era_of", "MAX_PATIENCE", "letters", "Stock"])
def test_a_private_word_is_seen(name: str) -> None:
    assert private(f'let {name} = "stock"; // patience', ".rs") == [name]
    assert private(f'{name} = "stock"  # patience', ".py") == [name]


@pytest.mark.parametrize("name", ["operator", "iterations", "dead_letter_queue", "ListDeadLetterSourceQueues", "tall"])
def test_an_ordinary_word_is_no_private_one(name: str) -> None:
    assert not private(name, ".rs")


def only_for_tests(path: Path, text: str) -> set[Path]:
    """The files below a module that are compiled for tests alone."""
    folder = path.parent if path.name == "lib.rs" else path.with_suffix("")
    names = re.findall(r"#\[cfg\(test\)\]\n(?:pub(?:\([^)]*\))? )?mod (\w+);", text)
    return {file for name in names for file in (folder / f"{name}.rs", *(folder / name).rglob("*.rs"))}


def product_code() -> dict[Path, str]:
    """The Rust sources without what is compiled for tests alone, comments and strings; lines stay where they are."""
    files = {path: path.read_text() for path in sorted((ROOT / "src").rglob("*.rs"))}
    excluded = {file for path, text in files.items() for file in only_for_tests(path, text)}
    return {path: code(text, ".rs").split("mod tests {")[0] for path, text in files.items() if path not in excluded}


def test_a_type_name_stands_for_one_thing() -> None:
    """But for a class of Python's, which may have the name of what it binds."""
    places: dict[str, list[str]] = defaultdict(list)
    bindings: dict[str, list[str]] = defaultdict(list)
    for path, text in product_code().items():
        for match in TYPE.finditer(text):
            binds = text[: match.start()].rstrip().rpartition("\n\n")[2].find("#[pyclass") >= 0
            (bindings if binds else places)[match[1] or match[2]].append(str(path.relative_to(ROOT / "src")))
    assert len(places) > 100
    assert len(bindings) > 5
    assert not {name: paths for found in (places, bindings) for name, paths in found.items() if len(paths) > 1}


def undocumented(text: str, product: str) -> list[str]:
    """The types of a source that no doc comment stands before; those within a function serve it alone."""
    lines = text.split("\n")
    found = []
    for match in TYPE.finditer(product):
        above = product.count("\n", 0, match.start()) - 1
        while lines[above].startswith("#["):
            above -= 1
        if not match[0].startswith(" ") and not lines[above].startswith("///"):
            found.append(match[1] or match[2])
    return found


def test_a_type_says_what_it_is() -> None:
    found = {str(path.relative_to(ROOT)): undocumented(path.read_text(), text) for path, text in product_code().items()}
    assert not {name: types for name, types in found.items() if types}


def test_a_type_that_says_nothing_is_seen() -> None:
    source = "/// A.\n#[derive(Debug)]\npub(super) struct A;\n\n// No doc comment.\n#[derive(Debug)]\nenum B {}\n"
    assert undocumented(source, code(source, ".rs")) == ["B"]
