"""Answers: rows, or a refusal. Those of a node and of DuckDB are both read from Arrow, so that values are of the same Python types."""

import datetime
import decimal
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow

Cell: TypeAlias = None | bool | int | float | str | decimal.Decimal | datetime.date | datetime.datetime
Row: TypeAlias = tuple[Cell, ...]

EXIT_CODES = {
    "internal": 1,
    "usage": 2,
    "unverified": 2,
    "denied": 3,
    "not_found": 4,
    "unreachable": 5,
    "integrity": 6,
    "locked": 7,
    "in_use": 7,
}
SHOWN_ROWS = 4
SHOWN_CELL = 60
SHOWN_LINE = 300


@dataclass(frozen=True)
class Rows:
    """An answer."""

    names: tuple[str, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = [f"{len(self.rows)} rows of ({', '.join(self.names)})", *lines(self.rows)]
        return "\n".join(shown + [f"  note: {note}" for note in self.notes])


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer."""

    code: str
    detail: str
    reasons: tuple[str, ...] = ()
    help: str | None = None
    rule: str | None = field(default=None)

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        return EXIT_CODES.get(self.code, 1)

    def __str__(self) -> str:
        shown = [f"{self.code} (exit {self.exit_code}): {self.detail}", *(f"  - {reason}" for reason in self.reasons)]
        shown += [f"  help: {self.help}"] if self.help else []
        return "\n".join(line[:SHOWN_LINE] for line in shown)


Answer: TypeAlias = Rows | Refusal


def lines(rows: list[Row]) -> list[str]:
    """The first rows, each on a line."""
    shown = ["  " + ", ".join(short(cell) for cell in row) for row in rows[:SHOWN_ROWS]]
    return [*shown, "  …"] if len(rows) > SHOWN_ROWS else shown


def short(cell: Cell) -> str:
    """A cell, cut off if it is long."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= SHOWN_CELL else f"{text[:SHOWN_CELL]}… ({len(text)})"


def from_arrow(table: pyarrow.Table, notes: tuple[str, ...] = ()) -> Rows:
    """The rows of an Arrow table, in order; columns may have the same name."""
    columns = [cells(column) for column in table.columns]
    rows = list(zip(*columns, strict=True)) if columns else [()] * table.num_rows
    return Rows(tuple(table.column_names), rows, notes)


def cells(column: pyarrow.ChunkedArray) -> list[Cell]:
    """The values of a column. Times are read in microseconds, which Python has. If a column has times that Python cannot hold, each is the
    text of its microseconds since 1970."""
    kind = column.type
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):
        return [None if value is None else f"{value} µs" for value in microseconds(column)]


def microseconds(column: pyarrow.ChunkedArray) -> list[int | None]:
    """The values of a column of dates or times in microseconds since 1970."""
    if pyarrow.types.is_date32(column.type):
        return [value and value * 86_400 * 10**6 for value in column.cast(pyarrow.int32()).to_pylist()]
    scale = {"s": 10**6, "ms": 1000, "us": 1}[column.type.unit]
    return [value and value * scale for value in column.cast(pyarrow.int64()).to_pylist()]
