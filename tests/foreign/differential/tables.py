"""The tables of the test: what each institution holds, with values that other systems read or compare wrongly.

All are shared at tier `records`; tests/foreign/statistics compares figures below it.
The institutions differ on purpose: in the case of names, in a column that is missing, in one without values, in one that has whole
numbers here and numbers there, and gamma imports Parquet.
"""

import csv
import datetime
import pathlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow
import pyarrow.parquet

HOLDERS = ("alfa", "beta", "gamma", "delta")
UTC = datetime.timezone.utc
PEOPLE = 60
VISITS = 90
# The first of codes that have more digits than a floating point number.
CONCEPT = 100_000_000_000_000_992

Value: TypeAlias = None | bool | int | float | str | datetime.date | datetime.datetime
Columns: TypeAlias = dict[str, list[Value]]

INTEGERS: list[Value] = [2**63 - 1, -(2**63), 2**53, 2**53 + 1, -(2**53) - 1, 9_000_000_000_000_000_000, 0, 1, -1, None, None]
NUMBERS: list[Value] = [
    -0.0, 0.0, 1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 0.1, 0.30000000000000004,
    1e15 + 0.3, -2.5, 2.5, float("nan"), float("nan"), None, None,
]  # fmt: skip
TEXTS: list[Value] = [
    "", "   ", None, "plain", "Plain", "with, comma", 'with "quotes"', "it's", "line\nbreak", " leading", "trailing ", "NA", "NULL",
    "null", "NaN", "%", "_", "100%", "a_b", "\\", "back\\slash", "ü", "Ü", "漢字", "e\u0301", "\u00e9", "😀", "ZZZ", "zzz", "0", "-1",
    "1e3", "007", "2020-01-01", "true", "a\tb", "long " * 4_000, ";", "--", "/* */", "$1", "{}", "x" * 63, "Ωmega", "٣",
]  # fmt: skip
DATES: list[Value] = [
    datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1582, 10, 4), datetime.date(1582, 10, 15),
    datetime.date(1900, 2, 28), datetime.date(2000, 2, 29), datetime.date(1969, 12, 31), datetime.date(1970, 1, 1),
    datetime.date(1677, 9, 20), datetime.date(2262, 4, 12), None, None,
]  # fmt: skip
TIMES: list[Value] = [
    datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_000), datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000),
    datetime.datetime(1970, 1, 1), datetime.datetime(2020, 2, 29, 12), datetime.datetime(1677, 9, 21), datetime.datetime(2262, 4, 12),
    datetime.datetime(2021, 1, 1), None, None,
]  # fmt: skip
INSTANTS: list[Value] = [
    datetime.datetime(1, 1, 2, tzinfo=UTC), datetime.datetime(9999, 12, 30, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime.datetime(2021, 1, 1, tzinfo=UTC), None, None,
    datetime.datetime(2021, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    datetime.datetime(2020, 6, 30, 20, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=-4, minutes=-30))),
]  # fmt: skip
# Each institution writes these names in its own way.
AGE = {"alfa": "Age", "beta": "age", "gamma": "AGE", "delta": "age"}


@dataclass(frozen=True)
class File:
    """A table as one institution imports it."""

    holder: str
    table: str
    path: pathlib.Path
    subject: str
    names: tuple[str, ...] = ()
    # The kind that an import has to give to each column, or an empty text if that is not tested here.
    kinds: tuple[str, ...] = ()


def write_all(folder: pathlib.Path, alike: bool = False) -> list[File]:
    """Writes the generated tables of every holder below `folder`; if they are `alike`, the institutions differ in values alone."""
    files = []
    for holder in HOLDERS:
        draw = random.Random(f"tables of {holder}")
        tables = [("people", "pid", people(holder, draw, alike)), ("visits", "vid", visits(holder, draw))]
        for table, subject, columns in tables:
            write = write_parquet if holder == "gamma" else write_csv
            path = write(folder / f"{holder}-{table}", columns)
            kinds = tuple(kind_of(values) for values in columns.values())
            files.append(File(holder, table, path, subject, tuple(columns), kinds))
    return files


def spread(draw: random.Random, rows: int, hostile: list[Value], fill: Callable[[], Value]) -> list[Value]:
    """The hostile values and as many ordinary ones as are needed, in random order."""
    values = (hostile + [fill() for _ in range(max(0, rows - len(hostile)))])[:rows]
    draw.shuffle(values)
    return values


def person_ids(holder: str) -> list[Value]:
    """The ids of a holder; the last ten persons are known to every institution."""
    own = [f"{holder[0].upper()}{number:03}" for number in range(PEOPLE - 10)]
    return [*own, *(f"S{number:03}" for number in range(10))]


def people(holder: str, draw: random.Random, alike: bool) -> Columns:
    """One row for each person."""
    is_other = {other: holder == other and not alike for other in HOLDERS}

    def day() -> datetime.date:
        return datetime.date(2015, 1, 1) + datetime.timedelta(days=draw.randrange(3650))

    def time() -> datetime.datetime:
        return datetime.datetime(2020, 1, 1) + datetime.timedelta(milliseconds=draw.randrange(10**11))

    def concept() -> Value:
        return draw.randrange(100) + 0.5 if is_other["gamma"] else CONCEPT + draw.randrange(60)

    def mixed() -> Value:
        return draw.randrange(100) + 0.5 if is_other["gamma"] else draw.randrange(100)

    columns: Columns = {
        "pid": person_ids(holder),
        "n": spread(draw, PEOPLE, [None] * 5, lambda: draw.randrange(6)),
        "big": spread(draw, PEOPLE, INTEGERS, lambda: draw.randrange(-(10**12), 10**12)),
        "age" if alike else AGE[holder]: spread(draw, PEOPLE, [None] * 3, lambda: draw.randrange(100)),
        "x": spread(draw, PEOPLE, NUMBERS, lambda: round(draw.uniform(-1e6, 1e6), 3)),
        "score": [None] * PEOPLE if is_other["delta"] else spread(draw, PEOPLE, [None] * 4, lambda: draw.randrange(1000) / 8 + 0.125),
        "mixed": spread(draw, PEOPLE, [None] * 3, mixed),
        "ward": spread(draw, PEOPLE, [None] * 4, lambda: draw.choice(["A", "B", "b", "C c"])),
        "label": spread(draw, PEOPLE, TEXTS, lambda: draw.choice(["red", "Red", "green", "blue"])),
        "flag": spread(draw, PEOPLE, [None] * 6, lambda: draw.random() < 0.5),
        "admitted": spread(draw, PEOPLE, DATES, day),
        "seen": spread(draw, PEOPLE, TIMES, time),
        "logged": spread(draw, PEOPLE, INSTANTS, lambda: time().replace(tzinfo=UTC)),
        "nothing": [None] * PEOPLE,
        "order": spread(draw, PEOPLE, [], lambda: draw.randrange(1, 4)),
        "größe": spread(draw, PEOPLE, [None], lambda: draw.randrange(140, 200) / 100),
    }
    if not is_other["gamma"]:
        columns["extra"] = spread(draw, PEOPLE, [None] * 2, lambda: draw.randrange(10))
    columns["concept"] = spread(draw, PEOPLE, [None] * 3, concept)
    return columns


def visits(holder: str, draw: random.Random) -> Columns:
    """Several rows for some persons, and some for persons that no table has."""
    start = HOLDERS.index(holder) * 1000
    return {
        "vid": [start + number for number in range(VISITS)],
        "pid": spread(draw, VISITS, [None, None, "X001", "X002"], lambda: draw.choice(person_ids(holder))),
        "code": spread(draw, VISITS, [None] * 5, lambda: draw.choice(["I10", "E11", "J45", "i10"])),
        "cost": spread(draw, VISITS, [None, 0.0], lambda: draw.randrange(1, 80_000) / 4 + 0.25),
        "day": spread(draw, VISITS, [None] * 3, lambda: datetime.date(2023, 1, 1) + datetime.timedelta(days=draw.randrange(400))),
        "paid": spread(draw, VISITS, [], lambda: draw.random() < 0.7),
    }


def field(value: Value) -> str:
    """A value as the field of a CSV file."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return "NaN" if value != value else repr(value)
        case datetime.datetime():
            return value.isoformat(sep=" ", timespec="milliseconds")
        case _:
            return str(value)


def write_csv(path: pathlib.Path, columns: Columns) -> pathlib.Path:
    """A CSV file with a header."""
    path = path.with_suffix(".csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[field(value) for value in row] for row in zip(*columns.values(), strict=True)])
    return path


def write_parquet(path: pathlib.Path, columns: Columns) -> pathlib.Path:
    """A Parquet file with the types of the values."""
    path = path.with_suffix(".parquet")
    arrays = {name: pyarrow.array(values, parquet_type(values)) for name, values in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(arrays), path)
    return path


def first(values: list[Value]) -> Value:
    """The first value that is one, or an empty text."""
    return next((value for value in values if value is not None), "")


def kind_of(values: list[Value]) -> str:
    """The kind of a column, as a node shows it; empty if it has no values."""
    match first(values):
        case bool():
            return "true or false"
        case int():
            return "whole numbers"
        case float():
            return "numbers"
        case datetime.datetime(tzinfo=None):
            return "date-times"
        case datetime.datetime():
            return "date-times with a zone"
        case datetime.date():
            return "dates"
        case _:
            return "text" if any(values) else ""


def parquet_type(values: list[Value]) -> pyarrow.DataType:
    """The type of a column of these values; a column without values has text."""
    match first(values):
        case bool():
            return pyarrow.bool_()
        case int():
            return pyarrow.int64()
        case float():
            return pyarrow.float64()
        case datetime.datetime(tzinfo=None):
            return pyarrow.timestamp("ms")
        case datetime.datetime():
            return pyarrow.timestamp("ms", tz="UTC")
        case datetime.date():
            return pyarrow.date32()
        case _:
            return pyarrow.string()
