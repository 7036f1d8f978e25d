"""Checks of the reader, of the bands and of the classification."""

import pathlib
import unittest

import duckdb
import levels
import query
import subjects
from language import Language

HERE = pathlib.Path(__file__).parent
TEXT = """7 heart subject=*
--: Patients by sex.
--@ count-rows, group-column
--! off-edge
--+ SELECT 1
SELECT sex, count(*)
FROM heart WHERE age >= 65 GROUP BY sex"""


class Queries(unittest.TestCase):
    """The form of the files, and what is refused of it."""

    def test_a_query_is_read_with_its_classification(self) -> None:
        found = query.query(TEXT)
        self.assertEqual((found.number, found.subject, found.purpose), (7, "*", "Patients by sex."))
        self.assertEqual((found.needs, found.lacks), (("count-rows", "group-column"), ("off-edge",)))
        self.assertEqual(found.text.splitlines()[0], "SELECT sex, count(*)")

    def test_a_query_without_purpose_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            query.query(TEXT.replace("--: Patients by sex.\n", ""))

    def test_the_verdict_follows_from_what_lacks(self) -> None:
        found = query.query(TEXT)
        self.assertEqual(found.verdict(), query.OTHER_FORM)
        self.assertEqual(found.verdict(frozenset({"off-edge"})), query.LOWERED)
        self.assertEqual(query.query(TEXT.replace("--+ SELECT 1\n", "")).verdict(), query.NOT_LOWERED)

    def test_a_selection_has_each_form(self) -> None:
        queries = query.read(HERE / "queries")
        forms = frozenset().union(*(one.forms for one in queries))
        chosen = list(query.selection(queries, lambda _: True))
        self.assertEqual(frozenset().union(*(one.forms for one in chosen)), forms)
        self.assertLess(len(chosen), 40)
        refused = {one.number for one in chosen[:10]}
        others = [one for one in query.selection(queries, lambda one: one.number not in refused) if one.number not in refused]
        lacking = forms - frozenset().union(*(one.forms for one in others))
        self.assertTrue(all(not lacking & one.forms for one in queries if one.number not in refused))

    def test_a_form_that_the_text_does_not_show_is_reported(self) -> None:
        language = Language(HERE / "forms.toml")
        self.assertEqual(language.problems(query.query(TEXT)), [])
        self.assertEqual(len(language.problems(query.query(TEXT.replace("group-column", "filter")))), 1)
        self.assertEqual(len(language.problems(query.query(TEXT.replace("count(*)", "avg(chol)")))), 1)


class Levels(unittest.TestCase):
    """What edges decide, and which are proposed."""

    def setUp(self) -> None:
        self.database = duckdb.connect()

    def undecided(self, condition: str) -> set[str]:
        return levels.undecided(subjects.parsed(self.database, f"SELECT 1 WHERE {condition}"), {"age": [40, 50]})

    def test_comparisons_at_an_edge_are_decided(self) -> None:
        for condition in ("age >= 50", "age < 40", "age > 49", "age <= 39", "age BETWEEN 40 AND 49", "chol > 1"):
            self.assertEqual(self.undecided(condition), set(), condition)

    def test_comparisons_beside_an_edge_are_undecided(self) -> None:
        for condition in ("age > 50", "age <= 40", "age BETWEEN 40 AND 50", "NOT (age >= 51)"):
            self.assertEqual(len(self.undecided(condition)), 1, condition)

    def test_each_proposed_band_has_enough_subjects(self) -> None:
        self.database.execute("CREATE TABLE t AS SELECT 100 + i // 3 AS v FROM range(200) AS r(i)")
        edges = levels.proposed(self.database, "t", "v")
        bands = zip([-1, *edges], [*edges, 1000])
        sizes = [self.database.execute("SELECT count(*) FROM t WHERE v >= ? AND v < ?", band).fetchall()[0][0] for band in bands]
        self.assertGreaterEqual(min(sizes), levels.SUBJECTS)
        self.assertNotIn(100, edges)

    def test_the_least_value_of_many_subjects_is_an_edge(self) -> None:
        self.database.execute("CREATE TABLE t AS SELECT 1 + i // 20 AS v FROM range(200) AS r(i)")
        self.assertIn(1, levels.proposed(self.database, "t", "v"))

    def test_groups_are_counted_in_subjects_before_having(self) -> None:
        self.database.execute("CREATE TABLE t AS SELECT i % 4 AS person, i % 2 AS sex FROM range(40) AS r(i)")
        sql = "SELECT sex, count(*) AS n FROM t GROUP BY 1 HAVING count(*) > 100 ORDER BY n LIMIT 1"
        self.assertEqual(subjects.in_groups(self.database, sql, "person"), [2, 2])


if __name__ == "__main__":
    unittest.main()
