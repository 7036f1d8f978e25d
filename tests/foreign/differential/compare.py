"""Whether two answers are equal.

Cells are equal as `cells` defines it. Rows are compared without their order, except where `ORDER BY` determines it.
"""

import math
from collections import defaultdict

from answer import Cell, Row, Rows
from cells import is_number, key, same
from oracle import Shape


def difference(ours: Rows, theirs: Rows, shape: Shape, sql: str) -> str | None:
    """What differs first, as a short phrase; `None` if nothing does."""
    if len(ours.names) != len(theirs.names):
        return "number of columns"
    if names_differ(ours.names, shape, sql):
        return "names of columns"
    if len(ours.rows) != len(theirs.rows):
        return "fewer rows" if len(ours.rows) < len(theirs.rows) else "more rows"
    only_ours, only_theirs = unmatched(ours.rows, theirs.rows)
    if only_theirs:
        return f"values {first_difference(only_ours, only_theirs[0], shape)}"
    if shape.order and any(not same_keys(ours, theirs, row, shape.order) for row in range(len(ours.rows))):
        return "order of rows"
    return None


def names_differ(names: tuple[str, ...], shape: Shape, sql: str) -> bool:
    """Names that the query has in quotes are compared with their case. If two columns have the same name, ours are distinct."""
    known = [name.lower() for name in shape.names if name]
    if len(set(known)) < len(known):
        return len({name.lower() for name in names}) < len(names)
    return any(
        wanted is not None and name != wanted and (f'"{wanted}"' in sql or name.lower() != wanted.lower())
        for name, wanted in zip(names, shape.names, strict=True)
    )


def same_keys(ours: Rows, theirs: Rows, row: int, order: tuple[int, ...]) -> bool:
    return all(same(ours.rows[row][at], theirs.rows[row][at]) for at in order)


def first_difference(ours: list[Row], row: Row, shape: Shape) -> str:
    """What differs in the most similar row: the function that computes the column, and the kinds of both values."""
    similar = max(ours, key=lambda other: sum(map(same, other, row)))
    at = next(at for at, cells in enumerate(zip(similar, row, strict=True)) if not same(*cells))
    column = shape.functions[at] if at < len(shape.functions) else ""
    return f"of `{column}`: {kind(similar[at])} for {kind(row[at])}"


def kind(cell: Cell) -> str:
    """What a cell is, in a word."""
    if is_number(cell):
        return "a number" if math.isfinite(cell) else str(float(cell))
    return "nothing" if cell is None else type(cell).__name__


def unmatched(ours: list[Row], theirs: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each side without an equal row on the other side."""
    ours_by_key, theirs_by_key = grouped(ours), grouped(theirs)
    only_ours, only_theirs = [], []
    for shared_key in [*ours_by_key, *(other for other in theirs_by_key if other not in ours_by_key)]:
        left, right = paired(ours_by_key.get(shared_key, []), theirs_by_key.get(shared_key, []))
        only_ours += left
        only_theirs += right
    return only_ours, only_theirs


def grouped(rows: list[Row]) -> dict[tuple, list[Row]]:
    """The rows by their values that are not numbers."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(key(cell) for cell in row)].append(row)
    return groups


def paired(ours: list[Row], theirs: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are left when each row has taken an equal one of the other side. Rows with the same key differ in numbers only."""
    remaining, left = sorted(ours, key=numbers), []
    for row in sorted(theirs, key=numbers):
        at = next((at for at, other in enumerate(remaining) if all(map(same, other, row))), None)
        if at is None:
            left.append(row)
        else:
            del remaining[at]
    return remaining, left


def numbers(row: Row) -> list[float]:
    """The numbers of a row, for sorting."""
    values = [float(cell) for cell in row if is_number(cell)]
    return [math.inf if math.isnan(value) else value for value in values]
