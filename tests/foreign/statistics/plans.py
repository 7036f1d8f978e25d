"""Random queries of the language below `records`, from a seed and the declarations of a collection.

Literals are at edges, codes and values are those that occur, and ranges are declared, so that a node computes most of them. The schema of
the tables is `study`, which stands for a collection, or for the union of its members.
"""

import datetime
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from atoms import literal
from template import Codes, Column, Dataset, Edges, Listed, Rules, Value

SCHEMA = "study"
OUTPUTS = ("avg", "sum", "stddev", "var_samp", "var_pop", "stddev_pop")
PAIRS = ("corr", "covar_samp", "regr_slope", "regr_intercept", "regr_r2")
WIDTHS = (5, 10, 20, 50, 100)
# Most atoms of a column that is grouped by: a query has at most 500 cells.
MAX_ATOMS = 40
DEPTH = 2


@dataclass(frozen=True)
class Plan:
    """A query, and the expression that names the subject of a row of its grouping; `*` if each row is one."""

    number: int
    form: str
    text: str
    subject: str


@dataclass(frozen=True)
class Table:
    """A dataset, with the alias of its rows."""

    name: str
    dataset: Dataset
    alias: str

    def column(self, name: str) -> str:
        return f"{self.alias}.{name}"

    @property
    def subject(self) -> str:
        return self.column(self.dataset.subject()) if self.dataset.subject() else "*"


class Plans:
    """Draws queries over one collection. `values` has values that occur in a column with codes, or with text, by dataset and column."""

    def __init__(self, seed: int, rules: Rules, values: Mapping[tuple[str, str], Sequence[Value]]) -> None:
        self.draw = random.Random(seed)
        self.rules = rules
        self.values = values
        keyed = {name: dataset for name, dataset in rules.datasets.items() if dataset.kind in ("keyed", "each-row")}
        self.people = next((name for name, dataset in keyed.items() if dataset.is_unique and dataset.kind == "keyed"), "")
        self.events = sorted(name for name in keyed if name != self.people)

    def plans(self, count: int) -> list[Plan]:
        """The first queries that the seed leads to."""
        return [self.plan(number) for number in range(1, count + 1)]

    def plan(self, number: int) -> Plan:
        forms: list[Callable[[], tuple[str, str]]] = [self.rows, self.rows, self.flags]
        if self.people and self.events:
            forms += [self.joined, self.joined, self.cohort, self.cohort, self.after_first, self.per_subject]
        form = self.draw.choice(forms)
        text, subject = form()
        return Plan(number, form.__name__.replace("_", " "), text, subject)

    def rows(self) -> tuple[str, str]:
        """Groups of the rows of one dataset."""
        table = self.table(self.draw.choice([*self.events, self.people] if self.people else self.events), "t")
        return self.grouping([table], f"{self.source(table)}"), table.subject

    def joined(self) -> tuple[str, str]:
        """Rows of events with the columns of their subjects."""
        events, people = self.table(self.draw.choice(self.events), "t"), self.table(self.people, "p")
        source = f"{self.source(events)} JOIN {self.source(people)} ON {people.subject} = {events.subject}"
        return self.grouping([events, people], source), events.subject

    def cohort(self) -> tuple[str, str]:
        """Subjects with and without events."""
        people = self.table(self.people, "p")
        return self.grouping([people], self.source(people), [self.test(people) for _ in range(self.draw.randint(1, 2))]), people.subject

    def after_first(self) -> tuple[str, str]:
        """Subjects with an event at most some days after the first one of another kind."""
        dated = [name for name in self.events if self.rules.datasets[name].date]
        first, then = (self.table(name, alias) for name, alias in zip(self.draw.choices(dated, k=2), ("e", "t")))
        condition = self.where(first, " WHERE ")
        key = first.dataset.subject()
        begin = f"SELECT {first.subject}, min({first.column(first.dataset.date)}) AS day FROM {self.source(first)}"
        begin += f"{condition} GROUP BY {first.subject}"
        day = then.column(then.dataset.date)
        days = self.draw.choice([days for days in self.rules.days if days > 0])
        relation = self.draw.choice([
            f"{day} BETWEEN f.day AND f.day + INTERVAL '{days}' DAY", f"{day} - f.day <= {days} AND {day} >= f.day", f"{day} > f.day",
        ])  # fmt: skip
        join = f"JOIN {self.source(then)} ON {then.subject} = f.{key}"
        return (
            f"WITH f AS ({begin}) SELECT count(DISTINCT f.{key}) AS n FROM f {join} WHERE {relation}{self.where(then, ' AND ')}",
            f"f.{key}",
        )

    def per_subject(self) -> tuple[str, str]:
        """The number of events of each subject, measured or in groups."""
        events = self.table(self.draw.choice(self.events), "t")
        key = events.dataset.subject()
        inner = (
            f"SELECT {events.subject}, count(*) AS n FROM {self.source(events)}{self.where(events, ' WHERE ')} GROUP BY {events.subject}"
        )
        at = self.draw.choice(events.dataset.counts[:5])
        outer = self.draw.choice([
            "avg(s.n) AS mean, count(*) AS subjects", f"CASE WHEN s.n >= {at} THEN 'many' ELSE 'few' END AS events, count(*) AS subjects",
        ])  # fmt: skip
        group = " GROUP BY 1" if outer.startswith("CASE") else ""
        return f"SELECT {outer} FROM ({inner}) AS s{group}", f"s.{key}"

    def flags(self) -> tuple[str, str]:
        """Proportions of rows that meet a condition."""
        table = self.table(self.draw.choice([*self.events, self.people] if self.people else self.events), "t")
        condition = self.condition(table, 1)
        figure = self.draw.choice([
            f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS met, count(*) AS n",
            f"100.0 * count(*) FILTER (WHERE {condition}) / count(*) AS percentage",
            f"avg(CASE WHEN {condition} THEN 1.0 ELSE 0.0 END) AS part",
        ])  # fmt: skip
        return f"SELECT {figure} FROM {self.source(table)}{self.where(table, ' WHERE ')}", table.subject

    def grouping(self, tables: list[Table], source: str, tests: Sequence[str] = ()) -> str:
        """A query with groups and figures of the rows of the first table."""
        conditions = [*tests, *(self.condition(table, DEPTH) for table in tables if self.draw.random() < 0.5)]
        groups = [group for group in (self.group(self.draw.choice(tables)) for _ in range(self.draw.randint(0, 2))) if group]
        named = [f"{group} AS g{at}" for at, group in enumerate(dict.fromkeys(groups), 1)]
        figures = [f"{figure} AS f{at}" for at, figure in enumerate(self.figures(tables[0]), 1)]
        where = f" WHERE {' AND '.join(f'({condition})' for condition in conditions)}" if conditions else ""
        by = f" GROUP BY {', '.join(str(at + 1) for at in range(len(named)))}" if named else ""
        return f"SELECT {', '.join(named + figures)} FROM {source}{where}{by}"

    def figures(self, table: Table) -> list[str]:
        """One to three different aggregates."""
        drawn = [self.figure(table) for _ in range(self.draw.randint(1, 3))]
        return list(dict.fromkeys(drawn))

    def figure(self, table: Table) -> str:
        measures = [table.column(name) for name, column in table.dataset.columns.items() if column.has_range]
        present = [table.column(name) for name, column in table.dataset.columns.items() if is_value(column)]
        forms = ["count(*)", f"count(DISTINCT {table.subject})" if table.subject != "*" else "count(*)"]
        forms += [f"count({self.draw.choice(present)})"] if present else []
        if measures:
            output = f"{self.draw.choice(OUTPUTS)}({self.draw.choice(measures)})"
            forms += [output, output, f"{self.draw.choice(PAIRS)}({self.draw.choice(measures)}, {self.draw.choice(measures)})"]
        form = self.draw.choice(forms)
        return f"{form} FILTER (WHERE {self.condition(table, 0)})" if self.draw.random() < 0.15 else form

    def group(self, table: Table) -> str | None:
        """A column with levels, a part of a date, a band, a condition or a `CASE`; `None` if the drawn column has no groups."""
        name, column = self.draw.choice(
            [(name, column) for name, column in table.dataset.columns.items() if column.levels is not None] or [("", Column())]
        )
        path, levels = table.column(name), column.levels
        if levels is None or self.draw.random() < 0.2:
            return f"CASE WHEN {self.condition(table, 0)} THEN 'yes' ELSE 'no' END"
        if isinstance(levels, Codes):
            return None
        if isinstance(levels, Edges):
            return self.span(path, levels)
        return path

    def span(self, path: str, levels: Edges) -> str | None:
        """Parts of a column with edges."""
        if isinstance(levels.at[0], datetime.date):
            return f"date_part('year', {path})"
        widths = [width for width in WIDTHS if is_band(levels.at, width)]
        if widths and self.draw.random() < 0.5:
            width = self.draw.choice(widths)
            return f"floor({path} / {width}) * {width}"
        return path if len(levels.of_groups) < MAX_ATOMS else None

    def where(self, table: Table, word: str) -> str:
        """A condition behind a word, or nothing."""
        return f"{word}{self.condition(table, 1)}" if self.draw.random() < 0.6 else ""

    def test(self, people: Table) -> str:
        """A condition on the events of a subject."""
        events = self.table(self.draw.choice(self.events), "e")
        condition = self.condition(events, 1)
        within = f"SELECT 1 FROM {self.source(events)} WHERE {events.subject} = {people.subject} AND ({condition})"
        chosen = f"SELECT {events.subject} FROM {self.source(events)} WHERE {condition}"
        often = f"{chosen} GROUP BY {events.subject} HAVING count(*) >= {self.draw.choice(events.dataset.counts[:5])}"
        return self.draw.choice([
            f"EXISTS ({within})", f"NOT EXISTS ({within})", f"{people.subject} IN ({chosen})", f"{people.subject} NOT IN ({chosen})",
            f"{people.subject} IN ({often})",
        ])  # fmt: skip

    def condition(self, table: Table, depth: int) -> str:
        """A condition on the columns of a table."""
        if depth and self.draw.random() < 0.4:
            left, right = self.condition(table, depth - 1), self.condition(table, depth - 1)
            return self.draw.choice([f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})", f"({left} AND {right})"])
        columns = [(name, column) for name, column in table.dataset.columns.items() if is_value(column)]
        # Of the others, only whether a value is missing can be a condition.
        divided = [(name, column) for name, column in columns if column.levels is not None]
        name, column = self.draw.choice(divided if divided and self.draw.random() < 0.85 else columns)
        tests = self.tests(table.name, name, table.column(name), column)
        return self.draw.choice(tests)

    def tests(self, dataset: str, name: str, path: str, column: Column) -> list[str]:
        """Conditions that the levels of a column decide."""
        nulls = [f"{path} IS NULL", f"{path} IS NOT NULL"]
        occurring = list(self.values.get((dataset, name), ()))
        match column.levels:
            case Edges(at=at):
                return self.comparisons(path, at)
            case Listed(labels=labels):
                occurring = [value for value in occurring if str(value) in labels]
            case True:
                return [path, f"NOT {path}", f"{path} = true"]
            case Codes():
                pass
            case _:
                return nulls
        if not occurring:
            return nulls
        one, other = (literal(value) for value in self.draw.choices(occurring, k=2))
        return [f"{path} = {one}", f"{path} <> {one}", f"{path} IN ({one}, {other})", f"{path} NOT IN ({one}, {other})", nulls[1]]

    def comparisons(self, path: str, at: Sequence[Value]) -> list[str]:
        """Comparisons at the edges."""
        low, high = sorted(self.draw.choices(at, k=2))  # type: ignore[type-var]
        one, two = literal(low), literal(high)
        found = [f"{path} >= {one}", f"{path} < {two}", f"NOT ({path} < {one})", f"({path} >= {one} AND {path} < {two})"]
        if isinstance(low, int) and isinstance(high, int):
            found += [f"{path} > {low - 1}", f"{path} <= {low - 1}", f"{path} BETWEEN {low} AND {high - 1}"]
        return found

    def table(self, name: str, alias: str) -> Table:
        return Table(name, self.rules.datasets[name], alias)

    def source(self, table: Table) -> str:
        return f"{SCHEMA}.{table.name} {table.alias}"


def is_value(column: Column) -> bool:
    """Whether conditions can name the column: identifiers are not in answers below `records`."""
    return column.role == "value" and column.entry.get("class") != "direct-identifier" or isinstance(column.levels, (Codes, Listed, Edges))


def is_band(at: Sequence[object], width: int) -> bool:
    """Whether all multiples of a width between the outermost edges are edges."""
    if not all(isinstance(edge, int) for edge in at) or at[0] <= 0:  # type: ignore[operator]
        return False
    multiples = [edge for edge in range(at[0], at[-1] + 1) if edge % width == 0]  # type: ignore[call-overload, operator]
    return len(multiples) > 1 and set(multiples) <= set(at)


def at_schema(text: str, schema: str) -> str:
    """The query over the tables of a schema."""
    return text.replace(f"{SCHEMA}.", f"{schema}.")
