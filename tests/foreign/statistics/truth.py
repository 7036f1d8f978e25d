"""What DuckDB answers to a query, in the form in which a node answers it below tier `records`.

1. A group by a column has the labels of its levels, and one by the names of codes the declared names. Groups by years and by bands have
   what is beyond the outermost edges in the first and last of them. Quarters and months as numbers are those of dates between these edges.
2. Measured ages are those from 0 to 90.
3. `HAVING`, `ORDER BY` and `LIMIT` are left out: they see released figures only, and each row is compared by its groups.
"""

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import duckdb
import subjects
from answer import Cell, Row, from_arrow
from atoms import macro
from cells import is_number
from names import Found, Names
from template import ANCESTORS, LISTED, NAMED, Codes, Column, Edges, Listed, Rules

QUANTILES = ("median", "percentile_cont", "quantile_cont", "approx_percentile_cont", "approx_quantile")
MEASURES = ("avg", "mean", "sum", "corr", "min", "max", *QUANTILES)
MEASURE_PREFIXES = ("var", "stddev", "covar", "regr")
COUNTS = ("count", "count_star")
# Functions of a column by which groups are spans of it.
SPANS = ("floor", "date_part", "date_trunc", "/", "//", "*")
COMPARISONS = ("COMPARISON", "CONJUNCTION", "OPERATOR", "BETWEEN")


@dataclass
class Truth:
    """The rows of a query without limits, and how they are compared."""

    names: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    # The number of subjects of each row.
    sizes: list[int] = field(default_factory=list)
    # The positions of groups.
    keys: tuple[int, ...] = ()
    # The positions of what is estimated within a band.
    quantiles: frozenset[int] = frozenset()
    # The labels of the values of a group, by position.
    labels: dict[int, dict[str, str]] = field(default_factory=dict)
    # Rows may be missing from an answer: of a limit, of a condition on aggregates.
    is_cut: bool = False
    # A column may be missing because a row is a subtotal, and not because its values are.
    has_subtotals: bool = False
    # The positions of running sums, each with that of the group in whose order it is, and whether that is ascending.
    running: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def key(self, row: Row) -> tuple:
        """What identifies a row; a value of a group is its label, whichever of the two is shown."""
        return tuple(canonical(row[at], self.labels.get(at, {})) for at in self.keys)

    @property
    def values(self) -> list[int]:
        """The positions of figures."""
        return [at for at in range(len(self.names)) if at not in self.keys]

    def figure(self, theirs: Row | None, row: Row, at: int) -> Cell:
        """What DuckDB has at this position of the row with the groups of `row`, which is `theirs`. Where it has no row, a running sum is that
        of the last one before it."""
        if theirs is not None or at not in self.running:
            return theirs[at] if theirs is not None else None
        by, is_ascending = self.running[at]
        place = self.place(row, by, is_ascending)
        before = [known for known in self.rows if self.place(known, by, is_ascending)[0] == place[0]]
        before = [known for known in before if self.place(known, by, is_ascending) <= place]
        return max(before, key=lambda known: self.place(known, by, is_ascending))[at] if before else None

    def place(self, row: Row, by: int, is_ascending: bool) -> tuple:
        """The other groups of a row, and where it is in the order of one: missing values are last."""
        others = tuple(str(canonical(row[at], self.labels.get(at, {}))) for at in self.keys if at != by)
        cell = canonical(row[by], self.labels.get(by, {}))
        if cell is None:
            return others, 1, 0.0, ""
        number = float(cell) if isinstance(cell, float) else days_of(str(cell))
        return others, 0, number if is_ascending else -number, ""


def days_of(text: str) -> float:
    """The number of a day."""
    return float(datetime.date.fromisoformat(text[:10]).toordinal())


def canonical(cell: Cell, labels: dict[str, str]) -> object:
    """A cell as a key: numbers by value, dates as midnight."""
    if cell is None:
        return None
    if labels:
        return labels.get(str(cell), str(cell))
    if isinstance(cell, bool):
        return cell
    return float(cell) if is_number(cell) else str(cell).removesuffix(" 00:00:00")  # type: ignore[arg-type]


class Truths:
    """Computes truths over one collection in DuckDB."""

    def __init__(self, database: duckdb.DuckDBPyConnection, collection: str, rules: Rules, names: Names) -> None:
        self.database = database
        self.collection = collection
        self.rules = rules
        self.names = names

    def of(self, sql: str, subject: str) -> Truth:
        """The truth of a query whose rows lead to subjects by the expression `subject`; `*` if each is one."""
        tree = subjects.parsed(self.database, sql)
        root = tree["statements"][0]["node"]
        found = Truth()
        parts = root.get("children") or [root]
        counted = subjects.parsed(self.database, f"SELECT {'count(*)' if subject == '*' else f'count(DISTINCT {subject})'} AS subjects")
        for part in parts:
            self.prepare(part, tree, found)
            part["select_list"] += counted["statements"][0]["node"]["select_list"]
        text = self.database.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()[0][0]
        answer = from_arrow(self.database.sql(text).to_arrow_table())
        found.names = answer.names[:-1]
        found.rows = [row[:-1] for row in answer.rows]
        found.sizes = [int(row[-1]) for row in answer.rows]  # type: ignore[arg-type]
        return found

    def prepare(self, part: dict, tree: dict, found: Truth) -> None:
        """Changes a grouping to the form in which a node shows it."""
        found.is_cut |= bool(part["having"] or part["modifiers"] and any(one["type"] == "LIMIT_MODIFIER" for one in part["modifiers"]))
        found.has_subtotals |= len(part.get("group_sets") or []) > 1
        part["having"], part["modifiers"] = None, []
        items = part["select_list"]
        found.keys = tuple(at for at, item in enumerate(items) if not is_figure(item))
        found.quantiles |= {at for at, item in enumerate(items) if calls(item, QUANTILES)}
        found.running |= running(items, found.keys)
        named = coded(part, self.names, tree)
        groups: list[tuple[object, dict]] = []
        for at in found.keys:
            found.labels |= self.labels_of(at, items[at], tree, named)
            group = self.grouped(items[at], tree, named)
            groups.append((plain(items[at]), group))
            items[at] = group
        part["group_expressions"] = [self.grouped(expression, tree, named) for expression in part["group_expressions"]]
        for at, item in enumerate(items):
            if at not in found.keys:
                items[at] = with_groups(self.measured(item, tree), groups)

    def labels_of(self, at: int, item: dict, tree: dict, named: set[Found]) -> dict[int, dict[str, str]]:
        """The labels of a group by a column with listed values."""
        levels = listed_of(self.declared(item, tree), self.found(item, tree), named)
        return {at: dict(levels.labels)} if levels else {}

    def grouped(self, item: dict, tree: dict, named: set[Found]) -> dict:
        """The expression of a group, as a node shows it."""
        alias = item.get("alias", "")
        if item["class"] == "COLUMN_REF":
            found, column = self.found(item, tree), self.declared(item, tree)
            if found and column and (listed_of(column, found, named) or isinstance(column.levels, Edges)):
                return called(macro("shown", self.collection, found.table, found.column), item, alias or item["column_names"][-1])
            code = self.code_of(item, tree)
            of_code = self.found(code, tree) if code else None
            if code and of_code and not {of_code, found} & named:
                return called(macro("named", self.collection, of_code.table, of_code.column), code, alias or item["column_names"][-1])
            above, below = self.above_of(item, tree) if found not in named else (None, None)
            if above and below:
                return called(macro("above", self.collection, below.table, below.column), above, alias or item["column_names"][-1])
            return item
        if item["class"] == "FUNCTION" and item["function_name"] == "coalesce" or item.get("type") == "OPERATOR_COALESCE":
            return mapped(item, lambda part: self.grouped(part, tree, named))
        if item["class"] == "FUNCTION" and item["function_name"] in SPANS:
            limited = self.inside if is_part_of_year(item) else self.within
            return mapped(item, lambda part: limited(part, tree))
        return self.within(item, tree) if self.is_age(item, tree) else item

    def code_of(self, item: dict, tree: dict) -> dict | None:
        """The code by which the query joins a column with the names of codes, if the names of its codes are declared."""
        name = self.found(item, tree)
        for pair in equalities(tree):
            for code, key in (pair, pair[::-1]):
                levels, keyed = getattr(self.declared(code, tree), "levels", None), self.found(key, tree)
                is_declared = isinstance(levels, Codes) and NAMED in levels.levels
                if name and keyed and is_declared and keyed.table == name.table and levels.names == (name.table, name.column):
                    return code
        return None

    def above_of(self, item: dict, tree: dict) -> tuple[dict, Found] | tuple[None, None]:
        """The code by which the query joins a column with the names of codes, if it is above those of another column and groups of these are
        declared, and that column. A row is in the group of all others as often as codes among them are above its own; a node counts it once."""
        name = self.found(item, tree)
        pairs = [side for pair in equalities(tree) for side in (pair, pair[::-1])]
        for code, below in pairs:
            levels, of_code, under = getattr(self.declared(code, tree), "levels", None), self.found(code, tree), self.found(below, tree)
            if not (name and of_code and under and isinstance(levels, Codes) and levels.pairs and ANCESTORS in levels.levels):
                continue
            dataset, ancestor, descendant = levels.pairs
            if under != Found(dataset, descendant) or levels.names != (name.table, name.column):
                continue
            for above, key in pairs:
                keyed = self.found(key, tree)
                if self.found(above, tree) == Found(dataset, ancestor) and keyed and keyed.table == name.table:
                    return above, of_code
        return None, None

    def inside(self, item: dict, tree: dict) -> dict:
        """The date of a part of a year, without what is beyond its outermost edges."""
        if item["class"] == "COLUMN_REF":
            found, column = self.found(item, tree), self.declared(item, tree)
            if found and column and isinstance(column.levels, Edges):
                return called(macro("inside", self.collection, found.table, found.column), item)
            return item
        return mapped(item, lambda part: self.inside(part, tree)) if item["class"] in ("FUNCTION", "CAST") else item

    def within(self, item: dict, tree: dict) -> dict:
        """A span's expression with its columns between their outermost edges."""
        if self.is_age(item, tree):
            return called("within_age", item, item.get("alias", ""))
        if item["class"] == "COLUMN_REF":
            found, column = self.found(item, tree), self.declared(item, tree)
            if found and column and isinstance(column.levels, Edges):
                return called(macro("within", self.collection, found.table, found.column), item)
            return item
        return mapped(item, lambda part: self.within(part, tree)) if item["class"] in ("FUNCTION", "CAST") else item

    def measured(self, item: dict, tree: dict) -> dict:
        """The expression of a figure, in which measured ages are clipped."""
        if item["class"] == "FUNCTION" and is_measure(item["function_name"]):
            return mapped(item, lambda part: self.clipped(part, tree))
        return mapped(item, lambda part: self.measured(part, tree)) if item["class"] not in ("SUBQUERY", "WINDOW") else item

    def clipped(self, item: dict, tree: dict) -> dict:
        if self.is_age(item, tree):
            return called("within_age", item)
        return mapped(item, lambda part: self.clipped(part, tree)) if item["class"] == "CASE" else item

    def is_age(self, item: dict, tree: dict) -> bool:
        """Whether an expression is the year of a date minus a year of birth."""
        if item["class"] != "FUNCTION" or item["function_name"] != "-":
            return False
        left, right = (argument["expression"] for argument in item["arguments"][:2])
        is_year = left["class"] == "FUNCTION" and left["function_name"] == "date_part"
        born = self.found(right, tree) if right["class"] == "COLUMN_REF" else None
        return is_year and born is not None

    def found(self, item: dict, tree: dict) -> Found | None:
        return self.names.of(item, tree) if item["class"] == "COLUMN_REF" else None

    def declared(self, item: dict, tree: dict) -> Column | None:
        found = self.found(item, tree)
        return self.rules.column(found.table, found.column) if found else None


def running(items: list[dict], keys: tuple[int, ...]) -> dict[int, tuple[int, bool]]:
    """The running sums among columns, each with the group in whose order it is."""
    found = {}
    for at, item in enumerate(items):
        orders = item.get("orders") if item["class"] == "WINDOW" and item.get("function_name") == "sum" else None
        for by in keys if orders and len(orders) == 1 else ():
            if plain(orders[0]["expression"]) == plain(items[by]):
                found[at] = (by, orders[0]["type"] != "DESCENDING")
    return found


def listed_of(column: Column | None, found: Found | None, named: set[Found]) -> Listed | None:
    """The listed values that a group by the column has: codes that a condition names are groups themselves."""
    levels = column.levels if column else None
    if isinstance(levels, Codes):
        levels = None if found in named else levels.levels.get(LISTED)
    return levels if isinstance(levels, Listed) else None


def coded(part: dict, names: Names, tree: dict) -> set[Found]:
    """The columns whose values the condition of a grouping lists."""
    found: set[Found] = set()
    conditions = [part.get("where_clause")]
    while conditions:
        node = conditions.pop()
        if not isinstance(node, dict):
            continue
        if node.get("type") == "CONJUNCTION_AND":
            conditions += node["children"]
        column = node["left"] if node.get("type") == "COMPARE_EQUAL" else node["children"][0] if node.get("type") == "COMPARE_IN" else None
        if column and column["class"] == "COLUMN_REF":
            found |= {known for known in [names.of(column, tree)] if known}
    return found


def equalities(node: object) -> Iterator[tuple[dict, dict]]:
    """The pairs of columns that a query requires to be equal."""
    if isinstance(node, dict):
        sides = (node.get("left"), node.get("right"))
        if node.get("type") == "COMPARE_EQUAL" and all(isinstance(side, dict) and side["class"] == "COLUMN_REF" for side in sides):
            yield sides  # type: ignore[misc]
        for part in node.values():
            yield from equalities(part)
    elif isinstance(node, list):
        for part in node:
            yield from equalities(part)


def is_part_of_year(item: dict) -> bool:
    """Whether an expression is the quarter or the month of a date, which dates beyond the outermost edges do not have."""
    if item["function_name"] != "date_part":
        return False
    part = item["arguments"][0]["expression"]
    return part["class"] == "CONSTANT" and str(part.get("literal", {}).get("text")).lower() in ("quarter", "month")


def is_figure(item: dict) -> bool:
    """Whether a column is computed from aggregates."""
    return calls(item, (*COUNTS, *MEASURES), MEASURE_PREFIXES) or has_class(item, ("SUBQUERY", "WINDOW"), outside=("CASE",))


def is_measure(name: str) -> bool:
    return name in MEASURES or name.startswith(MEASURE_PREFIXES)


def calls(node: object, functions: tuple[str, ...], prefixes: tuple[str, ...] = ()) -> bool:
    """Whether an expression calls one of the functions, outside of subqueries."""
    if isinstance(node, list):
        return any(calls(part, functions, prefixes) for part in node)
    if not isinstance(node, dict) or node.get("class") == "SUBQUERY":
        return False
    name = str(node.get("function_name", "")) if node.get("class") == "FUNCTION" else ""
    is_called = name in functions or bool(prefixes) and name.startswith(prefixes)
    return is_called or any(calls(part, functions, prefixes) for part in node.values())


def has_class(node: object, classes: tuple[str, ...], outside: tuple[str, ...]) -> bool:
    if isinstance(node, list):
        return any(has_class(part, classes, outside) for part in node)
    if not isinstance(node, dict) or node.get("class") in outside:
        return False
    is_scalar = node.get("subquery_type", "SCALAR") == "SCALAR"
    return node.get("class") in classes and is_scalar or any(has_class(part, classes, outside) for part in node.values())


def with_groups(node: object, groups: list[tuple[object, dict]]) -> object:
    """An expression in which groups have the form in which they are shown, such as the order of a window."""
    if isinstance(node, list):
        return [with_groups(part, groups) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") == "WINDOW":
        return {name: swapped(part, groups) for name, part in node.items()}
    return {name: with_groups(part, groups) for name, part in node.items()}


def swapped(node: object, groups: list[tuple[object, dict]]) -> object:
    if isinstance(node, list):
        return [swapped(part, groups) for part in node]
    if not isinstance(node, dict):
        return node
    group = next((new for old, new in groups if old == plain(node)), None)
    return {**group, "alias": ""} if group else {name: swapped(part, groups) for name, part in node.items()}


def plain(node: object) -> object:
    """An expression without its name and its position in the text."""
    if isinstance(node, list):
        return [plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    return {name: plain(part) for name, part in node.items() if name not in ("alias", "query_location", "query_location_length")}


def mapped(item: dict, change: Callable[[dict], dict]) -> dict:
    """An expression whose operands are changed, but no condition within it."""
    if item["class"] in COMPARISONS and item.get("type") != "OPERATOR_COALESCE":
        return item
    changed = dict(item)
    if "arguments" in item:
        changed["arguments"] = [{**argument, "expression": change(argument["expression"])} for argument in item["arguments"]]
    if isinstance(item.get("children"), list):
        changed["children"] = [change(child) for child in item["children"]]
    if isinstance(item.get("child"), dict):
        changed["child"] = change(item["child"])
    if item["class"] == "CASE":
        changed["case_checks"] = [{**check, "then_expr": change(check["then_expr"])} for check in item["case_checks"]]
        changed["else_expr"] = change(item["else_expr"])
    if isinstance(item.get("order_bys"), dict):
        orders = [{**order, "expression": change(order["expression"])} for order in item["order_bys"]["orders"]]
        changed["order_bys"] = {**item["order_bys"], "orders": orders}
    return changed


def called(name: str, item: dict, alias: str = "") -> dict:
    """A call of a macro with one operand."""
    return {
        "class": "FUNCTION", "type": "FUNCTION", "alias": alias, "query_location_length": 0, "function_name": name, "schema": "",
        "filter": None, "order_bys": {"type": "ORDER_MODIFIER", "orders": []}, "distinct": False, "is_operator": False,
        "export_state": False, "catalog": "", "arguments": [{"name": "", "expression": {**item, "alias": ""}}],
        "qualified_name": {"path": [name]}, "is_legacy_function_call": False,
    }  # fmt: skip


def names_of(database: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> Names:
    """The names of the columns of tables; `tables` has the table of each dataset."""
    found = {}
    for dataset, table in tables.items():
        columns = database.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()
        found[dataset.lower()] = frozenset(name.lower() for (name,) in columns)
    return Names(found)
