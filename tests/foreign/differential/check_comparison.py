"""Tests of the comparison itself: what counts as equal, and that each kind of disagreement is found."""

import datetime
import decimal
import math
import unittest

import case as cases
from answer import Refusal, Rows
from cells import same
from compare import difference
from differences import Difference, Documented, Spelling
from oracle import Oracle, Shape
from verdict import DISAGREEMENT, DOCUMENTED, EQUAL, REFUSED, between, judge

UNKNOWN = Shape((None,), None)


def rows(*values: object, names: tuple[str, ...] = ("a",)) -> Rows:
    return Rows(names, [value if isinstance(value, tuple) else (value,) for value in values])


class Cells(unittest.TestCase):
    def test_equal_values_of_different_types_are_equal(self) -> None:
        utc, east = datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1))
        for ours, theirs in [
            (2, 2.0),
            (2, decimal.Decimal("2.00")),
            (0.1 + 0.2, 0.3),
            (-0.0, 0.0),
            (math.nan, math.nan),
            (2**63, decimal.Decimal(2**63)),
            (datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1)),
            (datetime.datetime(2020, 1, 1, 1, tzinfo=east), datetime.datetime(2020, 1, 1, tzinfo=utc)),
        ]:
            self.assertTrue(same(ours, theirs), (ours, theirs))

    def test_different_values_are_different(self) -> None:
        for ours, theirs in [
            (2**53, 2**53 + 1),
            (1.0, 1.00001),
            (0, None),
            (0, False),
            ("1", 1),
            ("a", "A"),
            ("", None),
            (5e-324, 0.0),
            (math.nan, 1.0),
            (math.inf, -math.inf),
            (1e308, math.inf),
            (datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)),
        ]:
            self.assertFalse(same(ours, theirs), (ours, theirs))


class Answers(unittest.TestCase):
    def test_rows_are_compared_in_any_order_unless_it_is_determined(self) -> None:
        ours, theirs = rows(1, 2, None), rows(None, 2, 1)
        self.assertIsNone(difference(ours, theirs, UNKNOWN, ""))
        self.assertEqual(difference(ours, theirs, Shape((None,), (0,)), ""), "order of rows")
        ties = rows((1, "a"), (1, "b"), names=("a", "b")), rows((1, "b"), (1, "a"), names=("a", "b"))
        self.assertIsNone(difference(*ties, Shape((None, None), (0,)), ""))

    def test_every_part_of_an_answer_is_compared(self) -> None:
        self.assertEqual(difference(rows(1), rows((1, 2), names=("a", "b")), UNKNOWN, ""), "number of columns")
        self.assertEqual(difference(rows(1), rows(1, 1), UNKNOWN, ""), "fewer rows")
        self.assertEqual(difference(rows(1, 1), rows(1), UNKNOWN, ""), "more rows")
        wrong = "values of `sum`: a number for a number"
        self.assertEqual(difference(rows(1, 1, 2), rows(1, 2, 2), Shape((None,), None, ("sum",)), ""), wrong)
        self.assertEqual(difference(rows(1.5, 2.5), rows(1.5, 2.6), Shape((None,), None, ("sum",)), ""), wrong)
        self.assertEqual(difference(rows(None), rows("a"), UNKNOWN, ""), "values of ``: nothing for str")
        self.assertEqual(difference(rows(1, names=("b",)), rows(1), Shape(("a",), None), ""), "names of columns")

    def test_names_in_quotes_are_compared_with_their_case(self) -> None:
        ours, theirs = rows(1, names=("a",)), rows(1, names=("A",))
        self.assertIsNone(difference(ours, theirs, Shape(("A",), None), "SELECT 1 AS A"))
        self.assertEqual(difference(ours, theirs, Shape(("A",), None), 'SELECT 1 AS "A"'), "names of columns")

    def test_duplicate_names_have_to_be_distinct(self) -> None:
        theirs = rows((1, 2), names=("a", "a"))
        shape = Shape(("a", "a"), None)
        self.assertIsNone(difference(rows((1, 2), names=("a", "a_2")), theirs, shape, ""))
        self.assertEqual(difference(rows((1, 2), names=("a", "A")), theirs, shape, ""), "names of columns")


class Verdicts(unittest.TestCase):
    def setUp(self) -> None:
        self.oracle = Oracle([])
        self.none = Documented([])

    def judged(self, text: str, ours: object, documented: Documented | None = None, **options: str):
        return judge(cases.Case(0, "filter", text, **options), "own", ours, self.oracle, documented or self.none)

    def test_order_and_names_are_read_from_the_query(self) -> None:
        text = "SELECT i AS k FROM (VALUES (1), (2)) AS t(i) ORDER BY {}"
        for key in ("k", "1", "i"):
            self.assertEqual(self.judged(text.format(key), rows(1, 2, names=("k",))).verdict, EQUAL)
            self.assertEqual(self.judged(text.format(key), rows(2, 1, names=("k",))).kind, "differs in order of rows")
        self.assertEqual(self.judged(text.format("-i"), rows(1, 2, names=("k",))).verdict, EQUAL)
        self.assertEqual(self.judged(text.format("1"), rows(1, 2, names=("i",))).kind, "differs in names of columns")

    def test_refusal_is_right_only_where_it_is_documented(self) -> None:
        proper = Refusal("usage", "no", help="write")
        documented = Documented([Difference("SELECT 1", "refusal", "why", "rule")])
        self.assertEqual(self.judged("SELECT 1", proper).verdict, DISAGREEMENT)
        self.assertEqual(self.judged("SELECT 1", proper, documented).verdict, DOCUMENTED)
        self.assertEqual(self.judged("SELECT 1", rows(1), refuse="usage").verdict, DISAGREEMENT)
        self.assertEqual(self.judged("SELECT 1", proper, refuse="usage").verdict, REFUSED)
        self.assertEqual(self.judged("SELECT CAST('x' AS INTEGER)", proper).verdict, EQUAL)
        self.assertEqual(self.judged("SELECT CAST('x' AS INTEGER)", rows(None)).verdict, DISAGREEMENT)

    def test_case_that_duckdb_cannot_read_is_wrong(self) -> None:
        proper = Refusal("usage", "no", help="write")
        self.assertEqual(self.judged("SELECT nowhere", proper).verdict, DISAGREEMENT)
        self.assertEqual(self.judged("SELECT nowhere", proper, refuse="usage").verdict, REFUSED)

    def test_documented_difference_covers_its_pattern_and_kind(self) -> None:
        documented = Documented([Difference(r"\bround\(", "value", "why", "rule")])
        self.assertEqual(self.judged("SELECT Round(2.5)", rows(2), documented).verdict, DOCUMENTED)
        self.assertEqual(self.judged("SELECT floor(2.5)", rows(3), documented).verdict, DISAGREEMENT)
        self.assertEqual(self.judged("SELECT round(2.5)", Refusal("usage", "no", help="x"), documented).verdict, DISAGREEMENT)

    def test_statement_that_is_not_a_select_is_not_run(self) -> None:
        self.oracle.database.execute("CREATE TABLE t AS SELECT 1 AS i")
        self.assertIsInstance(self.oracle.query("DELETE FROM t"), Refusal)
        self.assertEqual(self.oracle.query("SELECT i FROM t"), rows(1, names=("i",)))

    def test_ways_have_to_agree(self) -> None:
        case = cases.Case(0, "filter", "SELECT 1")

        def compared(own: object, one: object) -> str:
            return between(case, [judge(case, way, ours, self.oracle, self.none) for way, ours in (("own", own), ("one", one))])

        self.assertEqual(compared(rows(1), rows(1)), "")
        self.assertEqual(compared(Refusal("usage", "a"), Refusal("usage", "b")), "")
        self.assertIn("ways differ", compared(rows(1), Refusal("usage", "no")))
        self.assertIn("ways differ", compared(Refusal("denied", "no"), Refusal("usage", "no")))
        self.assertIn("ways differ", compared(Refusal("denied", "no", rule="a"), Refusal("denied", "no", rule="b")))
        self.assertIn("own and one", compared(rows(1), rows(2)))
        documented = Documented([Difference("SELECT", "refusal", "why", "rule")])
        answers = {"own": rows(1), "one": Refusal("usage", "no", help="write")}
        self.assertEqual(between(case, [judge(case, way, ours, self.oracle, documented) for way, ours in answers.items()]), "")


class Files(unittest.TestCase):
    def test_case_has_its_options_and_texts(self) -> None:
        case = cases.case(3, " filter order=total ways=own,all", "SELECT * FROM site.t WHERE a = 'site'", "")
        self.assertEqual((case.order, case.ways, case.sql("own")), ("total", ("own", "all"), "SELECT * FROM delta.t WHERE a = 'site'"))
        self.assertEqual(case.oracle_sql("all"), "SELECT * FROM consortium.t WHERE a = 'site'")
        self.assertTrue(Spelling(" / ", "", "", "").covers(cases.Case(0, "a", "SELECT 5 / 2", "SELECT 5 // 2")))
        self.assertFalse(Spelling(" / ", "", "", "").covers(cases.Case(0, "a", "SELECT 5 / 2")))
        with self.assertRaises(ValueError):
            cases.case(3, " filter ordr=total", "SELECT 1", "")


if __name__ == "__main__":
    unittest.main()
