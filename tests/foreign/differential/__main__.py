"""The differential test: the same queries to a consortium of five nodes and to DuckDB, over the same files.

Each query is asked in up to three ways: by the holder itself (`own`), from outside (`one`), and over all members (`all`). The differences
that are documented are in `differences.toml`. It exits with 1 if there is another one.
"""

import argparse
import functools
import os
import pathlib
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import case as cases
import report
import shared
import shrink
import tables
from case import Case
from differences import Documented
from differences import read as read_differences
from generator import generate
from holders import CONSUMER, Holders
from oracle import Oracle
from verdict import Result, between, judge

HERE = pathlib.Path(__file__).parent
# More would wait for each other: a query has a process of its own at each node.
CLIENTS = 3
REPORT_EVERY = 250


def main() -> int:
    options = arguments()
    documented = read_differences(HERE / "differences.toml")
    with tempfile.TemporaryDirectory(prefix="concordat-differential-") as name:
        folder = pathlib.Path(name)
        began = time.monotonic()
        files = tables.write_all(folder, options.alike) + shared.write_all(folder)
        with Holders(options.program, folder) as consortium, ThreadPoolExecutor(len(tables.HOLDERS)) as pool:
            by_holder = [[file for file in files if file.holder == holder] for holder in tables.HOLDERS]
            kinds = pool.map(lambda held: [(file, consortium.share(file)) for file in held], by_holder)
            oracle = Oracle(documented.settings)
            oracle.load({file: columns for held in kinds for file, columns in held})
            progress(f"the consortium is ready after {time.monotonic() - began:.0f} s")
            chosen = selected(options, files, oracle, documented)
            results = compare(chosen, consortium, oracle, documented)
            again = functools.partial(ask, consortium=consortium, oracle=oracle, documented=documented)
            shorter = (lambda result, kind: shrink.shortest(result, kind, again)) if options.shrink else (lambda result, _: result)
            print(report.text(results, documented, options.every, shorter))
    return int(any(result.disagrees for result in results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("program", type=pathlib.Path, help="the binary `concordat`")
    add("queries", type=int, nargs="?", default=1000, help="number of generated queries; 0 for the written ones alone")
    add("seed", type=int, nargs="?", default=1, help="seed of the generated queries")
    add("--only", type=re.compile, default=re.compile(""), help="only cases whose category or text contains this expression")
    add("--written", type=pathlib.Path, default=HERE / "queries.sql", help="another file of written cases")
    add("--alike", action="store_true", help="give the tables of all institutions the same columns")
    add("--every", action="store_true", help="print every disagreement, and not only the shortest of each kind")
    add("--shrink", action="store_true", help="make the printed queries shorter")
    return parser.parse_args()


def selected(options: argparse.Namespace, files: list[tables.File], oracle: Oracle, documented: Documented) -> list[Case]:
    """The written and the generated cases."""
    has_shared = any(file.table in shared.TABLES for file in files)
    written = [case for case in cases.read(options.written) if has_shared or case.needs != "shared"]
    if not has_shared:
        progress("without the shared tables: CONCORDAT_SHARED_DATA does not name their folder")
    generated = generate(options.queries, options.seed, len(written), oracle)
    for case in written:
        if case.oracle and not documented.spelling(case):
            raise ValueError(f"no row of `spelling` in differences.toml covers the text for DuckDB of case {case.number}: {case.text}")
    return [case for case in [*written, *generated] if options.only.search(f"{case.category}\n{case.text}")]


def compare(all_cases: list[Case], consortium: Holders, oracle: Oracle, documented: Documented) -> list[Result]:
    """Asks every case in every way."""
    results = []
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for result in pool.map(lambda case: ask(case, consortium, oracle, documented), all_cases):
            results.append(result)
            if len(results) % REPORT_EVERY == 0:
                progress(f"{len(results)} of {len(all_cases)} queries after {time.monotonic() - began:.0f} s")
    return results


def ask(case: Case, consortium: Holders, oracle: Oracle, documented: Documented) -> Result:
    """Asks a case in all its ways."""
    result = Result(case)
    for way in case.ways:
        node = consortium.nodes[case.at if way == "own" else CONSUMER]
        answer = node.query(case.sql(way), bool(case.partial))
        result.comparisons.append(judge(case, way, answer, oracle, documented))
    result.between = between(case, result.comparisons)
    return result


def progress(line: str) -> None:
    print(f"differential: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
