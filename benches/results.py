"""What was measured, by run: the rounds with their medians, or what went wrong."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

from benches.harness import Figures
from benches.plan import GROUPS, Run

NAN = float("nan")

_NAMES = {(group.title, work.label) for group in GROUPS for work in group.works}


@dataclass
class Outcome:
    """All rounds of a run, or why there are none: it ``failed``, or this machine is ``missing`` something."""

    rounds: list[Figures] = field(default_factory=list)
    failed: str = ""
    missing: str = ""

    @property
    def over(self) -> bool:
        """Whether another round would be in vain."""
        return bool(self.failed or self.missing)

    def median(self, figure: str) -> float:
        """The median over the rounds; NaN when a round failed or none has the figure."""
        values = [getattr(one, figure) for one in self.rounds]
        return statistics.median(values) if values and not self.failed else NAN

    def least_and_most(self, figure: str) -> tuple[float, float]:
        values = [getattr(one, figure) for one in self.rounds]
        return min(values), max(values)


class Results(dict[Run, Outcome]):
    """The outcome of every run."""

    def median(self, scenario: str, group: str, work: str, figure: str) -> float:
        """A figure by the names of its run; NaN when that was not measured.

        Raises:
            KeyError: There is no such run in the plan.
        """
        if (group, work) not in _NAMES:
            raise KeyError((group, work))
        for run, outcome in self.items():
            if (run.scenario.title, run.group.title, run.work.label) == (scenario, group, work):
                return outcome.median(figure)
        return NAN

    def ratio(self, run: Run, figure: str) -> float:
        """How many times less of a figure a run needs than the first of its group."""
        first = run.group.works[0].label
        return self.median(run.scenario.title, run.group.title, first, figure) / self[run].median(figure)


def known(number: float) -> bool:
    return not math.isnan(number)
