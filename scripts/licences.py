"""The licences of all that is linked into the extension module: THIRD-PARTY-LICENSES.txt, which goes into every wheel.

    python scripts/licences.py           write it, from the sources of the crates that Cargo.lock names
    python scripts/licences.py --check   fail unless it is what would be written

A crate counts if any of the wheels' targets links it: neither what only builds it, nor a procedural macro. What a
crate's authors have put beside its manifest goes in whole, all of it where they leave the choice. A crate without a
text stops the script: it needs an entry in ``KNOWN``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "THIRD-PARTY-LICENSES.txt"

#: What wheels are made for: see .github/workflows/release.yml.
TARGETS = (
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
)

NAMES = ("licen", "copying", "notice", "copyright", "unlicense")

MIT = """\
MIT License

Copyright (c) {holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

#: The texts of crates that say what their licence is, and ship without it.
KNOWN = {
    "base64-simd 0.8.0": MIT.format(holder="the authors of https://github.com/Nugine/simd"),
    "vsimd 0.8.0": MIT.format(holder="the authors of https://github.com/Nugine/simd"),
}

APACHE = (ROOT / "LICENSE").read_text("utf-8").strip()

#: What is linked in that is no crate: licence and texts.
TOOLS = {
    "Rust's standard library": ("MIT OR Apache-2.0", [APACHE, MIT.format(holder="The Rust Project Contributors")]),
    "Zig's compiler-rt (Linux)": ("MIT", [MIT.format(holder="Zig contributors")]),
}

HEAD = """\
turbosqs is under the Apache License 2.0 (LICENSE). Its extension module contains what follows, by others, each under
the licences given here. Where they leave the choice (OR), all texts are here, and the Apache License 2.0 or the MIT
licence is the one chosen. Written by scripts/licences.py.
"""


class MissingTextError(Exception):
    """A crate ships without the text of its licence."""


def cargo(*arguments: str) -> str:
    """What cargo prints."""
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def linked() -> set[str]:
    """``name version`` of each crate that a wheel links, turbosqs aside."""
    options = ["--locked", "--features", "python", "--edges", "normal,no-proc-macro", "--prefix", "none"]
    targets = [word for target in TARGETS for word in ("--target", target)]
    lines = cargo("tree", *options, *targets, "--format", "{p}").splitlines()
    found = {" ".join(line.split()[:2]).replace(" v", " ") for line in lines if line}
    return {crate for crate in found if not crate.startswith("turbosqs ")}


def packages() -> dict[str, tuple[str, Path]]:
    """Each crate of Cargo.lock by ``name version``: what it says its licence is, and where its sources are."""
    targets = [word for target in TARGETS for word in ("--filter-platform", target)]
    described = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--features", "python", *targets))
    return {
        f"{package['name']} {package['version']}": (package["license"], Path(package["manifest_path"]).parent)
        for package in described["packages"]
    }


def texts(crate: str, folder: Path) -> list[str]:
    """The texts of a crate's licences, in the order of their files' names.

    Raises:
        MissingTextError: There is none.
    """
    own = [path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(NAMES)]
    # What a crate has taken over from elsewhere, with licences of their own.
    inner = [path for path in folder.glob("*/**/LICENSE*") if path.is_file()]
    found = [path.read_text("utf-8").strip() for path in [*sorted(own), *sorted(inner)]]
    if not found and crate in KNOWN:
        found = [KNOWN[crate].strip()]
    if not found:
        raise MissingTextError(f"{crate} ships without the text of its licence; see {folder}, and KNOWN in {__file__}")
    return found


def contents() -> str:
    """The file: the crates with their licences, then each text once, with whose it is."""
    known = packages()
    licences = {tool: licence for tool, (licence, _) in TOOLS.items()}
    all_texts = {tool: its_texts for tool, (_, its_texts) in TOOLS.items()}
    for crate in sorted(linked()):
        licences[crate], folder = known[crate]
        all_texts[crate] = texts(crate, folder)
    # Some differ in how their lines are broken, and in nothing else.
    owners: dict[str, tuple[str, list[str]]] = {}
    for owner, its_texts in all_texts.items():
        for text in its_texts:
            _, users = owners.setdefault(" ".join(text.split()), (text, []))
            if owner not in users:
                users.append(owner)
    rule = "=" * 100
    parts = [HEAD, *(f"- {owner}: {licence}" for owner, licence in licences.items())]
    for text, users in owners.values():
        parts += ["", rule, ", ".join(users), rule, "", *(line.rstrip() for line in text.strip().splitlines())]
    return "\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        wanted = contents()
    except MissingTextError as error:
        print(error, file=sys.stderr)
        return 1
    if not arguments:
        FILE.write_text(wanted, "utf-8")
        return 0
    if not FILE.exists() or FILE.read_text("utf-8") != wanted:
        print(f"{FILE.name} does not go with Cargo.lock: `make licences`, and look at what is new", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
