"""Checks of the reader of declarations, and of the labels that they lead to."""

import datetime
import pathlib
import tomllib
import unittest

import atoms
import duckdb
import studies
import template
from template import Codes, Column, Edges, Listed

ROOT = pathlib.Path(__file__).parents[3]
# As `collection template` writes what is declared.
WRITTEN = """# What is declared about the collection `clinic`.

template = 1
name = "clinic"

[days]
levels = [0, 30, 365]

[levels.shared_1]
edges = { name = "by_10", at = [1950, 1960, 1970], levels = { by_5 = [1950, 1955, 1960, 1965, 1970] } }

[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
"person_id" = { class = "direct-identifier", role = "subject" }
"year_of_birth" = { class = "quasi-identifier", levels = "shared_1" }
"sex" = { class = "ordinary", values = { "8507" = "male", "8532" = "female" } } # proposed
"smoker" = { class = "ordinary", levels = "truth" }
"weight" = { class = "sensitive", edges = [50.0, 75.5], range = { low = 40.0, high = 150.0 } }
"code" = { class = "sensitive", codes = { levels = { listed = { "1" = "1", "2" = "2" } } } }
"remark" = { class = "direct-identifier" } # has no class; the rest is proposed
"born" = { edges = { name = "band", at = [1950-01-01, 1960-01-01], levels = { month = [1950-01-01, 1950-02-01] } } }

[datasets.visit]
kind = "keyed"
date = "begin"
counts = [1, 2]
[datasets.visit.columns]
"person_id" = { class = "direct-identifier", role = "subject" }
"ward" = { class = "ordinary", link = "ward.ward_id" }
"begin" = { class = "ordinary" }
"""


class Templates(unittest.TestCase):
    def setUp(self) -> None:
        self.rules = template.read(WRITTEN)

    def test_declarations_are_read_as_they_are_written(self) -> None:
        person = self.rules.datasets["person"]
        self.assertEqual((self.rules.days, person.is_unique, person.subject()), ((0, 30, 365), True, "person_id"))
        self.assertEqual(person.columns["sex"].levels, Listed({"8507": "male", "8532": "female"}))
        self.assertIs(person.columns["smoker"].levels, True)
        self.assertEqual((person.columns["weight"].low, person.columns["weight"].high), (40.0, 150.0))
        self.assertEqual(person.columns["code"].levels, Codes({"listed": Listed({"1": "1", "2": "2"})}))
        visit = self.rules.datasets["visit"]
        self.assertEqual((visit.counts, visit.date, visit.columns["ward"].role), ((1, 2), "begin", "link"))

    def test_groups_have_the_edges_of_a_band(self) -> None:
        years, born = (self.rules.datasets["person"].columns[name].levels for name in ("year_of_birth", "born"))
        assert isinstance(years, Edges) and isinstance(born, Edges)
        self.assertEqual(years.of_groups, (1950, 1955, 1960, 1965, 1970))
        self.assertEqual(born.of_groups, (datetime.date(1950, 1, 1), datetime.date(1960, 1, 1)))
        self.assertEqual(len(born.at), 3)

    def test_template_that_is_written_again_is_the_same(self) -> None:
        again = template.text("again", tomllib.loads(WRITTEN))
        self.assertEqual(template.read(again), self.rules)
        for name in ("omop-5.3", "synthea"):
            shipped = (ROOT / f"node/templates/{name}.toml").read_text(encoding="utf-8")
            self.assertEqual(template.read(template.text(name, tomllib.loads(shipped))), template.read(shipped))

    def test_edges_follow_from_steps_and_from_the_calendar(self) -> None:
        steps = template.edges({"from": 1900, "to": 1920, "step": 10, "levels": {"by_5": 5}})
        self.assertEqual(steps.at, (1900, 1905, 1910, 1915, 1920))
        months = template.edges({"years": [2019, 2020], "levels": {"quarter": "quarter"}})
        self.assertEqual([str(day) for day in months.at], ["2019-01-01", "2019-04-01", "2019-07-01", "2019-10-01", "2020-01-01"])


class Labels(unittest.TestCase):
    """The labels are those of the golden texts of the program."""

    def test_labels_are_those_of_the_program(self) -> None:
        golden = dict(
            line.split(": ", 1) for line in (ROOT / "protocol/src/collection/texts.golden").read_text(encoding="utf-8").splitlines()
        )
        day = datetime.date.fromisoformat
        for name, edges in {
            "whole numbers": (120, 140, 160),
            "whole numbers below zero": (-10, -5, -4, 0, 1, 2),
            "years as numbers": (1950, 1960, 1961),
            "numbers": (1.5, 2.0, 1e300),
            "numbers below zero": (-0.5, 0.0, 5e-324),
            "dates": tuple(map(day, ("2019-01-01", "2020-01-01", "2020-04-01", "2020-07-01", "2021-01-01"))),
            "dates within years": tuple(map(day, ("2020-02-29", "2020-03-01", "2021-06-30"))),
            "decades": tuple(map(day, ("1950-01-01", "1960-01-01", "1970-01-01"))),
        }.items():
            self.assertEqual(" | ".join(atoms.labels(edges)), golden[name], name)

    def test_macros_return_the_label_of_each_value(self) -> None:
        cases = [
            (Column(Edges((10, 20))), [(None, None), (9, "<10"), (10, "10-19"), (20, "20+")]),
            (Column(Edges((1.5, 2.0))), [(1.4, "<1.5"), (1.5, "[1.5,2.0)"), (2.0, ">=2.0")]),
            (Column(Listed({"1": "one", "2": "two"})), [(None, None), (1, "one"), (3, "other")]),
            (Column(Listed({"1": "other"})), [(1, "other"), (2, "(other)")]),
            (Column(Codes({"listed": Listed({"1": "1"})})), [(1, "1"), (2, "other")]),
        ]
        for column, values in cases:
            database = duckdb.connect()
            database.execute(f"CREATE MACRO shown(x) AS {atoms.shown(column)}")
            for value, label in values:
                self.assertEqual(database.execute("SELECT shown(?)", [value]).fetchall(), [(label,)], (column, value))
        self.assertEqual([atoms.shown(Column(levels)) for levels in (None, True, Codes())], [None, None, None])

    def test_values_beyond_the_edges_are_just_beyond_them(self) -> None:
        database = duckdb.connect()
        database.execute(f"CREATE MACRO years(x) AS {atoms.within(Column(Edges((datetime.date(1950, 1, 1), datetime.date(2030, 1, 1)))))}")
        database.execute(f"CREATE MACRO tens(x) AS {atoms.within(Column(Edges((30, 70))))}")
        years = "SELECT date_part('year', years(DATE '1911-05-01')), date_part('year', years(DATE '2050-01-01'))"
        self.assertEqual(database.execute(years).fetchall(), [(1949, 2030)])
        self.assertEqual(database.execute("SELECT tens(5), tens(69), tens(90)").fetchall(), [(29, 69, 70)])


class SingleTables(unittest.TestCase):
    RULES = (
        "collection lung\ndataset lung each-row\ntime int edges 180,365 range 0 1100\n"
        "meal.cal int range 0 3000\nsex text values F,M\ncollection x\n"
    )

    def test_rules_of_the_engine_become_a_template(self) -> None:
        columns = [("time", "BIGINT"), ("meal.cal", "DOUBLE"), ("sex", "VARCHAR"), ("inst", "BIGINT")]
        file = studies.single("lung", columns, self.RULES, studies.DECLARED)
        rules = template.read(template.text("lung", file))
        lung = rules.datasets["lung"]
        self.assertEqual((lung.kind, lung.is_unique, lung.subject()), ("keyed", True, studies.ROW_KEY))
        self.assertEqual(lung.columns["time"].levels, Edges((180, 365)))
        self.assertEqual((lung.columns["meal_cal"].high, lung.columns["inst"].levels), (3000.0, None))
        self.assertEqual(lung.columns["sex"].levels, Listed({"F": "F", "M": "M"}))

    def test_proposed_table_has_a_key_and_nothing_else(self) -> None:
        file = studies.single("lung", [("time", "BIGINT")], self.RULES, studies.PROPOSED)
        lung = template.read(template.text("lung", file)).datasets["lung"]
        self.assertEqual((lung.kind, lung.is_unique, lung.subject()), ("keyed", True, studies.ROW_KEY))
        self.assertEqual(lung.columns["time"], Column())

    def test_words_for_true_and_false_are_truth_values(self) -> None:
        self.assertEqual(studies.fitting({"values": {"no": "no", "yes": "yes"}}, "BOOLEAN"), {"levels": "truth"})
        self.assertEqual(studies.fitting({"values": {"no": "no"}}, "VARCHAR"), {"values": {"no": "no"}})


if __name__ == "__main__":
    unittest.main()
