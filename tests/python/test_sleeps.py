"""Tests move a clock or wait for what is to come (``until``); they sleep only for a reason that is given here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

#: A wrong program would do in that time what it must not do. A right one passes however slow the machine is.
NOTHING = "nothing happens meanwhile"
#: What somebody else takes: a handler longer than a message is invisible, a peer that sends in two pieces. The core's
#: renewals and timeouts go by the machine's clock, which no test moves; Rust's tests of them have one that they move.
SLOW = "a handler or a peer that takes its time"
#: In a process of its own, to be interrupted, forked or ended while it waits, or until something has come about.
PROGRAM = "a program of its own that is waiting"

#: The files in which something sleeps, with the reasons.
ALLOWED = {
    "python/aio/test_calls.py": {NOTHING},
    "python/aio/test_process.py": {PROGRAM},
    "python/aio/test_writer.py": {NOTHING},
    "python/aiobotocore_clients/test_credentials.py": {SLOW},
    "python/aiobotocore_clients/test_processes.py": {PROGRAM},
    "python/batching/test_exit.py": {PROGRAM},
    "python/batching/test_interrupts.py": {PROGRAM},
    "python/batching/test_life.py": {PROGRAM},
    "python/parity/test_faults.py": {SLOW},
    "python/programs/celery_kinds.py": {SLOW},
    "python/programs/test_celery_kinds.py": {SLOW},
    "python/programs/test_greenlets.py": {PROGRAM},
    "python/receiving/fleet_member.py": {PROGRAM},
    "python/receiving/test_asyncio.py": {SLOW, PROGRAM},
    "python/receiving/test_command.py": {PROGRAM},
    "python/receiving/test_consumer.py": {NOTHING, SLOW},
    "python/receiving/test_ends.py": {SLOW, PROGRAM},
    "python/receiving/test_fleet.py": {NOTHING},
    "python/receiving/test_groups.py": {SLOW},
    "python/receiving/test_leases.py": {NOTHING, SLOW},
    "python/receiving/test_operators.py": {NOTHING, SLOW},
    "python/receiving/test_polling.py": {NOTHING, SLOW},
    "python/receiving/test_process.py": {NOTHING, PROGRAM},
    "python/receiving/test_sharing.py": {NOTHING, SLOW},
    "python/support/exits.py": {PROGRAM},
    "python/support/relay.py": {SLOW},
    "python/support/waiting.py": {"`until` itself"},
    "python/test_examples.py": {PROGRAM},
    "python/test_exceptions.py": {SLOW},
    "python/test_interpreters.py": {NOTHING, PROGRAM},
    "python/test_process.py": {NOTHING, PROGRAM},
    "python/test_session.py": {SLOW},
}


def sleeps(source: str) -> list[int]:
    """The lines that sleep, in a test or in a script that it has as a text. ``sleep(0)`` lets others have a turn."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if name == "sleep" and not (
                node.args and isinstance(node.args[0], ast.Constant) and not node.args[0].value
            ):
                found.append(node.lineno)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for match in re.finditer(r"\bsleep\((?!0\))", node.value):
                found.append(node.lineno + node.value[: match.start()].count("\n"))
    return sorted(found)


def test_nothing_sleeps_without_a_reason() -> None:
    found = {}
    for path in sorted(TESTS.rglob("*.py")):
        name = str(path.relative_to(TESTS))
        if path != Path(__file__) and (lines := sleeps(path.read_text("utf-8"))):
            found[name] = lines
    unexplained = {name: lines for name, lines in found.items() if name not in ALLOWED}
    assert not unexplained, "move a clock, or wait with `until`; else say here why it sleeps"
    assert ALLOWED.keys() <= found.keys(), f"none of these sleeps any more: {sorted(ALLOWED.keys() - found.keys())}"


@pytest.mark.parametrize(
    "source",
    [
        "time.sleep(1)",
        "sleep(x)",
        "async def f():\n    await asyncio.sleep(0.1)",
        "script = f'''a\n  time.sleep({n})'''",
    ],
)
def test_a_sleep_is_seen(source: str) -> None:
    assert len(sleeps(source)) == 1


@pytest.mark.parametrize("source", ["asyncio.sleep(0)", "monkeypatch.setattr(time, 'sleep', None)", "'sleep(0)'"])
def test_a_turn_for_others_is_no_sleep(source: str) -> None:
    assert sleeps(source) == []
