"""What is published says of itself what is so: links, classifiers, licences, workflows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import environments  # noqa: E402
import licences  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOME = "https://github.com/turbosqs/turbosqs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
LOCKED = {
    f"{crate['name']} {crate['version']}" for crate in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
}


def anchors(markdown: str) -> set[str]:
    """The headings of a page, as GitHub names them in links."""
    headings = re.findall(r"(?m)^#+ (.+)$", markdown)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_of_the_readme_hold_on_pypi() -> None:
    """There they are relative to nothing, and headings have no names."""
    readme = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert links
    for link in links:
        assert link.startswith("https://"), link
        if link.startswith(f"{HOME}#"):
            assert link.partition("#")[2] in anchors(readme), link
        if found := re.match(
            rf"(?:{HOME}/blob/main|https://raw\.githubusercontent\.com/turbosqs/turbosqs/main)/(.+)", link
        ):
            path, _, heading = found[1].partition("#")
            assert (ROOT / path).exists(), link
            assert not heading or heading in anchors((ROOT / path).read_text()), link


def test_figures_of_the_readme_are_those_that_were_measured() -> None:
    """They are copied from what `make bench` wrote, all of them."""
    table = r"(?m)^\| CPU per message, if not said otherwise .*\n(?:\|.*\n)+"
    measured, shown = (re.findall(table, (ROOT / page).read_text()) for page in ("docs/bench.md", "README.md"))
    assert len(measured) == 1
    assert shown == measured


def test_the_metadata() -> None:
    assert all(url.startswith(HOME) for url in PROJECT["urls"].values())
    assert CARGO["repository"] == HOME
    assert CARGO.get("publish", True) is True
    for major, minor in environments.SUPPORTED:
        assert f"Programming Language :: Python :: {major}.{minor}" in PROJECT["classifiers"]
    assert PROJECT["requires-python"] == f">={'.'.join(map(str, environments.SUPPORTED[0]))}"
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])
    assert re.search(rf"(?m)^## {re.escape(CARGO['version'])}\b", (ROOT / "CHANGELOG.md").read_text())


def test_the_wheels_profile_is_as_small_and_quick_as_it_can_be() -> None:
    """It inherits what is for builds at work, where some crates are compiled to be there soon."""
    profiles = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]
    wheel, work = profiles["wheel"], profiles["release"]
    assert wheel["inherits"] == "release"
    assert (wheel["lto"], wheel["codegen-units"], wheel["strip"], wheel["opt-level"]) == ("fat", 1, True, 3)
    assert set(wheel["package"]) >= set(work["package"]) - {"*"}
    assert all(settings["opt-level"] != 0 for settings in wheel["package"].values())


def test_hand_written_rust_is_compiled_as_the_wheel_is() -> None:
    """What turbosqs is held against in `make bench` is neither better nor worse off."""
    wheel, other = (
        tomllib.loads((ROOT / place / "Cargo.toml").read_text())["profile"]["wheel"] for place in (".", "benches/rust")
    )
    assert other == {name: value for name, value in wheel.items() if name != "package"}


def test_licences_are_of_what_is_locked() -> None:
    """That none is missing is for `make lint` to say, which asks cargo what is linked."""
    table = licences.FILE.read_text("utf-8").partition("=" * 100)[0]
    listed = {line[2:].split(": ")[0] for line in table.splitlines() if line.startswith("- ")}
    crates = listed - set(licences.TOOLS)
    assert len(crates) > 50
    assert not crates - LOCKED, "`make licences`"


def test_a_crate_without_a_licences_text_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(licences.MissingTextError, match=r"new 1\.0\.0"):
        licences.texts("new 1.0.0", tmp_path)
    (tmp_path / "LICENSE-MIT").write_text("text\n")
    assert licences.texts("new 1.0.0", tmp_path) == ["text"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_actions_are_named_by_hash(path: Path) -> None:
    for used in re.findall(r"uses: (.+)", path.read_text()):
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
