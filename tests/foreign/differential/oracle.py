"""DuckDB over the same files: its answers, and what a query determines of the names and the order of its answer.

Each institution is a schema. `consortium` has a view for each table: the union of its members' tables by name, and `named` the same views
with the column `institution`. The types of columns are those that the nodes report; how a file becomes types is tested elsewhere.
"""

import json
import threading
from dataclasses import dataclass

import duckdb

from answer import Answer, Refusal, Rows, from_arrow
from differences import Setting
from tables import File

KINDS = {
    "whole numbers": "BIGINT",
    "numbers": "DOUBLE",
    "true or false": "BOOLEAN",
    "dates": "DATE",
    "date-times": "TIMESTAMP",
    "date-times with a zone": "TIMESTAMPTZ",
    "text": "VARCHAR",
}
# What an import reads as missing in a column that is not text.
MARKERS = "('', '?', 'NA', 'NaN', 'NULL', 'null', 'N/A', '.')"
# Errors of the text of a query. Every other error depends on the values.
TEXT_ERRORS = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.NotImplementedException)


@dataclass(frozen=True)
class Shape:
    """What the text of a query determines of its answer."""

    # The name of each column, or `None` where it is not determined.
    names: tuple[str | None, ...]
    # The columns that the rows are ordered by; `None` if the order is by something that is not in the answer.
    order: tuple[int, ...] | None
    # The outermost function of each column, or the class of its expression.
    functions: tuple[str, ...] = ()


class Oracle:
    """A database with the tables of all institutions."""

    def __init__(self, settings: list[Setting]) -> None:
        self.settings = settings
        self.database = self.with_settings(duckdb.connect())
        self.database.execute("CREATE MACRO known_years(day) AS CASE WHEN year(day) BETWEEN 1 AND 9999 THEN day END")
        self.local = threading.local()

    def with_settings(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """The connection with the settings of the test, which belong to it alone."""
        for setting in self.settings:
            connection.execute(f"SET {setting.name} = {setting.value!r}")
        return connection

    def load(self, kinds: dict[File, dict[str, str]]) -> None:
        """Creates a table for each file, and the unions. `kinds` has the kind of each column of each file."""
        for schema in [*sorted({file.holder for file in kinds}), "consortium", "named"]:
            self.database.execute(f"CREATE SCHEMA {schema}")
        for file, columns in kinds.items():
            typed = ", ".join(converted(name, kind, file) for name, kind in columns.items())
            self.database.execute(f"CREATE TABLE {file.holder}.{file.table} AS SELECT {typed} FROM {source(file)}")
        for table in sorted({file.table for file in kinds}):
            members = [file for file in kinds if file.table == table]
            types = self.common_types(table, members)
            self.give_types(table, members, types)
            self.create_views(table, members, types)

    def common_types(self, table: str, members: list[File]) -> dict[str, str]:
        """The type of each column that has values at some member, by its name in lower case: a column without values has any type."""
        types: dict[str, set[str]] = {}
        large: set[str] = set()
        for member in members:
            name = f"{member.holder}.{table}"
            for column, kind in self.columns(name):
                if self.count(name, column):
                    types.setdefault(column.lower(), set()).add(kind)
                if kind == "BIGINT" and self.has_number_without_double(name, column):
                    large.add(column.lower())
        return {column: common(kinds, column in large) for column, kinds in types.items()}

    def has_number_without_double(self, table: str, column: str) -> bool:
        """Whether a whole number of a column is another number as `DOUBLE`."""
        changes = f'bool_or(CAST(CAST("{column}" AS DOUBLE) AS HUGEINT) <> "{column}")'
        return bool(self.database.execute(f"SELECT {changes} FROM {table}").fetchall()[0][0])

    def give_types(self, table: str, members: list[File], types: dict[str, str]) -> None:
        """Gives columns without values the type that they have elsewhere."""
        for member in members:
            for column, kind in self.columns(f"{member.holder}.{table}"):
                if not self.count(f"{member.holder}.{table}", column) and types.get(column.lower(), kind) != kind:
                    self.database.execute(f'ALTER TABLE {member.holder}.{table} ALTER "{column}" TYPE {types[column.lower()]}')

    def columns(self, table: str) -> list[tuple[str, str]]:
        """The columns of a table, each with its type."""
        return self.database.execute(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall()

    def count(self, table: str, column: str) -> int:
        """How many values a column has."""
        return self.database.execute(f'SELECT count("{column}") FROM {table}').fetchall()[0][0]

    def create_views(self, table: str, members: list[File], types: dict[str, str]) -> None:
        """The views over all members."""
        selects = {}
        for member in members:
            name = f"{member.holder}.{table}"
            columns = self.columns(name)
            cast = [f'CAST("{column}" AS {types.get(column.lower(), "VARCHAR")}) AS "{column}"' for column, _ in columns]
            selects[member.holder] = f"{', '.join(cast)} FROM {name}"
        rows = " UNION ALL BY NAME ".join(f"SELECT {select}" for select in selects.values())
        self.database.execute(f"CREATE VIEW consortium.{table} AS {rows}")
        rows = " UNION ALL BY NAME ".join(f"SELECT '{holder}' AS institution, {select}" for holder, select in selects.items())
        self.database.execute(f"CREATE VIEW named.{table} AS {rows}")

    def query(self, sql: str) -> Answer:
        """The answer. A refusal has the code `usage` if the text is not a query, and `values` if it depends on the values."""
        try:
            if [statement.type for statement in duckdb.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
                return Refusal("usage", "it is not one SELECT")
            return from_arrow(self.cursor().sql(sql).to_arrow_table())
        except TEXT_ERRORS as error:
            return Refusal("usage", first_line(error))
        except duckdb.Error as error:
            return Refusal("values", first_line(error))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for each thread."""
        if not hasattr(self.local, "cursor"):
            self.local.cursor = self.with_settings(self.database.cursor())
        return self.local.cursor

    def shape(self, sql: str, answer: Rows) -> Shape:
        """What `sql` determines of `answer`."""
        tree = self.cursor().execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
        parsed = json.loads(tree[0][0])
        if parsed["error"]:
            return Shape((None,) * len(answer.names), None)
        return shape(parsed["statements"][0]["node"], answer)


def common(kinds: set[str], large: bool = False) -> str:
    """The type that has the values of all; `large` if a whole number among them is another one as `DOUBLE`."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DECIMAL(38, 6)" if large else "DOUBLE"
    return "TIMESTAMP" if kinds == {"DATE", "TIMESTAMP"} else "VARCHAR"


def source(file: File) -> str:
    """The rows of a file; those of CSV are texts."""
    if file.path.suffix == ".parquet":
        return f"read_parquet('{file.path}')"
    names = ", ".join(f"'{name}': 'VARCHAR'" for name in file.names)
    syntax = "header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', max_line_size = 4194304"
    return f"read_csv('{file.path}', columns = {{{names}}}, {syntax}, parallel = false)"


def converted(name: str, kind: str, file: File) -> str:
    """A column with the type of its kind: blank fields are missing, and so are markers in a column that is not text."""
    position = list(name.lower() for name in file.names).index(name.lower())
    column = f'"{file.names[position]}"'
    text = f"trim(CAST({column} AS VARCHAR), ' \t')"
    if kind == "text":
        return f"CASE WHEN {text} <> '' THEN CAST({column} AS VARCHAR) END AS \"{name}\""
    value = column if file.path.suffix == ".parquet" else text
    missing = f"{text} IN {MARKERS} OR lower({text}) = 'nan'" if file.path.suffix == ".parquet" else f"{text} IN {MARKERS}"
    return f'CAST(CASE WHEN NOT ({missing}) THEN {value} END AS {KINDS[kind]}) AS "{name}"'


def first_line(error: duckdb.Error) -> str:
    """What happened, without the excerpt of the query."""
    return str(error).splitlines()[0]


def shape(node: dict, answer: Rows) -> Shape:
    """The names of the first select list, and the order of the outermost query."""
    while node["type"] == "CTE_NODE":
        node = node["child"]
    modifiers = node.get("modifiers", [])
    first = node
    while first["type"] in ("SET_OPERATION_NODE", "CTE_NODE"):
        first = first["child"] if first["type"] == "CTE_NODE" else (first.get("left") or first["children"][0])
    items = first.get("select_list", [])
    has_star = any(item["class"] == "STAR" for item in items) or len(items) != len(answer.names)
    names = (None,) * len(answer.names) if has_star else tuple(name(item) for item in items)
    if has_star and len(items) == 1:
        names = answer.names
    orders = [order for modifier in modifiers if modifier["type"] == "ORDER_MODIFIER" for order in modifier["orders"]]
    positions = [position(order["expression"], answer, [] if has_star else items) for order in orders]
    known = [found for found in positions if found is not None]
    functions = () if has_star else tuple(item.get("function_name", item["class"].lower()) for item in items)
    return Shape(names, tuple(known) if len(known) == len(positions) else None, functions)


def name(item: dict) -> str | None:
    """The name that an item of a select list gives to its column."""
    if item["alias"]:
        return item["alias"]
    return item["column_names"][-1] if item["class"] == "COLUMN_REF" else None


def position(key: dict, answer: Rows, items: list[dict]) -> int | None:
    """The column of the answer that has the values of a key of `ORDER BY`."""
    if key["class"] == "CONSTANT":
        return int(key["literal"]["text"]) - 1 if "literal" in key else int(key["value"]["value"]) - 1
    if key["class"] == "COLUMN_REF":
        wanted = key["column_names"][-1].lower()
        same = [at for at, known in enumerate(answer.names) if known.lower() == wanted]
        if len(same) == 1:
            return same[0]
    equal = [at for at, item in enumerate(items) if bare(item) == bare(key)]
    return equal[0] if equal else None


def bare(expression: object) -> object:
    """An expression without its alias and where it is in the text."""
    match expression:
        case dict():
            return {key: bare(value) for key, value in expression.items() if key != "alias" and not key.startswith("query_location")}
        case list():
            return [bare(value) for value in expression]
        case _:
            return expression

