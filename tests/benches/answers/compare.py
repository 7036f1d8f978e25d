"""Runs the steps of `answers`, the same work in DuckDB and two whole nodes, and prints one table of ratios.

Usage: compare.py ANSWERS CONCORDAT [SUBJECTS | short]

Every step is a separate process, so that peak memory is that of the step. Files go to a temporary folder (TMPDIR). `short` takes few
subjects and states no targets. Answers without noise are compared with those of DuckDB: a difference is an error.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

import nodes

KEY = "0123456789abcdef0123456789abcdef"
# How many of the texts of each query a member sends.
SENT = 3
TOLERANCE = 1e-9
MIB = 1 << 20
# The queries by their names in `queries.rs`, and the protections that compare figures with those released before.
WORKS = {"counted": "subjects by two groups", "measured": "a mean of rows by one group"}
PROTECTIONS = ("perturbed", "exact")


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    subjects: int
    # Rows of events in the forty tables.
    model: int
    # What was released before the check of a query: sets of subjects and of rows that do not follow from each other, and answers.
    sets: int
    answers: int
    is_short: bool = False


FULL = Size(subjects=2_000_000, model=10_000_000, sets=430, answers=10_000)
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
    rows = []
    for file in sorted(pathlib.Path(files).glob("*.csv")):
        encrypted = f"{to}/{file.stem}.parquet"
        options = "FORMAT parquet, COMPRESSION zstd, ENCRYPTION_CONFIG {footer_key: 'bench'}"
        db.execute(f"COPY (SELECT * FROM read_csv('{file}')) TO '{encrypted}' ({options})")
        rows.append(db.fetchone()[0])
    return {"seconds": time.monotonic() - began, "peak_mib": own_peak(), "datasets": len(rows), "rows": sum(rows)}


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


def step(program, name, *arguments):
    """Runs a step in a separate process and reads the JSON object that it prints."""
    began = time.monotonic()
    command = [*map(str, program), name, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)[:1000]} failed:\n{run.stderr}")
    print(f"  {name}, {time.monotonic() - began:.0f} s: {run.stdout.strip()[:200]}", file=sys.stderr)
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
    ours, duck = [answers], [sys.executable, __file__]
    clinic, half, model = folder / "clinic", folder / "half", folder / "model"
    large, small = folder / "large", folder / "small"
    step(ours, "clinic", clinic, size.subjects)
    step(ours, "import", large, clinic)
    queried = step(ours, "query", large)
    texts = {name: figures["texts"] for name, figures in queried.items()}
    duck_queried = step(duck, "queries", large / "plain", json.dumps(texts))
    for name, figures in queried.items():
        expected = duck_queried[name]["rows"]
        compared(f"{name}, through a permit", figures["released"], expected)
        compared(f"{name}, by DataFusion", figures["plain"], expected)
        if len(figures["plain"]) != len(expected):
            sys.exit(f"{name}: DataFusion has {len(figures['plain'])} rows, and DuckDB has {len(expected)}")
    memory = step(ours, "memory", large)
    step(ours, "clinic", half, size.subjects // 2)
    step(ours, "import", small, half)
    step(ours, "fill", small, size.sets, size.answers)
    checked = step(ours, "check", small)
    step(ours, "model", model, size.model)
    bytes_of_model = sum(file.stat().st_size for file in model.iterdir())
    duck_imported = step(duck, "import", model, folder / "duck")
    sent = {name: all_texts[:SENT] for name, all_texts in texts.items()}
    by_nodes = nodes.measured(program, folder, {"clinic": clinic, "model": model}, sent)
    for part in ("datasets", "rows"):
        if by_nodes[f"imported_{part}"] != duck_imported[part]:
            sys.exit(f"{by_nodes[f'imported_{part}']} {part} were imported, and {duck_imported[part]} by DuckDB")
    return {
        "queried": queried,
        "duck": duck_queried,
        "memory": memory,
        "checked": checked,
        "model_bytes": bytes_of_model,
        "duck_import": duck_imported,
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

    def peaks(work, decides, computes):
        line(work, f"{decides:.0f} + {computes:.0f} MiB", "", f"{(decides + computes) * MIB / 1e6:.0f} MB", "≤ 400 MB")

    queried, duck, checked, by_nodes = (figures[name] for name in ("queried", "duck", "checked", "nodes"))
    print(f"{os.cpu_count()} cores; DuckDB {duckdb.__version__}; {size.subjects:,} subjects with {size.subjects * 10:,} rows in three datasets\n")
    print("| work | measured | against | ratio | target |")
    print("| --- | ---: | --- | ---: | ---: |")
    for name, work in WORKS.items():
        ours = queried[name]
        permitted = f"{work} over three joined datasets, through a permit at `aggregate`"
        compare(permitted, ours["permit"], duck[name]["ms"], "DuckDB, plain Parquet", "≤ 3")
        compare(permitted, ours["permit"], ours["datafusion"], "DataFusion, plain Parquet", "≤ 1.5")
    for name, work in WORKS.items():
        compare(f"{work}, by a member, through two nodes", by_nodes["member"][name], duck[name]["ms"], "DuckDB, plain Parquet", "")
    print_checks(size, checked, compare)
    restored = [checked[protection]["earlier"]["restore"] for protection in PROTECTIONS]
    line("that memory is restored from its logs", span(statistics.median(restored)), "", "", "")
    line(f"decision about a grant over {by_nodes['granted_datasets']} datasets, rule by rule", f"{by_nodes['decision']:.1f} ms", "", "", "≤ 20 ms")
    under_grant = "estimate of a query under this grant, with the holder's decision"
    line(under_grant, f"{by_nodes['estimate']:.1f} ms", "", "", "≤ 20 ms")
    line("estimate of a query over three joined datasets at `aggregate`", f"{by_nodes['estimate_joined']:.1f} ms", "", "", "≤ 20 ms")
    memory = figures["memory"]
    peaks("memory of the holder in these queries through a permit, peak", memory["decides_mib"], memory["computes_mib"])
    peaks(f"the same {after(size, checked)}", checked["decides_mib"], checked["computes_mib"])
    peaks("memory of the holder's node and its engine in the queries of a member, peak", by_nodes["node_peak"], by_nodes["engine_peak"])
    ours, theirs = by_nodes["import_seconds"], figures["duck_import"]["seconds"]
    work = f"import of {by_nodes['imported_datasets']} datasets in one command, CSV of {figures['model_bytes'] / 1e9:.2f} GB"
    line(work, f"{ours:.1f} s", f"DuckDB, encrypted Parquet: {theirs:.1f} s", f"{ours / theirs:.2f}", "≤ 1.5")
    ours, theirs = by_nodes["import_peak"], figures["duck_import"]["peak_mib"]
    line("memory of the node in that import, peak", f"{ours:.0f} MiB", f"DuckDB: {theirs:.0f} MiB", f"{ours / theirs:.2f}", "≤ 400 MB")


def after(size, checked):
    return f"after {size.answers:,} answers and {size.sets} sets, {checked['subjects']:,} subjects"


def print_checks(size, checked, compare):
    """What of a query is the check: of its cells with each other, and with what was released before."""
    for name, work in WORKS.items():
        for protection in PROTECTIONS:
            found = checked[protection]
            spans, first = found["earlier"][name], found["none"][name]
            of_query = f"check of {work}, `{protection}`"
            compare(f"{of_query}, {after(size, checked)}", spans["check"], spans["query"], "the whole query", "≤ 0.10")
            compare(f"{of_query}, after few answers", first["check"], first["query"], "the whole query", "")
    spans = checked["perturbed"]["earlier"]["counted"]
    compare("the sets of the first query become durable", spans["store"], spans["query"], "the whole query", "")
    compare("its sets are added to the bases", spans["commit"], spans["query"], "the whole query", "")


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
