"""Runs the steps of `answers`, the same work in DuckDB and two whole nodes, and prints one table of ratios.

Usage: compare.py ANSWERS CONCORDAT [SUBJECTS | short]

Every step is a separate process, so that peak memory is that of the step. Files go to a temporary folder (TMPDIR). `short` takes few
subjects and states no targets. Answers without noise are compared with those of DuckDB: a difference is an error.
"""

import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

import nodes

KEY = "0123456789abcdef0123456789abcdef"
# What a member sends, and how often, each time with other codes.
SENT = 3
BY_A_MEMBER = (
    "SELECT date_part('year', day) AS year, count(*) AS n, avg(value) AS mean FROM prescription "
    "WHERE code IN ({}) GROUP BY date_part('year', day)"
)
CODES = 12
TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    subjects: int
    # Rows of events in the forty tables.
    model: int
    # What was released before the check of a query: sets that do not follow from each other, and answers.
    sets: int
    answers: int
    is_short: bool = False


FULL = Size(subjects=2_000_000, model=10_000_000, sets=480, answers=10_000)
SHORT = Size(subjects=20_000, model=20_000, sets=40, answers=100, is_short=True)


def connect():
    db = duckdb.connect()
    # The package from PyPI writes encrypted Parquet only with this; reading needs it too to find the key.
    db.execute("SET force_mbedtls_unsafe='true'")
    db.execute(f"PRAGMA add_parquet_key('bench', '{KEY}')")
    return db


def duck_import(files, to):
    """Every CSV of a folder into encrypted Parquet, in one process."""
    db = connect()
    pathlib.Path(to).mkdir()
    began = time.monotonic()
    for file in sorted(pathlib.Path(files).glob("*.csv")):
        encrypted = f"{to}/{file.stem}.parquet"
        options = "FORMAT parquet, COMPRESSION zstd, ENCRYPTION_CONFIG {footer_key: 'bench'}"
        db.execute(f"COPY (SELECT * FROM read_csv('{file}')) TO '{encrypted}' ({options})")
    return {"seconds": time.monotonic() - began, "peak_mib": own_peak()}


def duck_queries(plain, queries):
    """Queries over plain Parquet: of the texts of each the median in milliseconds, and the rows of the first."""
    db = connect()
    for dataset in nodes.DATASETS:
        db.execute(f"CREATE VIEW {dataset} AS SELECT * FROM read_parquet('{plain}/{dataset}/*.parquet')")
    found = {}
    for name, texts in queries.items():
        spans, answers = [], []
        for sql in texts:
            began = time.monotonic()
            answers.append(db.execute(sql).fetchall())
            spans.append((time.monotonic() - began) * 1000)
        found[name] = {"ms": statistics.median(spans), "rows": answers[0]}
    return found


def own_peak():
    return nodes.peak(nodes.status_of("self"))


def step(*command):
    """Runs a step in a separate process and reads the JSON object that it prints."""
    run = subprocess.run([str(argument) for argument in command], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{run.stderr}")
    print(f"  {command[1]}: {run.stdout.strip()[:200]}", file=sys.stderr)
    return json.loads(run.stdout) if run.stdout.strip() else {}


def compared(name, found, expected):
    """Compares the rows that are not withheld with those of DuckDB. Missing values are empty texts."""
    known = {key(row): row for row in map(cells, expected)}
    shown = [row for row in map(cells, found) if row[-1]]
    for row in shown:
        if not is_same(row, known.get(key(row))):
            sys.exit(f"{name}: {row} is released, and DuckDB has {known.get(key(row))}")
    if not shown:
        sys.exit(f"{name}: nothing is released")


def cells(row):
    return ["" if value is None else str(value) for value in row]


def key(row):
    """The groups of a row: what is not a number."""
    return tuple(value for value in row if not is_number(value))


def is_number(value):
    try:
        float(value)
    except ValueError:
        return False
    return True


def is_same(row, known):
    if known is None or len(row) != len(known):
        return False
    numbers = [pair for pair in zip(row, known) if is_number(pair[0])]
    return all(is_number(b) and abs(float(a) - float(b)) <= TOLERANCE * max(1.0, abs(float(b))) for a, b in numbers)


def measured(answers, program, size, folder):
    """All figures."""
    duck = [sys.executable, __file__]
    clinic, half, model = folder / "clinic", folder / "half", folder / "model"
    large, small = folder / "large", folder / "small"
    step(answers, "clinic", clinic, size.subjects)
    step(answers, "import", large, clinic)
    queried = step(answers, "query", large)
    sent = [BY_A_MEMBER.format(", ".join(map(str, range(first, first + CODES)))) for first in range(0, SENT * CODES, CODES)]
    queries = {name: figures["texts"] for name, figures in queried.items()} | {"sent": sent}
    duck_queried = step(*duck, "queries", large / "plain", json.dumps(queries))
    for name, figures in queried.items():
        expected = duck_queried[name]["rows"]
        compared(f"{name}, through a permit", figures["released"], expected)
        compared(f"{name}, by DataFusion", figures["plain"], expected)
    memory = step(answers, "memory", large)
    step(answers, "clinic", half, size.subjects // 2)
    step(answers, "import", small, half)
    checked = step(answers, "check", small, size.sets, size.answers)
    step(answers, "model", model, size.model)
    bytes_of_model = sum(file.stat().st_size for file in model.iterdir())
    theirs = step(*duck, "import", model, folder / "duck")
    by_nodes = nodes.measured(program, folder, {"clinic": clinic, "model": model}, sent)
    return {
        "queried": queried,
        "duck": duck_queried,
        "memory": memory,
        "checked": checked,
        "model_bytes": bytes_of_model,
        "duck_import": theirs,
        "nodes": by_nodes,
    }


def print_table(size, figures):
    """The table of docs/benchmarks.md."""

    def span(ms):
        return f"{ms:.0f} ms"

    def line(work, measured, against, ratio, target):
        print(f"| {work} | {measured} | {against} | {ratio} | {'' if size.is_short else target} |")

    def compare(work, ours, theirs, peer, target):
        line(work, span(ours), f"{peer}: {span(theirs)}", f"{ours / theirs:.2f}", target)

    queried, duck, checked, by_nodes = (figures[name] for name in ("queried", "duck", "checked", "nodes"))
    print(f"DuckDB {duckdb.__version__}; {size.subjects:,} subjects with {size.subjects * 10:,} rows in three datasets\n")
    print("| work | measured | against | ratio | target |")
    print("| --- | ---: | --- | ---: | ---: |")
    works = {
        "counted": "subjects by two groups over three joined datasets",
        "measured": "a mean of rows by one group over three joined datasets",
    }
    for name, work in works.items():
        ours = queried[name]
        work = f"{work}, through a permit at `aggregate`"
        compare(work, ours["permit"], duck[name]["ms"], "DuckDB, plain Parquet", "≤ 3")
        compare(work, ours["permit"], ours["datafusion"], "DataFusion, plain Parquet", "≤ 1.5")
    work = "a mean of rows by year of one of them, by a member, through two nodes"
    compare(work, by_nodes["member"], duck["sent"]["ms"], "DuckDB, plain Parquet", "")
    after = f"after {size.answers:,} answers and {size.sets} sets, {checked['subjects']:,} subjects"
    for protection in ("perturbed", "exact"):
        spans = checked[protection]
        compare(f"check of the first query, `{protection}`, {after}", spans["check"], spans["query"], "the whole query", "≤ 0.10")
    spans = checked["perturbed"]
    compare("its sets become durable, `perturbed`", spans["store"], spans["query"], "the whole query", "")
    compare("its sets are added to the bases, `perturbed`", spans["commit"], spans["query"], "the whole query", "")
    line("that memory is restored from its records", span(spans["restore"]), "", "", "")
    line("decision about a grant over 40 datasets, rule by rule", f"{by_nodes['decision']:.1f} ms", "", "", "≤ 20 ms")
    if by_nodes["estimate"] is not None:
        line("estimate of a query under this grant, with the holder's decision", f"{by_nodes['estimate']:.1f} ms", "", "", "≤ 20 ms")
    memory = figures["memory"]
    joined = memory["decides_mib"], memory["computes_mib"]
    of_nodes = by_nodes["node_peak"], by_nodes["engine_peak"]
    for work, peaks in (
        ("memory of both processes in the queries over three datasets, peak", joined),
        ("memory of the holder's node and its engine in that of a member, peak", of_nodes),
    ):
        line(work, f"{peaks[0]:.0f} + {peaks[1]:.0f} MiB", "", "", "≤ 400 MB")
    ours, theirs = by_nodes["import_seconds"], figures["duck_import"]["seconds"]
    work = f"import of 40 datasets in one command, CSV of {figures['model_bytes'] / 1e9:.2f} GB"
    line(work, f"{ours:.1f} s", f"DuckDB, encrypted Parquet: {theirs:.1f} s", f"{ours / theirs:.2f}", "≤ 1.5")
    peaks = by_nodes["import_peak"], figures["duck_import"]["peak_mib"]
    ratio = f"{peaks[0] / peaks[1]:.2f}"
    line("memory of the node in that import, peak", f"{peaks[0]:.0f} MiB", f"DuckDB: {peaks[1]:.0f} MiB", ratio, "≤ 400 MB")


def main(answers, program, size):
    with tempfile.TemporaryDirectory(prefix="concordat-answers-") as folder:
        print_table(size, measured(answers, program.resolve(), size, pathlib.Path(folder)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["import", files, to]:
            print(json.dumps(duck_import(files, to)))
        case ["queries", plain, queries]:
            print(json.dumps(duck_queries(plain, json.loads(queries)), default=str))
        case [answers, program]:
            main(answers, pathlib.Path(program), FULL)
        case [answers, program, "short"]:
            main(answers, pathlib.Path(program), SHORT)
        case [answers, program, subjects]:
            main(answers, pathlib.Path(program), dataclasses.replace(FULL, subjects=int(subjects)))
        case _:
            sys.exit(__doc__)
