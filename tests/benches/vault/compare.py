"""Runs the steps of `vault`, the same work in DuckDB, and prints one table of ratios. Usage: compare.py VAULT [ROWS]

Every step is a separate process, so that peak memory is that of the step. Files go to a temporary folder (TMPDIR).
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

GROUPED = """SELECT site, sex, count(*), avg(chol), max(systolic) FROM {} WHERE age >= 40 GROUP BY site, sex"""
KEY = "0123456789abcdef0123456789abcdef"
ROUNDS = 11
MANY = 10_000


def connect():
    db = duckdb.connect()
    # The package from PyPI writes encrypted Parquet only with this; reading needs it too to find the key.
    db.execute("SET force_mbedtls_unsafe='true'")
    db.execute(f"PRAGMA add_parquet_key('bench', '{KEY}')")
    return db


def duck_import(csv, to):
    """The CSV into encrypted Parquet."""
    db = connect()
    began = time.monotonic()
    db.execute(f"COPY (SELECT * FROM read_csv('{csv}')) TO '{to}' (FORMAT parquet, COMPRESSION zstd, ENCRYPTION_CONFIG {{footer_key: 'bench'}})")
    return {"seconds": time.monotonic() - began, "peak_mib": peak()}


def duck_query(plain, encrypted):
    """The grouped query over both, in turns; medians in milliseconds."""
    db = connect()
    tables = {
        "plain": f"read_parquet('{plain}')",
        "encrypted": f"read_parquet('{encrypted}', encryption_config = {{footer_key: 'bench'}})",
    }
    spans = {name: [] for name in tables}
    for _ in range(ROUNDS):
        for name, table in tables.items():
            began = time.monotonic()
            assert len(db.execute(GROUPED.format(table)).fetchall()) == 24
            spans[name].append((time.monotonic() - began) * 1000)
    return {name: statistics.median(times) for name, times in spans.items()}


def peak():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def step(*command):
    """Runs a step in a separate process and reads the JSON object that it prints."""
    run = subprocess.run([str(argument) for argument in command], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{run.stderr}")
    print(f"  {command[1]}: {run.stdout.strip()}", file=sys.stderr)
    return json.loads(run.stdout) if run.stdout.strip() else {}


def bytes_below(folder):
    return sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*.parquet"))


def main(vault, rows):
    duck = [sys.executable, __file__]
    with tempfile.TemporaryDirectory(prefix="concordat-vault-") as folder:
        folder = pathlib.Path(folder)
        csv, large, small = folder / "visits.csv", folder / "large", folder / "small"
        large.mkdir()
        step(vault, "generate", csv, rows)
        size = csv.stat().st_size
        theirs = step(*duck, "import", csv, folder / "duck.parquet")
        ours = step(vault, "import", large / "node", csv)
        csv.unlink()
        queried = step(vault, "query", large)
        duck_queried = step(*duck, "query", large / "plain" / "*.parquet", folder / "duck.parquet")
        sealed, plain = bytes_below(large / "aes"), bytes_below(large / "plain")
        step(vault, "many", small, MANY)
        opened = step(vault, "open", small)
        rotated = step(vault, "rotate", small)

    def span(ms):
        return f"{ms:.0f} ms"

    def line(work, measured, against, ratio, target):
        print(f"| {work} | {measured} | {against} | {ratio} | {target} |")

    def compare(work, ours, theirs, peer, target):
        line(work, span(ours), f"{peer}: {span(theirs)}", f"{ours / theirs:.2f}", target)

    print(f"DuckDB {duckdb.__version__}; {rows:,} rows, 12 columns, CSV of {size / 1e9:.2f} GB, Parquet of {plain / 1e6:.0f} MB\n")
    line("work", "measured", "against", "ratio", "target")
    line("---", "---:", "---", "---:", "---:")
    grouped, fusion = "scan, filter, group", "DataFusion, plain Parquet"
    compare(f"{grouped}, AES", queried["grouped_aes"], queried["grouped_plain"], fusion, "≤ 1.10")
    compare(f"{grouped}, ChaCha20", queried["grouped_chacha"], queried["grouped_plain"], fusion, "≤ 1.30")
    compare(f"{grouped}, AES", queried["grouped_aes"], duck_queried["encrypted"], "DuckDB, encrypted Parquet", "≤ 0.60")
    compare(f"{grouped}, AES", queried["grouped_aes"], duck_queried["plain"], "DuckDB, plain Parquet", "≤ 2.20")
    compare(f"{grouped}, AES", queried["grouped_aes"], queried["grouped_default"], f"{fusion}, default settings", "")
    compare(f"{grouped}, through a permit, tier `records`", queried["permit_records"], queried["grouped_plain"], fusion, "")
    compare(f"{grouped}, through a permit, tier `aggregate`", queried["permit_aggregate"], queried["grouped_plain"], fusion, "")
    compare("point lookup by subject, AES", queried["point_aes"], queried["point_plain"], fusion, "≤ 1.20")
    compare("point lookup by subject, ChaCha20", queried["point_chacha"], queried["point_plain"], fusion, "≤ 1.20")
    compare("point lookup by subject, AES", queried["point_aes"], queried["point_default"], f"{fusion}, default settings", "")
    compare("point lookup by subject, through a permit", queried["permit_point"], queried["point_plain"], fusion, "")
    line("import of the CSV", f"{ours['seconds']:.1f} s", f"DuckDB, encrypted Parquet: {theirs['seconds']:.1f} s", f"{ours['seconds'] / theirs['seconds']:.2f}", "≤ 1.50")
    line("memory of that import, peak", f"{ours['peak_mib']:.0f} MiB", f"DuckDB: {theirs['peak_mib']:.0f} MiB", f"{ours['peak_mib'] / theirs['peak_mib']:.2f}", "≤ 300 MB")
    line("size on disk", f"{sealed:,} bytes", f"plain Parquet: {plain:,} bytes", f"{sealed / plain:.5f}", "≤ 1.002")
    line(f"open {opened['datasets']:,} datasets", f"{opened['seconds']:.2f} s", "", "", "≤ 1 s")
    line("memory of that", f"{opened['peak_mib']:.0f} MiB", "", "", "≤ 80 MB")
    line(f"rotate a segment's key over {rotated['datasets']:,} datasets", f"{rotated['seconds']:.2f} s", "", "", "≤ 2 s")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["import", csv, to]:
            print(json.dumps(duck_import(csv, to)))
        case ["query", plain, encrypted]:
            print(json.dumps(duck_query(plain, encrypted)))
        case [vault]:
            main(vault, 10_000_000)
        case [vault, rows]:
            main(vault, int(rows))
        case _:
            sys.exit(__doc__)
