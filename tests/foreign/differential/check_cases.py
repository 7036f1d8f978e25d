"""Tests of the cases: DuckDB can read each of them over the tables of the test, and the order of each is determined or not compared."""

import pathlib
import tempfile
import unittest

import case as cases
import tables
from answer import Refusal, Rows
from differences import read
from generator import Generator, generate
from oracle import Oracle

HERE = pathlib.Path(__file__).parent
FEWEST_WRITTEN = 200


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.documented = read(HERE / "differences.toml")
        cls.written = cases.read(HERE / "queries.sql")
        cls.oracle = Oracle(cls.documented.settings)
        with tempfile.TemporaryDirectory() as folder:
            files = tables.write_all(pathlib.Path(folder))
            cls.oracle.load({file: dict(zip(file.names, (kind or "text" for kind in file.kinds), strict=True)) for file in files})

    def test_written_cases_are_enough_and_readable(self) -> None:
        self.assertGreaterEqual(len(self.written), FEWEST_WRITTEN)
        for case in self.written:
            for way in case.ways if not case.needs and not case.refuse else ():
                answer = self.oracle.query(case.oracle_sql(way))
                self.assertFalse(isinstance(answer, Refusal) and answer.code == "usage", f"{case.text}\n{answer}")
                if isinstance(answer, Rows):
                    is_determined = case.order or case.rows or self.oracle.shape(case.oracle_sql(way), answer).order is not None
                    self.assertTrue(is_determined, f"the order is not determined: {case.text}")

    def test_written_cases_with_another_text_for_duckdb_are_documented(self) -> None:
        for case in self.written:
            self.assertTrue(not case.oracle or self.documented.spelling(case), case.text)

    def test_generated_cases_depend_on_the_seed_alone(self) -> None:
        texts = [[Generator(seed).case(number).text for number in range(20)] for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_generated_cases_are_readable_and_many_have_rows(self) -> None:
        generated = list(generate(200, 1, 0, self.oracle))
        answers = [self.oracle.query(case.oracle_sql(case.ways[-1])) for case in generated]
        self.assertFalse([answer for answer in answers if isinstance(answer, Refusal) and answer.code == "usage"])
        with_rows = [answer for answer in answers if isinstance(answer, Rows) and answer.rows]
        self.assertGreater(len(with_rows), len(generated) // 2)
        self.assertGreater(len({case.category for case in generated}), 8)

    def test_file_is_read_as_it_was_written(self) -> None:
        hostile = self.oracle.query("SELECT label FROM alfa.people")
        self.assertEqual({row[0] for row in hostile.rows} & set(tables.TEXTS), set(tables.TEXTS) - {"", "   "})
        numbers = self.oracle.query("SELECT count(*), count(x), count(nothing), max(big), min(big) FROM beta.people")
        missing = sum(value is None or value != value for value in tables.NUMBERS)
        self.assertEqual(numbers.rows, [(tables.PEOPLE, tables.PEOPLE - missing, 0, 2**63 - 1, -(2**63))])


if __name__ == "__main__":
    unittest.main()
