"""What is published for the test: each collection as files and a template, and the declarations with which figures are exact.

Two ways to declare are measured. `proposed` is what a steward gets without more than classes: shipped templates, and what the node proposes
from the rows. `declared` is for the comparison: ranges contain all values, so that nothing is clipped, days and events are counted further,
and single tables have the levels of `storage/engine/src/statistic/tests/rules.txt`.
"""

import math
import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import data
import duckdb
import template

DECLARED, PROPOSED = "declared", "proposed"
# More days and events than occur, so that nothing that is measured is clipped.
MANY_DAYS = 36_500
MANY_EVENTS = 1_000
TEMPLATES = {"omop": "omop-5.3", "synthea": "synthea"}
# The datasets of the queries that are drawn.
DRAWN = ("person", "condition_occurrence", "drug_exposure", "visit_occurrence", "observation_period")
# The subject of each dataset of a collection of several.
SUBJECTS = {"omop": "person_id"}
# The key of single tables, in which each row is a subject.
ROW_KEY = "row_id"
HELD_BACK = ("direct-identifier",)
# With one of these entries, nothing is proposed for a column.
CLOSED = {"edges", "values", "codes", "levels", "range", "role", "link"}


@dataclass(frozen=True)
class Study:
    """A collection to publish: its files, its template, and the tables of DuckDB with the same rows."""

    name: str
    folder: pathlib.Path
    # The name of a shipped template, or the path of a file.
    template: str
    tables: Mapping[str, str]
    # Queries name its tables without a schema.
    is_single: bool = False


class Studies:
    """Prepares the files of collections below a folder."""

    def __init__(self, database: duckdb.DuckDBPyConnection, root: pathlib.Path, folder: pathlib.Path, rules: pathlib.Path) -> None:
        self.database = database
        self.root = root
        self.folder = folder
        self.rules = rules.read_text(encoding="utf-8")

    def study(self, name: str, way: str) -> Study:
        """The collection of the written queries, as third parties have published it."""
        if name in TEMPLATES:
            published = next(collection.folder for collection in data.COLLECTIONS if collection.name == name)
            return Study(name, self.root / published, TEMPLATES[name], self.tables(name))
        return self.single(name, way, "true", way)

    def part(self, name: str, member: int, of: int) -> Study:
        """The datasets of drawn queries, with the subjects of one of several members."""
        part = f"{member}-of-{of}"
        if name not in TEMPLATES:
            return self.single(name, DECLARED, self.is_of(name, f"= {member}", of), part)
        folder = self.folder / f"{name}-{part}"
        tables = {dataset: f"{name}.{dataset}" for dataset in DRAWN}
        if not folder.exists():
            folder.mkdir()
            for dataset, table in tables.items():
                self.copy(f"SELECT * FROM {table} WHERE {self.is_of(name, f'= {member}', of)}", folder / f"{dataset}.csv")
        return Study(name, folder, TEMPLATES[name], tables)

    def is_of(self, name: str, members: str, of: int) -> str:
        """The condition on rows of subjects of some members: the remainder of the subject's number is `members`."""
        subject = SUBJECTS[name] if name in SUBJECTS else subject_of(self.rules, name) or ROW_KEY
        return f"{subject} % {of} {members}"

    def single(self, name: str, way: str, condition: str, part: str) -> Study:
        """A single table, with the rows that meet a condition."""
        folder = self.folder / f"{name}-{part}"
        if not folder.exists():
            folder.mkdir()
            self.copy(f"SELECT {', '.join(renamed(self.columns(name)))} FROM {name} WHERE {condition}", folder / f"{name}.csv")
        path = self.folder / f"{name}-{way}.toml"
        path.write_text(template.text(name, single(name, data.columns_of(self.database, name), self.rules, way)), encoding="utf-8")
        return Study(name, folder, str(path), {name: f"main.{name}"}, is_single=True)

    def number_rows(self) -> None:
        """Rows of single tables get numbers. Numbers that are all whole become whole numbers: written as such, they are read so."""
        for table in data.SINGLE:
            numbered = f"SELECT row_number() OVER () AS {ROW_KEY}, * FROM {table}"
            self.database.execute(f"CREATE OR REPLACE TABLE {table} AS {numbered}")
            for name, kind in data.columns_of(self.database, table):
                broken = f'SELECT count(*) FROM {table} WHERE "{name}" <> floor("{name}")'
                if kind == "DOUBLE" and not self.database.execute(broken).fetchall()[0][0]:
                    self.database.execute(f'ALTER TABLE {table} ALTER "{name}" TYPE BIGINT')

    def copy(self, query: str, path: pathlib.Path) -> None:
        self.database.execute(f"COPY ({query}) TO '{path}' (HEADER true, NULLSTR '')")

    def columns(self, table: str) -> list[str]:
        return [name for name, _ in data.columns_of(self.database, table)]

    def tables(self, schema: str) -> dict[str, str]:
        listed = self.database.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", [schema]).fetchall()
        return {name: f"{schema}.{name}" for (name,) in listed}

    def ends(self, table: str, column: str) -> tuple[float, float] | None:
        """The least and the greatest value of a column of numbers, rounded outward."""
        try:
            ends = f'SELECT min("{column}")::DOUBLE, max("{column}")::DOUBLE FROM {table}'
            low, high = self.database.execute(ends).fetchall()[0]
        except duckdb.Error:
            return None
        return None if low is None else (float(math.floor(low)), float(math.ceil(high)))

    def widened(self, study: Study, file: Mapping) -> dict:
        """The declarations of a template file, changed so that nothing is clipped, and all that is no identifier is shown."""
        datasets = {}
        for dataset, entry in file.get("datasets", {}).items():
            table = study.tables.get(dataset.lower())
            columns = {name: self.wide(table, name, column) for name, column in entry.get("columns", {}).items()}
            counts = {"counts": [*template.COUNTS, MANY_EVENTS]} if entry.get("kind") in ("keyed", "owned") else {}
            datasets[dataset] = {**entry, **counts, "columns": columns}
        return {**file, "name": "wide", "days": {"levels": [*template.DAYS, MANY_DAYS]}, "datasets": datasets}

    def wide(self, table: str | None, name: str, column: Mapping) -> dict:
        changed = dict(column)
        if "class" in changed and changed["class"] not in HELD_BACK:
            changed["class"] = "ordinary"
        if not CLOSED & changed.keys() and changed.get("class") not in HELD_BACK:
            # Without a declaration, each member would propose levels of its own.
            changed["levels"] = "none"
        ends = self.ends(table, name) if table and "range" in changed else None
        if ends:
            # A flag stays one: its sum is a number of rows.
            low, high = (0.0, 1.0) if (changed["range"]["low"], changed["range"]["high"]) == (0, 1) else ends
            low, high = min(low, ends[0]), max(high, ends[1], low + 1.0)
            changed["range"] = {"low": low, "high": high}
        return changed


def renamed(columns: Iterable[str]) -> list[str]:
    """Columns of a select list; names with a period exist in files only."""
    return [f'"{name}" AS "{without_period(name)}"' for name in columns]


def without_period(name: str) -> str:
    return name.replace(".", "_")


def single(name: str, columns: Sequence[tuple[str, str]], rules: str, way: str) -> dict:
    """The template of a single table: all columns are ordinary. The declared levels are those of `rules`. Subjects of a collection have
    a key, so rows that are subjects by themselves get one."""
    declared = stated(rules, name) if way == DECLARED else {}
    subject = subject_of(rules, name)
    entries = {
        without_period(column): {"class": "ordinary"} | fitting(declared.get(without_period(column), {}), kind) for column, kind in columns
    }
    entries[ROW_KEY] = {"class": "direct-identifier"}
    key = subject or ROW_KEY
    dataset = {"kind": "keyed"} | ({"unique": True} if key == ROW_KEY else {})
    entries[key] = {"class": "direct-identifier", "role": "subject"}
    return {"subject": {"dataset": name, "column": key}, "datasets": {name: dataset | {"columns": entries}}}


def subject_of(rules: str, name: str) -> str:
    """The column with the subjects of a single table; none if each row is one."""
    return next((column for column, entry in stated(rules, name).items() if entry.get("role") == "subject"), "")


def fitting(entry: Mapping, kind: str) -> dict:
    """The entry of a column of this type: two words that mean true and false are truth values."""
    return {"levels": "truth"} if kind == "BOOLEAN" and "values" in entry else dict(entry)


def stated(rules: str, name: str) -> dict[str, dict]:
    """The entries of the columns of a single table, in the text of rules that tests of the engine read."""
    block = re.search(rf"^collection {name}\n(.*?)(?=^collection |\Z)", rules, re.MULTILINE | re.DOTALL)
    lines = block[1].splitlines()[1:] if block else []
    return {without_period(words[0]): entry(words[1], words[2:]) for words in (line.split(" ") for line in lines if line)}


def entry(kind: str, words: Sequence[str]) -> dict:
    """The entry of a template file for one line of rules."""
    found: dict = {}
    read = float if kind == "float" else int
    rest = iter(words)
    for word in rest:
        match word:
            case "subject" | "key":
                found["role"] = word
            case "edges":
                found["edges"] = [read(edge) for edge in next(rest).split(",")]
            case "every":
                first, last, step = (read(next(rest)) for _ in range(3))
                found["edges"] = [first + at * step for at in range(int((last - first) / step) + 1)]
            case "months":
                found["edges"] = {"years": [int(next(rest)), int(next(rest))], "part": "month"}
            case "values":
                found["values"] = {value: value for value in next(rest).split(",")}
            case "truth":
                found["levels"] = "truth"
            case "codes":
                found["codes"] = {}
            case "listed":
                # The node proposes those that enough subjects have.
                next(rest)
            case "range":
                found["range"] = {"low": float(next(rest)), "high": float(next(rest))}
            case _:
                raise ValueError(f"`{word}` is not read")
    return found


def declarations(text: str) -> dict:
    """A template file as a table of TOML."""
    return tomllib.loads(text)
