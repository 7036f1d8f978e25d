"""The declared edges of columns (`levels.toml`): the functions that DuckDB lacks, and which comparisons they decide."""

import pathlib
import re
import tomllib

import duckdb

Edges = dict[str, list[int]]
BAND = re.compile(r"\bband\(\s*(?:\w+\.)?(\w+)\s*\)")
# The numbers of days that a collection declares unless it declares others.
DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730)
STEPS = (100, 50, 20, 10, 5, 2, 1)
SUBJECTS = 10
MAX_EDGES = 100
SIGNS = {
    "COMPARE_LESSTHAN": (0,),
    "COMPARE_GREATERTHANOREQUALTO": (0,),
    "COMPARE_LESSTHANOREQUALTO": (1,),
    "COMPARE_GREATERTHAN": (1,),
}


def read(path: pathlib.Path) -> dict[str, Edges]:
    """The edges of each column of each collection: where a band begins."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def define(database: duckdb.DuckDBPyConnection, levels: dict[str, Edges]) -> None:
    """Macros for the bands, and for functions of DataFusion."""
    database.execute("CREATE MACRO approx_percentile_cont(x, q) AS quantile_cont(x, q)")
    for collection, columns in levels.items():
        for column, edges in columns.items():
            database.execute(f"CREATE MACRO band_{collection}_{column}(x) AS {labels(edges)}")


def labels(edges: list[int]) -> str:
    """An expression for the band of `x`, or of its year if it is a date."""
    value = "CASE WHEN typeof(x) IN ('DATE', 'TIMESTAMP') THEN date_part('year', TRY_CAST(x AS DATE)) ELSE TRY_CAST(x AS DOUBLE) END"
    bands = [f"WHEN {value} < {edges[0]} THEN '<{edges[0]}'"]
    bands += [f"WHEN {value} < {high} THEN '{low}-{high - 1}'" for low, high in zip(edges, edges[1:])]
    return f"CASE WHEN x IS NULL THEN NULL {' '.join(bands)} ELSE '{edges[-1]}+' END"


def for_duckdb(sql: str, collection: str) -> str:
    """The query with `band` replaced by the macro of the column."""
    return BAND.sub(lambda found: f"band_{collection}_{found[1]}({found[0].split('(')[1].rstrip(')')})", sql)


def proposed(database: duckdb.DuckDBPyConnection, table: str, column: str) -> list[int]:
    """The edges that section 3.4 of the design proposes for whole numbers: each band has rows of at least `SUBJECTS` subjects."""
    counted = f'SELECT "{column}"::BIGINT AS value, count(*) FROM {table} WHERE value IS NOT NULL GROUP BY value'
    counts: dict[int, int] = dict(database.execute(counted).fetchall())
    edges: list[int] = []
    for cut in candidates(min(counts), max(counts)):
        low = max((edge for edge in edges if edge < cut), default=min(counts))
        high = min((edge for edge in edges if edge > cut), default=max(counts) + 1)
        above = sum(counts.get(value, 0) for value in range(cut, high))
        below = sum(counts.get(value, 0) for value in range(low, cut))
        # An edge at the least value shows it: only if it is not that of a few subjects.
        below = counts[cut] if cut == min(counts) else below
        if cut not in edges and min(above, below) >= SUBJECTS and len(edges) < MAX_EDGES:
            edges.append(cut)
    return sorted(edges)


def candidates(least: int, greatest: int) -> list[int]:
    """Where conditions usually cut, the most usual first: `>= e` cuts at `e`, and `<= e` at `e + 1`."""
    rounded = [cut for step in STEPS for e in range(least // step * step, greatest + 1, step) for cut in (e, e + 1)]
    return [cut for cut in [*DAYS, *rounded, least] if least <= cut <= greatest]


def undecided(tree: object, edges: Edges) -> set[str]:
    """The comparisons of columns with whole numbers that are not at an edge, such as `age >= 65`."""
    if isinstance(tree, list):
        return {found for part in tree for found in undecided(part, edges)}
    if not isinstance(tree, dict):
        return set()
    found = {comparison for part in tree.values() for comparison in undecided(part, edges)}
    return found | {f"{column} at {value}" for column, value in thresholds(tree) if column in edges and value not in edges[column]}


def thresholds(node: dict) -> list[tuple[str, int]]:
    """The column of a comparison, and where it cuts."""
    if node.get("type") == "COMPARE_BETWEEN":
        pairs = [(node["input"], node["lower"], 0), (node["input"], node["upper"], 1)]
    else:
        pairs = [(node.get("left"), node.get("right"), add) for add in SIGNS.get(node.get("type", ""), ())]
    return [(column["column_names"][-1], int(value["literal"]["text"]) + add) for column, value, add in pairs if is_cut(column, value)]


def is_cut(column: object, value: object) -> bool:
    is_column = isinstance(column, dict) and column.get("class") == "COLUMN_REF"
    return is_column and isinstance(value, dict) and value.get("literal", {}).get("kind") == "INTEGER"
