"""What became of the queries of one run, and the tables that are printed of it."""

import re
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from answer import Refusal
from grid import EMPTY, EQUAL, ESTIMATED, PARTIAL, WITHHELD, Grid
from supply import Sent

# What a study needs: the part of the queries of analysts that is answered.
WANTED = 0.95
# Refusals that are part of the interface: wrong input, and what a rule forbids.
PROPER_EXITS = (2, 3)
OUTCOMES = (EQUAL, ESTIMATED, PARTIAL, WITHHELD, EMPTY)
MOST_SHOWN = 5


@dataclass
class Outcome:
    """One query: what was sent, and how the answer compares with that of DuckDB."""

    name: str
    collection: str
    sent: Sent
    grid: Grid = field(default_factory=Grid)
    problems: list[str] = field(default_factory=list)

    @property
    def refusal(self) -> Refusal | None:
        return self.sent.answer if isinstance(self.sent.answer, Refusal) else None

    @property
    def disagreements(self) -> list[str]:
        """Everything that is wrong."""
        found = [*self.problems, *self.grid.problems]
        if self.refusal and self.refusal.exit_code not in PROPER_EXITS:
            found.append(f"refused with `{self.refusal.code}`: {self.refusal.detail}")
        return found

    @property
    def reason(self) -> str:
        """Why there is no answer, without the names of one query."""
        if not self.refusal:
            return ""
        stated = self.refusal.reasons[0] if self.refusal.reasons else self.refusal.detail
        stated = re.sub(r"`[^`]*`", "…", stated.replace("\n", " "))
        return f"{self.refusal.code}: {re.sub(r'[0-9]+', '9', stated)}"[:150]


@dataclass
class Run:
    """Queries under the same protection and declarations."""

    title: str
    outcomes: list[Outcome] = field(default_factory=list)
    # Why it ended before its last query.
    failure: str = ""

    @property
    def is_right(self) -> bool:
        return not self.failure and not self.disagreeing

    @property
    def answered(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.refusal]

    @property
    def disagreeing(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.disagreements]

    @property
    def part_answered(self) -> float:
        return len(self.answered) / len(self.outcomes) if self.outcomes else 0.0


def text(runs: list[Run], verbose: bool) -> str:
    """The whole report."""
    sections = [table(runs)]
    for run in runs:
        sections += [part for part in (by_collection(run), refusals(run), disagreements(run), lines(run) if verbose else "") if part]
    return "\n\n".join([*sections, conclusion(runs)])


def table(runs: list[Run]) -> str:
    """A line for each run: answered, figures by outcome, and the error of those that are shown."""
    head = f"{'':38}{'queries':>8}{'answered':>9}{'figures':>9}{'shown':>7}" + "".join(f"{outcome:>10}" for outcome in OUTCOMES)
    shown = ["# Queries, and figures that DuckDB has", "", f"{head}{'error of counts':>22}{'of others':>22}"]
    for run in runs:
        grids = [outcome.grid for outcome in run.answered]
        known, visible = sum(grid.known for grid in grids), sum(grid.shown for grid in grids)
        counts = "".join(f"{sum(grid.count(outcome) for grid in grids):>10}" for outcome in OUTCOMES)
        errors = "".join(f"{percentiles(errors_of(grids, is_count)):>22}" for is_count in (True, False))
        answered = f"{percent(run.part_answered):>9}"
        shown.append(
            f"{run.title:38}{len(run.outcomes):>8}{answered}{known:>9}{percent(visible / known if known else 0.0):>7}{counts}{errors}"
        )
    return "\n".join([*shown, "", "Errors are relative, of numbers below one absolute: the median, and what 95 of 100 are below."])


def errors_of(grids: list[Grid], is_count: bool) -> list[float]:
    figures = [figure for grid in grids for figure in grid.figures if figure.is_count == is_count]
    return [figure.error for figure in figures if figure.error is not None]


def percentiles(errors: list[float]) -> str:
    """The median, and the 95th percentile."""
    if not errors:
        return "-"
    ordered = sorted(errors)
    return f"{statistics.median(ordered):.2g}, {ordered[int(0.95 * (len(ordered) - 1))]:.2g}"


def percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def by_collection(run: Run) -> str:
    """How many queries over each collection are answered, and how much of the answers is shown."""
    shown = [f"## {run.title}", ""]
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in run.outcomes:
        groups[outcome.collection].append(outcome)
    for name, outcomes in groups.items():
        answered = [outcome for outcome in outcomes if not outcome.refusal]
        known = sum(outcome.grid.known for outcome in answered)
        visible = sum(outcome.grid.shown for outcome in answered)
        part = percent(visible / known) if known else "-"
        shown.append(f"{name:20}{len(answered):>4} of {len(outcomes):<4} answered, {part:>6} of their figures are shown")
    return "\n".join(shown)


def refusals(run: Run) -> str:
    """Why queries are refused, the most frequent reason first."""
    reasons = Counter(outcome.reason for outcome in run.outcomes if outcome.refusal)
    named: dict[str, list[str]] = defaultdict(list)
    for outcome in run.outcomes:
        named[outcome.reason].append(outcome.name)
    lines = [f"{count:>4}  {reason}\n      {', '.join(named[reason][:20])}" for reason, count in reasons.most_common()]
    return "\n".join(["Refused:", *lines]) if lines else ""


def disagreements(run: Run) -> str:
    """What is wrong, with the query as it was sent."""
    lines = []
    for outcome in run.disagreeing:
        lines += [
            f"DISAGREEMENT in {outcome.name} ({outcome.collection}):",
            *(f"  - {found}" for found in outcome.disagreements[:MOST_SHOWN]),
        ]
        lines += [f"  - and {len(outcome.disagreements) - MOST_SHOWN} more"] if len(outcome.disagreements) > MOST_SHOWN else []
        lines += [f"    {line}" for line in outcome.sent.text.splitlines()]
    return "\n".join(lines)


def lines(run: Run) -> str:
    """A line for each query."""
    shown = []
    for outcome in run.outcomes:
        grid = outcome.grid
        figures = f"{grid.shown} of {grid.known} figures, error {percentiles(grid.errors)}"
        shown.append(f"{outcome.name:>8} {outcome.collection:14} {outcome.sent.seconds:6.1f} s  {outcome.reason or figures}")
    return "\n".join(shown)


def conclusion(runs: list[Run]) -> str:
    """One line for each run."""
    shown = []
    for run in runs:
        if run.failure:
            shown.append(f"{run.title}: ended early: {run.failure}")
        below = "" if run.part_answered >= WANTED else f", below the {percent(WANTED)} that are wanted"
        answered = f"{len(run.answered)} of {len(run.outcomes)} queries are answered{below}"
        shown.append(f"{run.title}: {answered}; {len(run.disagreeing)} with a disagreement")
    return "\n".join(shown)
