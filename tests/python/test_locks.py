"""The locked environments: complete, and of what pyproject.toml asks for.

That each can be installed as it stands, and lacks nothing then, is what ``make locks`` proves.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
#: As it was before the fixtures gave the tests another: what uv has at hand, and how it gets at the rest.
ENVIRONMENT = dict(os.environ)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environments", ROOT / "scripts" / "environments.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environments = load()
NAMES = [*environments.ENVIRONMENTS]


def asked_for(name: str) -> list[Requirement]:
    """What a dependency group asks for, with the groups that it includes."""
    groups: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    found = []
    for item in groups[name]:
        found += [Requirement(item)] if isinstance(item, str) else asked_for(item["include-group"])
    return found


def pins(name: str) -> set[str]:
    found: set[str] = environments.pins(environments.lock_file(name).read_text("utf-8"))
    return found


def test_there_is_a_lock_for_each_environment_and_no_other() -> None:
    assert {path.stem for path in environments.LOCKS.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_all_is_one_version_with_hashes(name: str) -> None:
    """And no index, address or path: who installs it says where from."""
    for pin in pins(name):
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z,]+\])?==[^\s;]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", pin), pin


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_has_what_is_asked_for(name: str) -> None:
    locked = [Requirement(pin.split(" --hash")[0]) for pin in pins(name)]
    for wanted in asked_for(name):
        found = [pin for pin in locked if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert found, f"{wanted} is not in the lock: run `make lock`"
        for pin in found:
            (exact,) = pin.specifier
            assert wanted.specifier.contains(exact.version, prereleases=True), f"{wanted}, but {pin} is locked"


def test_what_the_tests_run_in_is_good_for_the_demo() -> None:
    assert pins("demo") <= pins("development")


def test_a_lock_with_a_gap_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore without jmespath."""
    if not (environments.VENV / "uv.txt").exists():
        pytest.skip("this environment was not made by make")
    locks = tmp_path / "requirements"
    shutil.copytree(environments.LOCKS, locks)
    whole = (locks / "demo.txt").read_text("utf-8")
    (locks / "demo.txt").write_text(re.sub(r"(?m)^jmespath==.*\n(    .*\n)*", "", whole), "utf-8")
    assert "\njmespath==" in whole
    monkeypatch.setattr(environments, "LOCKS", locks)
    monkeypatch.setattr(environments, "PROOFS", tmp_path / "whole")
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(environments.UnusableError, match="uv pip check"):
        environments.check(["demo"], everywhere=False)


def test_what_was_found_whole_is_not_installed_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = tmp_path / "requirements"
    shutil.copytree(environments.LOCKS, locks)
    commands: list[list[str]] = []
    monkeypatch.setattr(environments, "LOCKS", locks)
    monkeypatch.setattr(environments, "PROOFS", tmp_path / "whole")
    monkeypatch.setattr(environments, "uv", lambda: "uv")
    monkeypatch.setattr(environments, "pythons", lambda: [sys.executable])
    monkeypatch.setattr(environments, "run", lambda command: commands.append([str(each) for each in command]))

    def installed(**options: bool) -> list[str]:
        """The locks that are installed, by the names of their files."""
        commands.clear()
        environments.check(["demo", "uv"], everywhere=False, **options)
        return [Path(command[-1]).stem for command in commands if "install" in command]

    assert installed() == ["demo", "uv"]
    assert installed() == []
    assert capsys.readouterr().out.splitlines()[-1] == "2 as they were when they were found whole"
    with (locks / "demo.txt").open("a") as lock:
        lock.write("# changed\n")
    assert installed() == ["demo"]
    assert installed(anew=True) == ["demo", "uv"]
    with (locks / "uv.txt").open("a") as lock:
        lock.write("# what installs them\n")
    assert installed() == ["demo", "uv"]

    def fails(_: list[str]) -> None:
        raise environments.UnusableError("a gap")

    monkeypatch.setattr(environments, "run", fails)
    (locks / "demo.txt").write_text("")
    for _ in range(2):
        with pytest.raises(environments.UnusableError, match="a gap"):
            environments.check(["demo"], everywhere=False)


def test_an_environment_holds_the_lock_of_another_with_less(tmp_path: Path) -> None:
    made = tmp_path / "lock.txt"
    assert not environments.holds(made, "a==1 \\\n    --hash=sha256:00\n")
    made.write_text("# made\na==1 \\\n    --hash=sha256:00\n    # via b\nb==2 \\\n    --hash=sha256:11\n", "utf-8")
    assert environments.holds(made, "a==1 \\\n    --hash=sha256:00\n    # via c\n")
    assert not environments.holds(made, "a==2 \\\n    --hash=sha256:00\n")
    assert not environments.holds(made, "a==1 \\\n    --hash=sha256:22\n")


def test_names_of_other_environments_are_refused() -> None:
    with pytest.raises(environments.UnusableError, match="no environment 'tests'"):
        environments.lock_file("tests")
