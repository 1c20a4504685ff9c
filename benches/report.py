"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from benches import sizes, summary
from benches.budgets import BUDGETS, server_shares
from benches.plan import AT_ONCE, GROUPS, OVER_TLS, Group, Run, Scenario
from benches.results import Outcome, Results, known
from benches.tables import number, ratio, table


def _cells(results: Results, run: Run, outcome: Outcome) -> list[str]:
    least, most = outcome.least_and_most("cpu")
    return [
        run.work.label,
        number(outcome.median("cpu")),
        f"{number(least)} to {number(most)}",
        ratio(results.ratio(run, "cpu")),
        number(outcome.median("wall")),
        number(outcome.median("requests"), 2),
        number(outcome.median("server")),
        number(outcome.median("memory")),
        number(outcome.median("latency")),
        number(outcome.median("latency_without")),
        number(outcome.median("beyond")),
        number(outcome.median("beyond_loop")),
        *_connections(run, outcome),
        *_over_tls(results, run),
    ]


def _connections(run: Run, outcome: Outcome) -> list[str]:
    """How many there were, where that is the question."""
    if not run.group.connecting:
        return ["", ""]
    return [number(outcome.median("connections")), number(outcome.median("resumed"))]


def _over_tls(results: Results, run: Run) -> list[str]:
    """The same work of the same run by https, beside that in plain."""
    if run.scenario.title != AT_ONCE:
        return ["", ""]
    first = run.group.works[0].label
    theirs, ours = (results.median(OVER_TLS, run.group.title, work, "cpu") for work in (first, run.work.label))
    return [number(ours), ratio(theirs / ours)]


COUNTED = [
    "",
    "CPU, µs a message",
    "in the rounds",
    "less than the first",
    "time, µs a message",
    "requests a message",
    "server's CPU, µs a request",
    "memory, MB",
    "median latency, µs",
    "without batching, µs",
    "beyond its parts, µs",
    "beyond them, the tool in a loop, µs",
    "connections",
    "resumed",
    "CPU over TLS, µs a message",
    "less than the first over TLS",
]

STARTS = [
    "",
    "time, ms",
    "CPU, ms",
    "less time than the first",
    "memory, MB",
    "since the process began, ms",
    "connections",
    "resumed",
]


def _start_cells(results: Results, run: Run, outcome: Outcome) -> list[str]:
    return [
        run.work.label,
        number(outcome.median("wall") / 1e3),
        number(outcome.median("cpu") / 1e3),
        ratio(results.ratio(run, "wall")),
        number(outcome.median("memory")),
        number(outcome.median("start") / 1e3),
        *_connections(run, outcome),
    ]


def _group(results: Results, group: Group, runs: list[Run]) -> Iterator[str]:
    heads, cells = (STARTS, _start_cells) if group.kind == "start" else (COUNTED, _cells)
    rows = [cells(results, run, results[run]) for run in runs if results[run].rounds and not results[run].failed]
    if rows:
        # A column that nothing has a figure for is left out.
        kept = [column for column in range(len(heads)) if any(row[column] for row in rows)]
        yield table([heads[column] for column in kept], [[row[column] for column in kept] for row in rows])
    for run in runs:
        if results[run].failed:
            yield f"- {run.work.label}: **failed**: {results[run].failed}"
        if results[run].missing:
            yield f"- {run.work.label}: left out: {results[run].missing}"


def _scenario(results: Results, scenario: Scenario) -> Iterator[str]:
    yield f"## {scenario.title}"
    for group in GROUPS:
        runs = [run for run in results if (run.scenario, run.group) == (scenario, group)]
        if runs:
            yield f"### {group.title}"
            # A list's lines belong together, a table stands alone.
            parts = list(_group(results, group, runs))
            yield "\n\n".join(part for part in parts if not part.startswith("- "))
            yield "\n".join(part for part in parts if part.startswith("- "))


def _budgets(results: Results, whole: bool) -> str:
    rows = []
    for budget in BUDGETS:
        value = budget.measured(results)
        if not (whole or known(value)):
            continue
        bound = "at most" if budget.most else "at least"
        measured = f"{number(value)}{budget.unit}" if known(value) else ""
        rows.append([budget.title, measured, f"{bound} {budget.wanted:g}{budget.unit}", budget.outcome(results)])
    return table(["", "measured", "wanted", ""], rows) if rows else ""


def _dearest(results: Results, scenario: Scenario) -> str:
    """Whose requests cost the client least, compared with what they cost the server."""
    share, run = max(server_shares(results, scenario), key=lambda pair: pair[0], default=(0.0, None))
    if run is None:
        return ""
    nearest = f"`{run.group.title}` by {run.work.label}, {share:.0%}"
    return f"{scenario.title}: the server's CPU comes nearest to the client's in {nearest}."


def markdown(results: Results, facts: list[str], *, whole: bool, picture: str = "") -> str:
    """The whole report.

    Args:
        results: What was measured.
        facts: What it was measured on, a sentence each.
        whole: Whether all runs were wanted; if not, budgets that were not measured are left out.
        picture: The name of the picture beside the report; none when there is none.
    """
    libraries = sorted({one.library for outcome in results.values() for one in outcome.rounds})
    parts = ["# What a message costs"]
    if picture:
        parts.append(f"![CPU per message, by library]({picture})")
    parts.append("\n".join(["Written by `make bench`.", *facts, f"Measured: {', '.join(libraries)}."]))
    if short := summary.markdown(results):
        parts += ["## In short", short]
    parts += ["## What is installed", sizes.markdown()]
    if budgets := _budgets(results, whole):
        parts += ["## Budgets", budgets]
    scenarios = list(dict.fromkeys(run.scenario for run in results))
    parts.append("\n".join(_dearest(results, scenario) for scenario in scenarios if not scenario.delay))
    for scenario in scenarios:
        parts += _scenario(results, scenario)
    return "\n\n".join(part for part in parts if part) + "\n"
