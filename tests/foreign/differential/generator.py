"""Generated cases: queries of a grammar, drawn with a seed."""

import random
from collections.abc import Iterator

from answer import Refusal
from case import Case
from grammar import AGGREGATES, TABLES, Column, Expressions, Sql
from oracle import Oracle
from tables import HOLDERS

DEPTH = 2
CONDITION = 0.7
LIMITS = [1, 3, 10, 1000]


class Generator:
    """Draws queries."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        # Each shape as often as its weight.
        self.shapes = {
            self.records: 6,
            self.aggregate: 4,
            self.grouped: 6,
            self.distinct: 2,
            self.join: 3,
            self.outside: 2,
            self.subquery: 2,
            self.cte: 2,
            self.sets: 2,
            self.window: 2,
        }

    def case(self, number: int) -> Case:
        """A case of a shape drawn by weight."""
        shape = self.draw.choices(list(self.shapes), list(self.shapes.values()))[0]
        sql, options = shape()
        oracle = sql.theirs if sql.theirs != sql.ours else ""
        return Case(number, shape.__name__, sql.ours, oracle, source="generated", **options)

    def records(self) -> tuple[Sql, dict]:
        """Rows of a table with a condition, in an order or not."""
        table = self.draw.choice(["people", "visits"])
        count = self.draw.randint(1, 4)
        return self.ordered(self.select(table, self.items(table, count)), count), {}

    def distinct(self) -> tuple[Sql, dict]:
        """Different rows."""
        table = self.draw.choice(["people", "visits"])
        items = [self.expressions(table).group(1) for _ in range(self.draw.randint(1, 2))]
        return self.ordered(self.select(table, items, "SELECT DISTINCT"), len(items)), {}

    def aggregate(self) -> tuple[Sql, dict]:
        """One row over a table."""
        table = self.draw.choice(["people", "people", "visits"])
        return self.select(table, self.aggregates(table, self.draw.randint(1, 3))), {}

    def grouped(self) -> tuple[Sql, dict]:
        """Aggregates of groups."""
        return self.groups(self.draw.choice(["people", "people", "visits"])), {}

    def join(self) -> tuple[Sql, dict]:
        """Two tables of the same institutions."""
        return self.joined_tables("site", "site"), {}

    def outside(self) -> tuple[Sql, dict]:
        """Tables of two institutions."""
        first, second = self.draw.sample([*HOLDERS, "consortium"], 2)
        return self.joined_tables(first, second), {"ways": ("outside",)}

    def subquery(self) -> tuple[Sql, dict]:
        """Rows for which another table has some, or none."""
        inner = self.condition("visits", "v.")
        condition = self.condition("people", "p.")
        form = self.draw.choice([
            "p.pid IN (SELECT v.pid FROM site.visits AS v WHERE {})",
            "EXISTS (SELECT 1 FROM site.visits AS v WHERE v.pid = p.pid AND {})",
            "NOT EXISTS (SELECT 1 FROM site.visits AS v WHERE v.pid = p.pid AND {})",
            "p.n > (SELECT min(v.vid) - {} FROM site.visits AS v)",
        ])  # fmt: skip
        if "min(" in form:
            inner = Sql.same("1")
        head = f"SELECT p.pid, p.n, p.ward FROM site.people AS p WHERE {form} AND "
        return Sql(head.format(f"({inner.ours})") + condition.ours, head.format(f"({inner.theirs})") + condition.theirs), {}

    def cte(self) -> tuple[Sql, dict]:
        """An aggregate of a common table expression."""
        table = self.draw.choice(["people", "visits"])
        inner = self.select(table, [self.expressions(table).of("text", 1), self.expressions(table).of("int", 1)])
        tail = self.draw.choice([
            "SELECT c1, count(*) AS k, sum(c2) AS s FROM t GROUP BY c1",
            "SELECT count(*) AS k, min(c1) AS a, avg(c2) AS b FROM t",
            "SELECT c2, count(DISTINCT c1) AS k FROM t GROUP BY c2 HAVING count(*) > 1",
            "SELECT a.c1, b.c2 FROM t AS a JOIN t AS b ON a.c2 = b.c2 AND a.c1 < b.c1",
        ])  # fmt: skip
        return Sql(f"WITH t AS ({inner.ours}) {tail}", f"WITH t AS ({inner.theirs}) {tail}"), {}

    def sets(self) -> tuple[Sql, dict]:
        """Two queries with the same kinds of columns."""
        kinds = self.draw.choices(["int", "text", "bool", "date"], k=self.draw.randint(1, 2))
        sides = []
        for table in self.draw.choices(["people", "visits"], k=2):
            sides.append(self.select(table, [self.expressions(table).of(kind, 1) for kind in kinds]))
        operator = self.draw.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
        return Sql(f"{sides[0].ours} {operator} {sides[1].ours}", f"{sides[0].theirs} {operator} {sides[1].theirs}"), {}

    def window(self) -> tuple[Sql, dict]:
        """Values over the rows around each row; `vid` orders them without ties."""
        expressions = self.expressions("visits")
        over = self.draw.choice(["OVER (ORDER BY vid)", "OVER (PARTITION BY code ORDER BY vid)", "OVER (PARTITION BY paid ORDER BY vid DESC)"])
        forms = ["row_number()", "sum({int})", "avg({num})", "lag({int})", "lead({text})", "min({num})", "count({text})", "first_value({int})"]
        form = f"{self.draw.choice(forms)} {over}"
        return self.select("visits", [Sql.same("vid"), expressions.form((form, form), 1)]), {}

    def groups(self, table: str) -> Sql:
        expressions = self.expressions(table)
        keys = [expressions.group(1) for _ in range(self.draw.randint(1, 2))]
        values = self.aggregates(table, self.draw.randint(1, 3))
        sql = self.select(table, keys + values)
        by = joined(keys, self.draw.choice([" GROUP BY {items}"] * 6 + [" GROUP BY ROLLUP ({items})", " GROUP BY ALL"]), aliases=False)
        if self.draw.random() < 0.3:
            having = self.draw.choice(["count(*) > 1", "count(*) BETWEEN 2 AND 20", "max({int_column}) > 1", "min({text_column}) < 'b'"])
            part = expressions.form((having, having), 0)
            by = Sql(f"{by.ours} HAVING {part.ours}", f"{by.theirs} HAVING {part.theirs}")
        return self.ordered(Sql(sql.ours + by.ours, sql.theirs + by.theirs), len(keys), limited=False)

    def joined_tables(self, first: str, second: str) -> Sql:
        """A join of persons and visits, by a condition or by the column that they have in common."""
        columns = prefixed("p.", TABLES["people"]) + prefixed("v.", TABLES["visits"])
        joins = ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]
        tables = f"{first}.people AS p {self.draw.choice(joins)} {second}.visits AS v"
        if self.draw.random() < 0.5:
            tables += " ON p.pid = v.pid"
        else:
            tables += " USING (pid)"
            if self.draw.random() < 0.3:
                tables += f" {self.draw.choice(joins)} {first}.people AS q USING (pid)"
            columns += [column for column in TABLES["people"] if column.name == "pid"] * 4
        expressions = Expressions(self.draw, columns)
        condition = expressions.of("bool", DEPTH)
        if self.draw.random() < 0.5:
            items = [expressions.any(1) for _ in range(self.draw.randint(1, 3))]
            by = Sql.same("")
        else:
            keys = [expressions.group(0)]
            items = keys + [expressions.form(self.draw.choice(AGGREGATES), 0)]
            by = joined(keys, " GROUP BY {items}", aliases=False)
        head = joined(items, f"SELECT {{items}} FROM {tables}")
        return Sql(f"{head.ours} WHERE {condition.ours}{by.ours}", f"{head.theirs} WHERE {condition.theirs}{by.theirs}")

    def select(self, table: str, items: list[Sql], verb: str = "SELECT") -> Sql:
        """A query of one table, with a condition or without."""
        head = joined(items, f"{verb} {{items}} FROM site.{table}")
        if self.draw.random() > CONDITION:
            return head
        condition = self.condition(table, "")
        return Sql(f"{head.ours} WHERE {condition.ours}", f"{head.theirs} WHERE {condition.theirs}")

    def condition(self, table: str, prefix: str) -> Sql:
        return Expressions(self.draw, prefixed(prefix, TABLES[table])).of("bool", DEPTH)

    def items(self, table: str, count: int) -> list[Sql]:
        return [self.expressions(table).any(DEPTH) for _ in range(count)]

    def aggregates(self, table: str, count: int) -> list[Sql]:
        return [self.expressions(table).form(self.draw.choice(AGGREGATES), 1) for _ in range(count)]

    def expressions(self, table: str) -> Expressions:
        """Expressions over a table; names of columns have that of the table before them or not."""
        prefix = self.draw.choice(["", "", "", "", f"{table}."])
        return Expressions(self.draw, prefixed(prefix, TABLES[table]))

    def ordered(self, sql: Sql, columns: int, limited: bool = True) -> Sql:
        """Perhaps an order by the first columns. If these are all columns, rows that are equal in them are equal, and a limit determines
        the rows."""
        if self.draw.random() < 0.5:
            return sql
        nulls = ["", " NULLS FIRST", " DESC NULLS LAST", " DESC", " NULLS LAST"]
        order = " ORDER BY " + ", ".join(f"{at + 1}{self.draw.choice(nulls)}" for at in range(columns))
        if limited and self.draw.random() < 0.5:
            limit, offset = self.draw.choices(LIMITS, k=2)
            forms = [f" LIMIT {limit}", f" LIMIT {limit} OFFSET {offset}", f" OFFSET {offset} ROWS FETCH NEXT {limit} ROWS ONLY"]
            order += self.draw.choice(forms)
        return Sql(sql.ours + order, sql.theirs + order)


def prefixed(prefix: str, columns: list[Column]) -> list[Column]:
    return [Column(prefix + column.name, column.kind, column.few) for column in columns]


def joined(items: list[Sql], text: str, aliases: bool = True) -> Sql:
    """The text with the items, which have the names `c1`, `c2` and so on if `aliases` is set."""

    def shown(texts: list[str]) -> str:
        named = [f"{item} AS c{at}" if aliases else item for at, item in enumerate(texts, 1)]
        return text.format(items=", ".join(named))

    return Sql(shown([item.ours for item in items]), shown([item.theirs for item in items]))


def generate(count: int, seed: int, first: int, oracle: Oracle) -> Iterator[Case]:
    """Cases that DuckDB can read; the first has the number `first`."""
    generator = Generator(seed)
    number = first
    while number < first + count:
        case = generator.case(number)
        answers = [oracle.query(case.oracle_sql(way)) for way in case.ways]
        if not any(isinstance(answer, Refusal) and answer.code == "usage" for answer in answers):
            yield case
            number += 1
