"""Checks of what DuckDB answers in the form of a node, and of the comparison with an answer."""

import datetime
import unittest
from typing import Any

import duckdb
import template
from answer import Row, Rows
from atoms import macros
from grid import DIFFERENT, EMPTY, EQUAL, ESTIMATED, EXACT, PARTIAL, PERTURBED, PRIVATE, WITHHELD, Grid, Promise, compared
from truth import Truth, Truths, names_of

RULES = """
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
person_id = { role = "subject" }
born = { edges = [1950, 1960, 1970] }
sex = { values = { 1 = "male", 2 = "female" } }
[datasets.visit]
kind = "keyed"
date = "day"
[datasets.visit.columns]
person_id = { role = "subject" }
day = { edges = { years = [2000, 2010] } }
ward = { codes = { names = { dataset = "unit", code = "id", name = "label" }, \
levels = { listed = ["A"], named = { A = "surgery" }, ancestors = { N = "north" } }, \
hierarchy = { dataset = "part", ancestor = "above", descendant = "below" } } }
cost = { range = { low = 0, high = 100 } }
[datasets.unit]
kind = "reference"
[datasets.unit.columns]
id = { role = "key" }
label = {}
[datasets.part]
kind = "reference"
[datasets.part.columns]
above = {}
below = {}
"""
TABLES = """
CREATE SCHEMA clinic;
CREATE TABLE clinic.person AS
SELECT i AS person_id, 1940 + i AS born, CASE WHEN i % 5 = 0 THEN NULL ELSE 1 + i % 3 END AS sex FROM range(40) AS r(i);
CREATE TABLE clinic.visit AS
SELECT i % 40 AS person_id, DATE '1998-06-01' + CAST(i * 60 AS INTEGER) AS day, chr(CAST(65 + i % 3 AS INTEGER)) AS ward, i AS cost
FROM range(120) AS r(i);
CREATE TABLE clinic.unit AS SELECT * FROM (VALUES ('A', 'surgery'), ('B', 'children'), ('C', 'heart'), ('N', 'north'), ('S', 'south')) AS r(id, label);
CREATE TABLE clinic.part AS SELECT * FROM (VALUES ('N', 'A'), ('N', 'B'), ('S', 'C')) AS r(above, below);
"""


class Database(unittest.TestCase):
    def setUp(self) -> None:
        database = duckdb.connect()
        database.execute("SET integer_division = true")
        for statement in TABLES.split(";"):
            database.execute(statement)
        rules = template.read(RULES)
        for name, expression in macros("clinic", rules).items():
            database.execute(f"CREATE MACRO {name}(x) AS {expression}")
        names = names_of(database, {name: f"clinic.{name}" for name in ("person", "visit", "unit", "part")})
        self.truths = Truths(database, "clinic", rules, names)

    def truth(self, sql: str, subject: str = "v.person_id") -> Truth:
        return self.truths.of(sql, subject)

    def rows(self, sql: str, subject: str = "v.person_id") -> set[Row]:
        return set(self.truth(sql, subject).rows)


class Groups(Database):
    """Groups have the form in which a node shows them."""

    def test_groups_by_a_column_have_labels(self) -> None:
        found = self.rows("SELECT p.born, count(*) AS n FROM clinic.person p GROUP BY p.born ORDER BY 2 LIMIT 1", "p.person_id")
        self.assertEqual(found, {("<1950", 10), ("1950-1959", 10), ("1960-1969", 10), ("1970+", 10)})
        found = self.rows("SELECT sex, count(*) AS n FROM clinic.person GROUP BY 1 HAVING count(*) > 9", "person_id")
        self.assertEqual({row[0] for row in found}, {None, "male", "female", "other"})

    def test_codes_have_labels_unless_a_condition_names_them(self) -> None:
        group = "SELECT v.ward, count(*) AS n FROM clinic.visit v{} GROUP BY v.ward"
        self.assertEqual(self.rows(group.format("")), {("A", 40), ("other", 80)})
        self.assertEqual(self.rows(group.format(" WHERE v.ward IN ('A', 'B')")), {("A", 40), ("B", 40)})
        self.assertEqual(self.rows(group.format(" WHERE v.ward = 'C' AND v.cost >= 0")), {("C", 40)})

    def test_names_of_codes_are_the_declared_ones(self) -> None:
        group = "SELECT u.label, count(*) AS n FROM clinic.visit v JOIN clinic.unit u ON u.id = v.ward{} GROUP BY u.label"
        self.assertEqual(self.rows(group.format("")), {("surgery", 40), ("other", 80)})
        self.assertEqual(self.rows(group.format(" WHERE v.ward IN ('A', 'B')")), {("surgery", 40), ("children", 40)})

    def test_names_of_codes_above_others_are_the_declared_ones(self) -> None:
        joins = "JOIN clinic.part a ON a.below = v.ward JOIN clinic.unit u ON u.id = a.above"
        group = f"SELECT u.label, count(*) AS n FROM clinic.visit v {joins}{{}} GROUP BY u.label"
        self.assertEqual(self.rows(group.format("")), {("north", 80), ("other", 40)})
        self.assertEqual(self.rows(group.format(" WHERE u.label IN ('north', 'south')")), {("north", 80), ("south", 40)})

    def test_years_and_bands_end_at_the_outermost_edges(self) -> None:
        years = {row[0] for row in self.rows("SELECT EXTRACT(YEAR FROM v.day) AS year, count(*) AS n FROM clinic.visit v GROUP BY 1")}
        self.assertEqual((min(years), max(years)), (1999, 2010))
        tens = self.rows("SELECT floor(born / 10) * 10 AS ten, count(*) AS n FROM clinic.person GROUP BY 1", "person_id")
        self.assertEqual(tens, {(1940.0, 10), (1950.0, 10), (1960.0, 10), (1970.0, 10)})

    def test_months_are_those_of_dates_between_the_edges(self) -> None:
        group = "SELECT EXTRACT(MONTH FROM v.day) AS part, count(*) AS n FROM clinic.visit v{} GROUP BY 1"
        months = dict(self.rows(group.format("")))
        within = group.format(" WHERE v.day >= DATE '2000-01-01' AND v.day < DATE '2010-01-01'")
        plain = dict(self.truths.database.execute(within).fetchall())
        others = 120 - sum(plain.values())
        self.assertGreater(others, 0)
        self.assertEqual(months, plain | {None: others})

    def test_ages_are_from_0_to_90(self) -> None:
        age = "EXTRACT(YEAR FROM v.day) - p.born"
        source = "FROM clinic.visit v JOIN clinic.person p ON p.person_id = v.person_id"
        self.truths.database.execute("CREATE OR REPLACE TABLE clinic.person AS SELECT person_id, 1850 AS born FROM clinic.person")
        mean = self.truth(f"SELECT avg({age}) AS mean, avg(CASE WHEN v.cost > 3 THEN {age} END) AS some {source}")
        self.assertEqual(mean.rows, [(90.0, 90.0)])
        self.assertEqual(self.rows(f"SELECT floor(({age}) / 10) * 10 AS ten, count(*) AS n {source} GROUP BY 1"), {(90.0, 120)})

    def test_columns_of_derived_tables_are_those_that_they_are_from(self) -> None:
        first = "SELECT person_id, min(day) AS first FROM clinic.visit GROUP BY person_id"
        for sql in (
            f"SELECT date_part('year', f.first) AS year, count(*) AS n FROM ({first}) f GROUP BY 1",
            f"WITH f AS ({first}) SELECT date_part('year', first) AS year, count(*) AS n FROM f GROUP BY 1",
        ):
            self.assertEqual(min(row[0] for row in self.rows(sql, "person_id")), 1999, sql)

    def test_windows_are_ordered_by_what_is_shown(self) -> None:
        sql = "SELECT date_trunc('year', v.day) AS year, count(*) AS n, sum(count(*)) OVER (ORDER BY date_trunc('year', v.day)) AS total"
        found = self.truth(f"{sql} FROM clinic.visit v GROUP BY 1")
        self.assertEqual((found.keys, max(int(row[2]) for row in found.rows)), ((0,), 120))
        self.assertEqual(found.running, {2: (0, True)})

    def test_figures_are_distinguished_from_groups(self) -> None:
        found = self.truth(
            "SELECT 'all' AS what, v.ward, count(*) AS n, median(v.cost) AS m, 1.0 * sum(v.cost) / count(*) AS mean, "
            "avg(CASE WHEN v.cost > 3 THEN 1.0 ELSE 0.0 END) AS part, (SELECT count(*) FROM clinic.person) AS persons "
            "FROM clinic.visit v GROUP BY v.ward"
        )
        self.assertEqual((found.keys, found.values), ((0, 1), [2, 3, 4, 5, 6]))
        self.assertEqual(found.quantiles, {3})
        self.assertTrue(self.truth("SELECT count(*) AS n FROM clinic.visit v HAVING count(*) > 1").is_cut)

    def test_each_row_has_the_number_of_its_subjects(self) -> None:
        found = self.truth("SELECT v.ward, count(*) AS n FROM clinic.visit v WHERE v.person_id < 3 GROUP BY v.ward")
        self.assertEqual(dict(zip((row[0] for row in found.rows), found.sizes)), {"A": 3, "other": 3})


def truth(*rows: Row, keys: tuple[int, ...] = (0,), sizes: tuple[int, ...] = (), **other: Any) -> Truth:
    names = tuple(f"c{at}" for at in range(len(rows[0])))
    return Truth(names, list(rows), list(sizes or [20] * len(rows)), keys, **other)


def compare(ours: list[Row], theirs: Truth, promise: Promise = Promise(EXACT, 10), **other: Any) -> Grid:
    return compared(Rows(theirs.names, ours), theirs, promise, **other)


def outcomes(grid: Grid) -> list[str]:
    return [figure.outcome for figure in grid.figures]


class Grids(unittest.TestCase):
    """Every way in which an answer can be wrong is found, and nothing else."""

    def test_answer_with_the_full_grid_is_right(self) -> None:
        theirs = truth(("a", 12, 0.5), ("b", 3, 0.25), ("c", 20, None), sizes=(12, 3, 20))
        grid = compare([("b", None, None), ("a", 12, 0.5 + 1e-12), ("d", None, None), ("c", 20, None)], theirs)
        self.assertEqual(grid.problems, [])
        self.assertEqual(outcomes(grid), [WITHHELD, WITHHELD, EQUAL, EQUAL, EMPTY, EMPTY, EQUAL, EQUAL])
        self.assertEqual((grid.known, grid.shown), (5, 3))

    def test_other_figures_are_found(self) -> None:
        theirs = truth(("a", 12), ("b", 20))
        for ours in ([("a", 13), ("b", 20)], [("a", 12.000001), ("b", 20)], [("a", 20), ("b", 12)]):
            self.assertIn(DIFFERENT, outcomes(compare(ours, theirs)))
            self.assertTrue(compare(ours, theirs).problems)

    def test_figure_of_an_empty_cell_is_found(self) -> None:
        grid = compare([("a", 12), ("d", 11)], truth(("a", 12)))
        self.assertEqual(outcomes(grid)[1], DIFFERENT)
        self.assertIn("0 subjects is shown", "".join(grid.problems))
        self.assertTrue(compare([("a", 0)], truth(("a", None))).problems)

    def test_row_of_few_subjects_that_is_shown_is_found(self) -> None:
        theirs = truth(("a", 3, 0.5), sizes=(3,))
        self.assertIn("3 subjects is shown", compare([("a", None, 0.5)], theirs).problems[0])
        self.assertEqual(compare([("a", None, None)], theirs).problems, [])
        perturbed = compare([("a", 5, None)], theirs, Promise(PERTURBED, 10))
        self.assertIn("shows the number 5", perturbed.problems[0])
        self.assertEqual(compare([("a", 5, 0.1)], theirs, Promise(PRIVATE, 10)).problems, [])

    def test_row_that_lacks_is_found_unless_there_is_a_limit(self) -> None:
        rows = (("a", 12), ("b", 20))
        self.assertIn("not in the grid", compare([("a", 12)], truth(*rows)).problems[0])
        cut = compare([("a", 12)], truth(*rows, is_cut=True))
        self.assertEqual((cut.problems, cut.left_out), ([], 1))

    def test_row_that_is_there_twice_is_found(self) -> None:
        grid = compare([("a", 12), ("a", 12)], truth(("a", 12)))
        self.assertIn("two rows", grid.problems[0])

    def test_subtotal_is_beside_an_empty_group_of_missing_values(self) -> None:
        theirs = truth(("a", 12), (None, 12), has_subtotals=True)
        for rows in ([("a", 12), (None, None), (None, 12)], [("a", 12), (None, 12), (None, None)]):
            self.assertEqual(outcomes(compare(rows, theirs)), [EQUAL, EQUAL])
        self.assertIn("two rows", compare([("a", 12), (None, 12), (None, 3)], theirs).problems[0])

    def test_number_of_columns_is_compared(self) -> None:
        self.assertIn("columns", compared(Rows(("a",), [("a",)]), truth(("a", 1)), Promise(EXACT, 2)).problems[0])

    def test_value_of_a_group_and_its_label_are_one(self) -> None:
        theirs = truth(("male", 12), labels={0: {"8507": "male"}})
        self.assertEqual(outcomes(compare([(8507, 12)], theirs)), [EQUAL])
        self.assertEqual(outcomes(compare([("male", 12)], theirs)), [EQUAL])
        days = truth((datetime.date(2020, 1, 1), 12))
        self.assertEqual(outcomes(compare([(datetime.datetime(2020, 1, 1), 12)], days)), [EQUAL])

    def test_only_exact_figures_have_to_be_equal(self) -> None:
        theirs = truth(("a", 12, 0.5), quantiles=frozenset({2}))
        self.assertEqual(outcomes(compare([("a", 12, 0.7)], theirs)), [EQUAL, ESTIMATED])
        noisy = compare([("a", 15, 0.7)], theirs, Promise(PERTURBED, 10))
        self.assertEqual((outcomes(noisy), noisy.errors), ([ESTIMATED, ESTIMATED], [0.25, 0.19999999999999996]))
        clipped = truth(("a", 12, 50.0))
        self.assertEqual(compare([("a", 12, 45.0)], clipped, Promise(EXACT, 10, is_clipped=True)).problems, [])
        self.assertTrue(compare([("a", 13, 50.0)], clipped, Promise(EXACT, 10, is_clipped=True)).problems)

    def test_running_sum_without_a_row_is_the_one_before(self) -> None:
        first, third = datetime.date(2000, 1, 1), datetime.date(2002, 1, 1)
        theirs = truth((first, 12, 12), (third, 1, 13), keys=(0,), sizes=(12, 1), running={2: (0, True)})
        answer = [(None, None, 13), (third, None, 13), (datetime.datetime(2001, 1, 1), None, 12), (first, 12, 12)]
        self.assertEqual(compare([*answer, (datetime.date(1999, 1, 1), None, None)], theirs).problems, [])
        for wrong in (13, 11):
            other = [(datetime.date(2001, 1, 1), None, wrong)]
            self.assertIn(DIFFERENT, outcomes(compare([row for row in answer if row[0] != other[0][0]][:2] + other + answer[3:], theirs)))

    def test_figure_without_a_member_is_that_of_the_others(self) -> None:
        theirs = truth(("a", 12, 0.5))
        partial = {"partials": lambda key, at: {1: [5, 7], 2: [0.2, 0.4]}[at] if key == ("a",) else []}
        self.assertEqual(outcomes(compare([("a", 7, 0.4)], theirs, **partial)), [PARTIAL, PARTIAL])
        self.assertEqual(outcomes(compare([("a", 8, 0.5)], theirs, **partial)), [DIFFERENT, EQUAL])
        self.assertEqual(outcomes(compare([("a", 12, 1.4)], theirs, **partial)), [EQUAL, DIFFERENT])
        self.assertEqual(compare([("a", 7, 0.4)], theirs, **partial).errors, [])


if __name__ == "__main__":
    unittest.main()
