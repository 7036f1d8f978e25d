"""What is declared about a collection, from a template file about it, as `concordat collection template NAME` writes it.

Only what a query can see is read: levels, ranges, and the numbers of days and events that conditions can name. Names of datasets and
columns are compared without regard to case, as in queries. `text` writes a template file of declarations again.
"""

import datetime
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Value: TypeAlias = int | float | datetime.date | str
# The numbers of days and of events that apply unless a template states others.
DAYS = (0, 1, 7, 14, 30, 60, 90, 180, 365, 730)
COUNTS = (1, 2, 3, 5, 10, 20)
# The levels that groups use, if a column has them; that of names is for groups by the names of codes, and the last one for groups by the names of
# codes above them.
BAND, LISTED, NAMED, ANCESTORS = "band", "listed", "named", "ancestors"


@dataclass(frozen=True)
class Edges:
    """Where atoms begin, and of each named level, where its parts begin."""

    at: tuple[Value, ...]
    levels: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @property
    def of_groups(self) -> tuple[Value, ...]:
        """Where groups by the column begin."""
        return self.levels.get(BAND, self.at)


@dataclass(frozen=True)
class Listed:
    """Values as text, each with the label of its group; all others are `other`."""

    labels: Mapping[str, str]

    @property
    def rest(self) -> str:
        """The label of all other values: `other`, in parentheses while that is the label of a listed value."""
        label = "other"
        while label in self.labels.values():
            label = f"({label})"
        return label


@dataclass(frozen=True)
class Codes:
    """Codes of an open list, with the groups of each named level, the dataset and the column with the names of codes, and the dataset and the columns
    with the codes above and below each other."""

    levels: Mapping[str, Listed] = field(default_factory=dict)
    names: tuple[str, str] | None = None
    pairs: tuple[str, str, str] | None = None


Levels: TypeAlias = None | bool | Edges | Listed | Codes


@dataclass(frozen=True)
class Column:
    """What is declared about a column. `levels` is `True` for truth values."""

    levels: Levels = None
    low: float | None = None
    high: float | None = None
    role: str = "value"
    link: str = ""
    entry: Mapping[str, object] = field(default_factory=dict, compare=False)

    @property
    def has_range(self) -> bool:
        return self.low is not None


@dataclass(frozen=True)
class Dataset:
    """What is declared about a dataset."""

    kind: str
    is_unique: bool
    columns: Mapping[str, Column]
    counts: tuple[int, ...] = COUNTS
    date: str = ""

    def subject(self) -> str:
        """The column with the key of the subject."""
        return next((name for name, column in self.columns.items() if column.role == "subject"), "")


@dataclass(frozen=True)
class Rules:
    """What is declared about a collection."""

    datasets: Mapping[str, Dataset]
    days: tuple[int, ...] = DAYS

    def column(self, dataset: str, column: str) -> Column | None:
        found = self.datasets.get(dataset.lower())
        return found.columns.get(column.lower()) if found else None


def read(text: str) -> Rules:
    """The declarations of a template file without patterns."""
    file = tomllib.loads(text)
    shared = {name: levels(entry, {}) for name, entry in file.get("levels", {}).items()}
    datasets = {name.lower(): dataset(entry, shared) for name, entry in file.get("datasets", {}).items()}
    return Rules(with_subject(datasets, file.get("subject", {})), tuple(file.get("days", {}).get("levels", DAYS)))


def with_subject(datasets: dict[str, Dataset], subject: Mapping[str, str]) -> dict[str, Dataset]:
    """The datasets, of which that of `[subject]` has its key."""
    name, key = subject.get("dataset", "").lower(), subject.get("column", "").lower()
    if name in datasets and key in datasets[name].columns:
        columns = dict(datasets[name].columns)
        columns[key] = replace(columns[key], role="subject")
        datasets[name] = replace(datasets[name], columns=columns)
    return datasets


def dataset(entry: Mapping, shared: Mapping[str, Levels]) -> Dataset:
    columns = {name.lower(): column(found, shared) for name, found in entry.get("columns", {}).items()}
    counts = tuple(entry.get("counts", COUNTS))
    return Dataset(entry.get("kind", "unowned"), entry.get("unique", False), columns, counts, entry.get("date", "").lower())


def column(entry: Mapping, shared: Mapping[str, Levels]) -> Column:
    measure = entry.get("range", {})
    role = "link" if "link" in entry else entry.get("role", "value")
    return Column(levels(entry, shared), measure.get("low"), measure.get("high"), role, entry.get("link", ""), entry)


def levels(entry: Mapping, shared: Mapping[str, Levels]) -> Levels:
    """The levels that an entry declares, or that it names."""
    if "edges" in entry:
        return edges(entry["edges"])
    if "values" in entry:
        return listed(entry["values"])
    if "codes" in entry:
        return codes(entry["codes"])
    name = entry.get("levels", "none")
    return True if name == "truth" else shared.get(name)


def codes(entry: Mapping) -> Codes:
    names = entry.get("names")
    of = (names["dataset"].lower(), names["name"].lower()) if names else None
    hierarchy = entry.get("hierarchy")
    pairs = tuple(hierarchy[part].lower() for part in ("dataset", "ancestor", "descendant")) if hierarchy else None
    return Codes({name: listed(found) for name, found in entry.get("levels", {}).items()}, of, pairs)


def edges(entry: list | Mapping) -> Edges:
    """Edges as a list, or as a table with named levels, whose edges are all of them together."""
    if isinstance(entry, list):
        return Edges(tuple(entry))
    base = spec(entry, entry)
    named = {str(entry["name"]): base} if "name" in entry else {}
    named |= {name: spec(found, entry) for name, found in entry.get("levels", {}).items()}
    together = sorted({edge for part in [base, *named.values()] for edge in part})
    return Edges(tuple(together), named)


def spec(entry: object, base: Mapping) -> tuple[Value, ...]:
    """A list, steps between two numbers, or the parts of years; a level states only how it differs from the first one."""
    if isinstance(entry, list):
        return tuple(entry)
    if not isinstance(entry, Mapping):
        entry = {**base, ("part" if "years" in base else "step"): entry}
    if "at" in entry:
        return tuple(entry["at"])
    if "years" in entry:
        first, last = entry["years"]
        months = {"year": 12, "quarter": 3, "month": 1}[entry.get("part", "year")]
        begins = [datetime.date(year, month, 1) for year in range(first, last) for month in range(1, 13, months)]
        return (*begins, datetime.date(last, 1, 1))
    count = int((entry["to"] - entry["from"]) / entry["step"])
    return tuple(entry["from"] + at * entry["step"] for at in range(count + 1))


def listed(entry: list | Mapping) -> Listed:
    pairs = entry.items() if isinstance(entry, Mapping) else ((plain(value), plain(value)) for value in entry)
    return Listed(dict(pairs))


def plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(name: str, file: Mapping) -> str:
    """A template file: that which `tomllib` reads as `file`."""
    head = {key: value for key, value in file.items() if key not in ("datasets", "levels", "subject", "days", "reading")}
    lines = [f"{key} = {written(value)}" for key, value in ({"template": 1, "name": name} | head).items()]
    for part in ("subject", "reading", "days"):
        if part in file:
            lines += ["", f"[{part}]", *(f"{key} = {written(value)}" for key, value in file[part].items())]
    for key, entry in file.get("levels", {}).items():
        lines += ["", f"[levels.{quoted(key)}]", *(f"{name} = {written(value)}" for name, value in entry.items())]
    for key, entry in file.get("datasets", {}).items():
        lines += ["", f"[datasets.{quoted(key)}]"]
        lines += [f"{name} = {written(value)}" for name, value in entry.items() if name != "columns"]
        lines += [f"[datasets.{quoted(key)}.columns]"]
        lines += [f"{quoted(name)} = {written(value)}" for name, value in entry.get("columns", {}).items()]
    return "\n".join(lines) + "\n"


def written(value: object) -> str:
    """A value of TOML, on one line."""
    match value:
        case bool():
            return plain(value)
        case str():
            return quoted(value)
        case datetime.date():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(map(written, value))}]"
        case Mapping():
            return "{ " + ", ".join(f"{quoted(key)} = {written(part)}" for key, part in value.items()) + " }"
        case _:
            return repr(value)


def quoted(name: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(name, ensure_ascii=False)
