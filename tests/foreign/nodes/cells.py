"""Whether two cells are equal.

Values are compared, and not types: `2` equals `2.0`, and a date equals midnight. Numbers are equal within a relative error of 1e-9, as
the order of additions is not determined; NaN equals NaN.
"""

import datetime
import decimal
import math

import pyarrow
from answer import Cell

RELATIVE = 1e-9
# Differences of the size of the rounding errors of a sum around zero; numbers that are small by themselves are compared exactly.
ABSOLUTE = 1e-12
SMALL = 1e-290
NUMBER = "a number"


def is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float | decimal.Decimal) and not isinstance(cell, bool)


def key(cell: Cell) -> object:
    """A value that equal cells share."""
    if is_number(cell):
        return NUMBER
    match cell:
        case datetime.datetime(tzinfo=None):
            return ("time", cell)
        case datetime.datetime():
            return ("instant", cell.astimezone(datetime.timezone.utc))
        case datetime.date():
            return ("time", datetime.datetime(cell.year, cell.month, cell.day))
        case datetime.timedelta():
            return ("interval", 0, round(cell.total_seconds() * 1e9))
        case pyarrow.MonthDayNano():
            return ("interval", cell.months, cell.days * 86_400 * 10**9 + cell.nanoseconds)
        case _:
            return (type(cell).__name__, repr(cell) if isinstance(cell, list | dict) else cell)


def same(ours: Cell, theirs: Cell) -> bool:
    """Whether two cells are equal."""
    if not (is_number(ours) and is_number(theirs)):
        return key(ours) == key(theirs)
    if ours == theirs:
        return True
    if not (isinstance(ours, float) or isinstance(theirs, float)):
        return False
    left, right = float(ours), float(theirs)
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if 0 < min(abs(left), abs(right)) < SMALL or 0 < max(abs(left), abs(right)) < SMALL:
        return False
    return math.isclose(left, right, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
