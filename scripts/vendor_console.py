"""The library that the console is written with: fetched from npm by version and hash into ``src/local/console/vendor``.

    python scripts/vendor_console.py           write the files
    python scripts/vendor_console.py --check   fail unless the files are what would be written

Preact and htm are a few kilobytes each, have no dependencies, and need no build step: their modules are used as they
are published, but for the name by which one imports the other.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "src/local/console/vendor"

#: Package: version, and the hash that npm publishes for it.
PACKAGES = {
    "preact": (
        "11.2.0",
        "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
    ),
    "htm": (
        "3.1.1",
        "sha512-983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
    ),
}

#: What is taken of them: our name, package, its file.
FILES = (
    ("preact.js", "preact", "dist/preact.mjs"),
    ("hooks.js", "preact", "hooks/dist/hooks.mjs"),
    ("htm.js", "htm", "dist/htm.mjs"),
)


def fetch(name: str, folder: Path) -> tarfile.TarFile:
    """A package's archive, if its hash is the one that is known."""
    version, integrity = PACKAGES[name]
    subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    path = folder / f"{name}-{version}.tgz"
    found = "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if found != integrity:
        raise SystemExit(f"{name} {version} has the hash {found}, not {integrity}")
    return tarfile.open(path)


def member(archive: tarfile.TarFile, path: str) -> str:
    file = archive.extractfile(f"package/{path}")
    if file is None:
        raise SystemExit(f"there is no {path}")
    return file.read().decode()


def contents() -> dict[str, str]:
    """The files, by name."""
    with tempfile.TemporaryDirectory() as folder:
        archives = {name: fetch(name, Path(folder)) for name in PACKAGES}
        files = {}
        for ours, package, path in FILES:
            text = member(archives[package], path).replace('from"preact"', 'from"./preact.js"')
            lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")]
            files[ours] = f"// {package} {PACKAGES[package][0]}: see LICENSES.txt\n" + "\n".join(lines) + "\n"
        licences = [f"{name} {PACKAGES[name][0]}\n\n{member(archives[name], 'LICENSE').strip()}\n" for name in PACKAGES]
        files["LICENSES.txt"] = ("\n" + "-" * 80 + "\n\n").join(licences)
    return files


def main() -> None:
    files = contents()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in files.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
        if stale:
            raise SystemExit(f"stale in {FOLDER}: {', '.join(stale)}; run scripts/vendor_console.py")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
