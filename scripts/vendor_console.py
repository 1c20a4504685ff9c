"""The library that the console is written with: fetched from npm by version and hash into ``src/local/console/vendor``.

    python scripts/vendor_console.py           write the files
    python scripts/vendor_console.py --check   fail unless the files have the hashes of what is written: without network

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

#: The SHA-256 of what is written.
HASHES = {
    "preact.js": "5bee3c19bf8440eef52ee1b688a107090b189783328d35302308b9e54a5cc9b1",
    "hooks.js": "84d6a2c1d7256682cf386729d6ab20517df6a2fce7a425a86a1298da76ffdb7e",
    "htm.js": "61569ffee46b8bf39f94c7d9d6a10fdfb7c0f1a5257cedcc5da614a088c13a0d",
    "LICENSES.txt": "eea56906d5324f402a003c68f04114986e8665390ff1c27fd104a6a07f8e97ed",
}


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


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def main() -> None:
    if "--check" in sys.argv[1:]:
        found = hashes({path.name: path.read_bytes() for path in FOLDER.iterdir()})
        if found != HASHES:
            wrong = sorted({name for name, _ in found.items() ^ HASHES.items()})
            raise SystemExit(f"not as written, in {FOLDER}: {', '.join(wrong)}; run scripts/vendor_console.py")
        return
    files = {name: text.encode() for name, text in contents().items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    if hashes(files) != HASHES:
        raise SystemExit(f"after a change of PACKAGES or FILES, HASHES is to be: {hashes(files)}")


if __name__ == "__main__":
    main()
