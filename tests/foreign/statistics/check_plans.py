"""Checks of the queries that are drawn: DuckDB computes them, all forms occur, and literals are at edges."""

import datetime
import unittest
from collections import Counter

import check_truth
import duckdb
import levels
import plans
import subjects
import template
from answer import Rows
from grid import EXACT, Promise, compared
from plans import Plans, at_schema
from template import Value

VALUES: dict[tuple[str, str], list[Value]] = {("person", "sex"): [1, 2], ("visit", "ward"): ["A", "B", "C"]}


class DrawnQueries(check_truth.Database):
    def test_queries_depend_on_the_seed_alone(self) -> None:
        rules = template.read(check_truth.RULES)
        texts = [[plan.text for plan in Plans(seed, rules, VALUES).plans(30)] for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_duckdb_computes_the_queries_of_all_forms(self) -> None:
        forms: Counter[str] = Counter()
        rows = 0
        for plan in Plans(1, self.truths.rules, VALUES).plans(300):
            try:
                found = self.truth(at_schema(plan.text, "clinic"), plan.subject)
            except duckdb.Error as error:
                self.assertIn("ivision by zero", str(error), plan.text)
                continue
            self.assertEqual(compared(Rows(found.names, found.rows), found, Promise(EXACT, 0)).problems, [], plan.text)
            forms[plan.form] += 1
            rows += len(found.rows)
        self.assertEqual(len(forms), 6, forms)
        self.assertGreater(min(forms.values()), 15)
        self.assertGreater(rows, 300)

    def test_literals_are_at_edges(self) -> None:
        database = duckdb.connect()
        edges = {"born": [1950, 1960, 1970]}
        for plan in Plans(3, self.truths.rules, VALUES).plans(200):
            self.assertEqual(levels.undecided(subjects.parsed(database, plan.text), edges), set(), plan.text)

    def test_bands_are_those_whose_multiples_are_edges(self) -> None:
        self.assertTrue(plans.is_band((10, 20, 30), 10))
        self.assertTrue(plans.is_band((5, 10, 15, 20), 10))
        self.assertFalse(plans.is_band((10, 30), 10))
        self.assertFalse(plans.is_band((0, 10, 20), 10))
        self.assertFalse(plans.is_band((datetime.date(2000, 1, 1), datetime.date(2001, 1, 1)), 10))

    def test_table_without_subjects_is_queried_by_rows(self) -> None:
        rules = template.read('[datasets.heart]\nkind = "each-row"\n[datasets.heart.columns]\nage = { edges = [40, 50] }\n')
        drawn = Plans(1, rules, {}).plans(50)
        self.assertEqual({plan.subject for plan in drawn}, {"*"})
        self.assertEqual({plan.form for plan in drawn}, {"rows", "flags"})


if __name__ == "__main__":
    unittest.main()
