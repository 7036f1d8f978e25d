"""An answer below tier `records`, cell by cell, beside what DuckDB computes.

An answer has a row for each cell of the grid of levels, and NULL for what is withheld. So each row of DuckDB is in it, a row that DuckDB
does not have is an empty cell, and each figure that is shown is the same one, if it is exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from answer import Cell, Row, Rows
from cells import is_number, same
from truth import Truth

EQUAL, WITHHELD, EMPTY, PARTIAL, ESTIMATED, DIFFERENT = "equal", "withheld", "empty", "partial", "estimated", "different"
EXACT, PERTURBED, PRIVATE = "exact", "perturbed", "private"
# A figure as DuckDB computes it from the rows of some members, by its row and position: one for each selection of members.
Partials = Callable[[tuple, int], list[Cell]]


@dataclass(frozen=True)
class Promise:
    """What the figures of an answer are promised to be. With `is_clipped`, measured values may be beyond their ranges, and only numbers of
    subjects and rows have to be those of DuckDB."""

    protection: str
    least: int
    is_clipped: bool = False

    def is_exact(self, theirs: Cell) -> bool:
        return self.protection == EXACT and (is_count(theirs) or not self.is_clipped)

    def problem(self, key: tuple, figures: list[tuple[Cell, Cell]], size: int) -> str:
        """What a row shows that it must not: something of too few subjects, or a number below those that are shown."""
        if self.protection == EXACT and size < self.least and any(ours is not None for ours, _ in figures):
            return f"the row {key} of {size} subjects is shown"
        numbers = [ours for ours, theirs in figures if is_count(theirs) and is_count(ours)]
        small = [ours for ours in numbers if 0 < ours < self.least]  # type: ignore[operator]
        return f"the row {key} shows the number {small[0]}" if self.protection != PRIVATE and small else ""


def is_count(cell: Cell) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool)


@dataclass(frozen=True)
class Figure:
    """One figure of an answer: what was shown, and what DuckDB computes."""

    key: tuple
    column: str
    ours: Cell
    theirs: Cell
    outcome: str

    @property
    def error(self) -> float | None:
        """The relative error of a figure that is shown; of numbers below one, the absolute one. A part of the members is not an error."""
        if self.outcome == PARTIAL or not (is_number(self.ours) and is_number(self.theirs)):
            return None
        ours, theirs = float(self.ours), float(self.theirs)  # type: ignore[arg-type]
        error = abs(ours - theirs) / max(1.0, abs(theirs))
        return error if math.isfinite(error) else None

    @property
    def is_count(self) -> bool:
        return is_count(self.theirs)


@dataclass
class Grid:
    """The comparison of one answer."""

    figures: list[Figure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Rows that an answer may lack because of a limit or of a condition on figures.
    left_out: int = 0

    def count(self, outcome: str) -> int:
        return sum(figure.outcome == outcome for figure in self.figures)

    @property
    def known(self) -> int:
        """The figures that DuckDB has."""
        return sum(figure.theirs is not None for figure in self.figures)

    @property
    def shown(self) -> int:
        """Those of them that are shown."""
        return sum(figure.theirs is not None and figure.ours is not None for figure in self.figures)

    @property
    def errors(self) -> list[float]:
        return [figure.error for figure in self.figures if figure.error is not None]


def compared(ours: Rows, truth: Truth, promise: Promise, partials: Partials | None = None) -> Grid:
    """Compares all rows. `partials` has what figures may be instead if some of several members withhold their part. What is computed from
    several aggregates is of the same members too: a quotient of numbers of different ones is of no one."""
    grid = Grid()
    if len(ours.names) != len(truth.names):
        grid.problems.append(f"{len(ours.names)} columns instead of {len(truth.names)}")
        return grid
    known = {truth.key(row): (row, size) for row, size in zip(truth.rows, truth.sizes)}
    if len(known) < len(truth.rows):
        grid.problems.append("the rows of DuckDB have no key")
        return grid
    rows = by_key(ours.rows, truth, grid)
    for key, row in rows.items():
        theirs, size = known.get(key, (None, 0))
        figures = [(row[at], truth.figure(theirs, row, at)) for at in truth.values]
        for at, (shown, right) in zip(truth.values, figures):
            found = EMPTY if theirs is None and shown is None else of_figure(shown, right, at in truth.quantiles, promise)
            if found == DIFFERENT and partials:
                found = PARTIAL if any(same(shown, cell) for cell in partials(key, at)) else DIFFERENT
            grid.figures.append(Figure(key, truth.names[at], shown, right, found))
        own = [figure for at, figure in zip(truth.values, figures) if at not in truth.running]
        # A running sum is of more subjects than its row.
        sums = [figure for at, figure in zip(truth.values, figures) if at in truth.running]
        problems = [promise.problem(key, own, size), promise.problem(key, sums, promise.least)]
        grid.problems += [problem for problem in problems if problem]
    lacking = [key for key in known if key not in rows]
    grid.left_out = len(lacking)
    if lacking and not truth.is_cut:
        grid.problems.append(f"{len(lacking)} rows are not in the grid, such as {lacking[0]}")
    different = [figure for figure in grid.figures if figure.outcome == DIFFERENT]
    grid.problems += [f"{figure.column} of {figure.key} is {figure.ours}, not {figure.theirs}" for figure in different]
    return grid


def by_key(rows: list[Row], truth: Truth, grid: Grid) -> dict[tuple, Row]:
    """The rows by their groups, each of which is there once. A subtotal has the key of a group of missing values, which is empty then."""
    found: dict[tuple, Row] = {}
    for row in rows:
        key = truth.key(row)
        if truth.has_subtotals and key in found and is_empty(row, truth):
            continue
        if key in found and not (truth.has_subtotals and is_empty(found[key], truth)):
            grid.problems.append(f"two rows have the groups {key}")
            continue
        found[key] = row
    return found


def is_empty(row: Row, truth: Truth) -> bool:
    return all(row[at] is None for at in truth.values)


def of_figure(ours: Cell, theirs: Cell, is_estimated: bool, promise: Promise) -> str:
    """The outcome of a figure that is shown, or that DuckDB has."""
    if ours is None:
        return EQUAL if theirs is None else WITHHELD
    if is_estimated or not promise.is_exact(theirs) and (promise.protection != EXACT or theirs is not None):
        return ESTIMATED
    return EQUAL if same(ours, theirs) else DIFFERENT
