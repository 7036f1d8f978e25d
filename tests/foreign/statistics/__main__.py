"""100 queries of analysts over medical tables, run by DuckDB, and what they need of the language below tier `records`.

Reports for each query whether DuckDB runs it, the rows of its answer, the smallest group in subjects and the groups below 10 subjects; then
how many queries the forms of docs/design/statistics.md lower, and which forms are missing. It exits with 1 if a query fails or its
classification differs from its text.
"""

import argparse
import pathlib
import sys

import data
import duckdb
import levels
import query as queries
import report
import subjects
from language import Language
from query import Query
from report import OFF_EDGE, Result

HERE = pathlib.Path(__file__).parent


def main() -> int:
    options = arguments()
    language = Language(HERE / "forms.toml")
    edges = levels.read(HERE / "levels.toml")
    database = duckdb.connect()
    unowned = data.load(database, options.data)
    levels.define(database, edges)
    chosen = [query for query in queries.read(HERE / "queries") if options.only in (None, query.number)]
    results = [run(database, query, edges, language, options.show) for query in chosen]
    print("\n".join(f"{table}: {rows} rows without owner are left out" for table, rows in unowned.items()), end="\n\n")
    print(report.text(results, language))
    return int(any(result.problems for result in results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="the folder of the shared data")
    parser.add_argument("--only", type=int, help="the number of a single query")
    parser.add_argument("--show", action="store_true", help="print the answers")
    return parser.parse_args()


def run(database: duckdb.DuckDBPyConnection, query: Query, edges: dict[str, levels.Edges], language: Language, show: bool) -> Result:
    """Runs a query and its nearest form, and checks its classification."""
    result = Result(query, problems=language.problems(query))
    try:
        rows = database.execute(levels.for_duckdb(query.text, query.collection)).fetchall()
        result.rows = len(rows)
        if show:
            print(f"{query.number}: {query.purpose}\n{query.text}", *rows, "", sep="\n")
        result.groups = subjects.in_groups(database, levels.for_duckdb(query.text, query.collection), query.subject)
        check_edges(database, result, edges.get(query.collection, {}))
        if query.nearest_sql:
            database.execute(levels.for_duckdb(query.nearest_sql, query.collection)).fetchall()
    except (duckdb.Error, ValueError) as error:
        result.problems.append(str(error).splitlines()[0])
    if not result.rows:
        result.problems.append("the answer has no rows")
    return result


def check_edges(database: duckdb.DuckDBPyConnection, result: Result, edges: levels.Edges) -> None:
    """Where `off-edge` differs from what the query compares, and whether the finer edges decide it."""
    query = result.query
    tree = subjects.parsed(database, query.text)
    found = levels.undecided(tree, edges)
    if found and OFF_EDGE not in query.lacks:
        result.problems.append(f"off-edge: {', '.join(sorted(found))}")
    if query.collection in data.SINGLE:
        columns = {comparison.split()[0] for comparison in found}
        finer = {column: levels.proposed(database, query.collection, column) for column in columns}
        result.is_undecided = bool(levels.undecided(tree, finer))
    nearest = levels.undecided(subjects.parsed(database, query.nearest_sql), edges) if query.nearest_sql else set()
    if nearest:
        result.problems.append(f"the nearest form is off-edge: {', '.join(sorted(nearest))}")


if __name__ == "__main__":
    sys.exit(main())
