"""The oracle of statistics: queries below tier `records` to running nodes, and the same to DuckDB over the same rows.

1. The 100 queries of analysts to one holder, exact and with cells of at least 2 subjects: each figure that is shown is that of DuckDB.
2. Drawn queries to one holder, and to four that have the subjects divided among them.
3. With `--utility`: the 100 queries under each protection with cells of at least 10 subjects: what is answered, and the error of it.

It exits with 1 if a figure differs, a row of fewer subjects is shown, or an answer fails.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import data
import duckdb
import levels
import outcome
import query as queries
from answer import Cell, Refusal
from atoms import macros
from consortium import Consortium
from grid import EXACT, PERTURBED, PRIVATE, Partials, Promise, compared
from node import NodeError
from outcome import MOST_SHOWN, Outcome, Run
from plans import Plan, Plans, at_schema
from published import HOLDERS, JURISDICTIONS, Published, Publisher
from query import Query
from studies import DECLARED, PROPOSED, Studies, Study
from supply import Supply, unpublished
from template import Codes, Listed, Value
from truth import Truth, Truths, names_of

HERE = pathlib.Path(__file__).parent
RULES = HERE.parents[2] / "storage/engine/src/statistic/tests/rules.txt"
EQUALITY_LEAST, UTILITY_LEAST = 2, 10
Item = TypeVar("Item")
# The collections of drawn queries, with the part of the queries that each has.
DRAWN_FROM = {"omop": 4, "gbsg2": 1, "nhefs": 1, "covid_testing": 1}
# The schema with the rows of some members.
MEMBERS = "some_members"
# The values of a column that drawn conditions name: the most frequent ones.
DRAWN_VALUES = 12
# After how many queries a line of progress is printed.
EACH = 25


def main() -> int:
    options = arguments()
    database = duckdb.connect()
    data.load(database, options.data)
    levels.define(database, {})
    with tempfile.TemporaryDirectory(prefix="concordat-statistics-") as name:
        folder = pathlib.Path(name)
        prepared = Studies(database, options.data, folder, RULES)
        prepared.number_rows()
        began = time.monotonic()
        with Consortium(options.program, folder, "Statistics Test", JURISDICTIONS) as consortium:
            progress(f"the consortium is ready after {time.monotonic() - began:.0f} s")
            campaign = Campaign(database, Publisher(consortium, prepared, folder), options)
            try:
                campaign.run_all()
            finally:
                print(outcome.text(campaign.runs, options.verbose), flush=True)
    return int(not all(run.is_right for run in campaign.runs))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("program", type=pathlib.Path, help="the binary `concordat`")
    add("data", type=lambda path: pathlib.Path(path).resolve(), help="the folder of the shared data")
    add("--without-written", action="store_true", help="without the 100 queries of analysts, exact")
    add("--drawn", type=int, default=60, help="number of drawn queries to one holder, and of those to four")
    add("--seed", type=int, default=1, help="seed of the drawn queries")
    add("--utility", action="store_true", help="also the 100 queries under each protection, with cells of at least 10 subjects")
    add("--protections", default=f"{EXACT},{PERTURBED},{PRIVATE}", help="those of `--utility`")
    add("--only", type=int, action="append", default=[], help="the number of a single written query; may be repeated")
    add("--short", action="store_true", help="of the queries of analysts only as many as have each form once in an answered one")
    add("--verbose", action="store_true", help="print a line for each query")
    return parser.parse_args()


class Campaign:
    """All runs of one consortium."""

    def __init__(self, database: duckdb.DuckDBPyConnection, publisher: Publisher, options: argparse.Namespace) -> None:
        self.database = database
        self.publisher = publisher
        self.options = options
        # The collection whose macros there are.
        self.declared: Published | None = None
        self.runs: list[Run] = []

    def run_all(self) -> None:
        """All runs; one that fails does not prevent the others."""
        if not self.options.without_written:
            self.attempt("exact, 2 subjects, as declared", lambda run: self.written(run, DECLARED, EXACT, EQUALITY_LEAST))
        for title, holders in (("drawn, one holder", 1), ("drawn, four holders", len(HOLDERS))) if self.options.drawn else ():
            self.attempt(title, functools.partial(self.drawn, holders=holders))
        for protection in self.options.protections.split(",") if self.options.utility else ():
            measured = functools.partial(self.written, way=PROPOSED, protection=protection, least=UTILITY_LEAST)
            self.attempt(f"{protection}, 10 subjects, as proposed", measured)

    def attempt(self, title: str, measure: Callable[[Run], None]) -> None:
        """A run, with what was measured of it before it failed."""
        run = Run(title)
        self.runs.append(run)
        try:
            measure(run)
        except NodeError as error:
            progress(f"{title}: {error}")
            run.failure = " ".join(str(error).split())

    def written(self, run: Run, way: str, protection: str, least: int) -> None:
        """The queries of analysts."""
        self.publisher.apply_policy(protection, least)
        chosen = [one for one in queries.read(HERE / "queries") if not self.options.only or one.number in self.options.only]
        supplies = {name: self.supply(name, way, protection) for name in dict.fromkeys(one.collection for one in chosen)}
        promise = Promise(protection, least, is_clipped=way == PROPOSED)
        selected = queries.selection(chosen, lambda _: not run.outcomes[-1].refusal) if self.options.short else chosen
        for one in self.followed(run.title, selected):
            self.add(run, self.one(one, supplies[one.collection], promise))

    def add(self, run: Run, found: Outcome) -> None:
        run.outcomes.append(found)
        for problem in found.disagreements[:MOST_SHOWN]:
            progress(f"{run.title}: {found.name} ({found.collection}): {problem}")

    def supply(self, name: str, way: str, protection: str) -> Supply:
        study = self.publisher.studies.study(name, way)
        return Supply(self.publisher.consumer, lambda: self.publisher.whole(study, way, protection))

    def one(self, written: Query, supply: Supply, promise: Promise) -> Outcome:
        try:
            sent = supply.send(lambda published: published.sql(written.text))
        except NodeError as error:
            sent = unpublished(written.collection, written.text, error)
        found = Outcome(str(written.number), written.collection, sent)
        if not isinstance(sent.answer, Refusal):
            self.compare(found, written.text, written.subject, promise)
        return found

    def drawn(self, run: Run, holders: int) -> None:
        """Queries that are drawn over several collections, one after the other."""
        self.publisher.apply_policy(EXACT, EQUALITY_LEAST)
        for name, part in DRAWN_FROM.items():
            members = [self.publisher.studies.part(name, member, holders) for member in range(holders)]
            supply = self.divided(members)
            try:
                published = supply.current
            except NodeError as error:
                self.add(run, Outcome("import", name, unpublished(name, "", error)))
                continue
            count = -(-self.options.drawn * part // sum(DRAWN_FROM.values()))
            drawn = Plans(self.options.seed, published.rules, self.values(published)).plans(count)
            for plan in self.followed(f"{run.title}, {name}", drawn):
                self.add(run, self.plan(plan, supply, holders))

    def divided(self, members: list[Study]) -> Supply:
        return Supply(self.publisher.consumer, lambda: self.publisher.divided(members, EXACT))

    def values(self, published: Published) -> dict[tuple[str, str], list[Value]]:
        """Values that occur in columns with codes or listed values."""
        found = {}
        for dataset, declared in published.rules.datasets.items():
            for name, column in declared.columns.items():
                if isinstance(column.levels, (Codes, Listed)):
                    table = published.study.tables[dataset]
                    frequent = f'SELECT "{name}" FROM {table} WHERE "{name}" IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1'
                    found[dataset, name] = [value for (value,) in self.database.execute(f"{frequent} LIMIT {DRAWN_VALUES}").fetchall()]
        return found

    def plan(self, plan: Plan, supply: Supply, holders: int) -> Outcome:
        try:
            sent = supply.send(lambda published: at_schema(plan.text, published.schema))
        except NodeError as error:
            sent = unpublished(plan.form, plan.text, error)
        study = sent.published.study
        found = Outcome(f"{plan.form} {plan.number}", study.name, sent)
        if not isinstance(sent.answer, Refusal):
            text = at_schema(plan.text, "main" if study.is_single else study.name)
            partials = self.partials(at_schema(plan.text, MEMBERS), plan.subject, sent.published, holders) if holders > 1 else None
            self.compare(found, text, plan.subject, Promise(EXACT, EQUALITY_LEAST), partials)
        return found

    def compare(self, found: Outcome, text: str, subject: str, promise: Promise, partials: Partials | None = None) -> None:
        """Compares an answer with that of DuckDB over all rows."""
        try:
            truth = self.truth(found.sent.published, text, subject)
        except (duckdb.Error, ValueError, KeyError) as error:
            # DuckDB refuses what a node answers by NULL, such as a division by zero.
            found.problems += [] if "ivision by zero" in str(error) else [f"DuckDB does not compute it: {str(error).splitlines()[0]}"]
            return
        found.grid = compared(found.sent.answer, truth, promise, partials)  # type: ignore[arg-type]

    def truth(self, published: Published, text: str, subject: str) -> Truth:
        """What DuckDB computes under the declarations of a collection."""
        study = published.study
        if self.declared is not published:
            for name, expression in macros(study.name, published.rules).items():
                self.database.execute(f"CREATE OR REPLACE MACRO {name}(x) AS {expression}")
            self.declared = published
        names = names_of(self.database, dict(study.tables))
        return Truths(self.database, study.name, published.rules, names).of(text, subject)

    def partials(self, text: str, subject: str, published: Published, holders: int) -> Partials:
        """What DuckDB computes from the rows of some members only, as it is if the others withhold a figure. Computed when it is needed."""
        computed: list[Truth] = []

        def cells(key: tuple, at: int) -> list[Cell]:
            if not computed:
                computed.extend(self.of_members(text, subject, published, holders))
            rows = [row for truth in computed for row in truth.rows if truth.key(row) == key]
            return [row[at] for row in rows]

        return cells

    def of_members(self, text: str, subject: str, published: Published, holders: int) -> Iterable[Truth]:
        """The truth of each selection of members that is not all of them."""
        study = published.study
        self.database.execute(f"CREATE SCHEMA IF NOT EXISTS {MEMBERS}")
        for chosen in range(1, 2**holders - 1):
            numbers = ", ".join(str(member) for member in range(holders) if chosen >> member & 1)
            condition = self.publisher.studies.is_of(study.name, f"IN ({numbers})", holders)
            for dataset, table in study.tables.items():
                self.database.execute(f"CREATE OR REPLACE VIEW {MEMBERS}.{dataset} AS SELECT * FROM {table} WHERE {condition}")
            with contextlib.suppress(duckdb.InvalidInputException):
                # A division by zero: the figure of these members is missing.
                yield self.truth(published, text, subject)

    def followed(self, title: str, items: Iterable[Item]) -> Iterable[Item]:
        """The items, with a line of progress now and then."""
        began = time.monotonic()
        at = shown = 0
        for at, item in enumerate(items, 1):
            yield item
            if at % EACH == 0:
                self.report(title, at, began)
                shown = at
        if at > shown:
            self.report(title, at, began)

    def report(self, title: str, at: int, began: float) -> None:
        published = f"{self.publisher.copies} copies published in {self.publisher.seconds:.0f} s in total"
        progress(f"{title}: {at} queries after {time.monotonic() - began:.0f} s, {published}")


def progress(line: str) -> None:
    print(f"statistics: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
