"""Which column of which table a name in a query is, in the syntax trees of DuckDB."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# The functions of one subject's dates that an event of a derived table is found by.
EXTREMES = ("min", "max")


@dataclass(frozen=True)
class Found:
    """A column of a table."""

    table: str
    column: str


class Names:
    """The columns of the tables of a collection: of each table, by its name in lower case, those of its columns."""

    def __init__(self, tables: Mapping[str, frozenset[str]]) -> None:
        self.tables = tables

    def of(self, node: dict, tree: dict) -> Found | None:
        """The column that a reference within the query `tree` is, or that a column of a derived table is, or is the first or last of."""
        names = [name.lower() for name in node["column_names"]]
        qualifier, column = names[-2] if len(names) > 1 else "", names[-1]
        for select in selects(tree):
            for alias, source in sources(select, tree):
                found = self.in_source(source, column, tree) if qualifier in ("", alias) else None
                if found:
                    return found
        return None

    def in_source(self, source: str | dict, column: str, tree: dict) -> Found | None:
        if isinstance(source, str):
            # Names with a period exist in files only.
            return Found(source, column.replace(".", "_")) if column in self.tables.get(source, ()) else None
        for item in select_list(source):
            if name_of(item) == column:
                while item["class"] == "FUNCTION" and item["function_name"] in EXTREMES:
                    item = item["arguments"][0]["expression"]
                return self.of(item, source) if item["class"] == "COLUMN_REF" else None
        return None


def name_of(item: dict) -> str:
    """The name of a column of a select list."""
    return (item.get("alias") or item.get("column_names", [""])[-1]).lower()


def selects(node: object) -> Iterator[dict]:
    """The queries of a tree, the outermost first."""
    if isinstance(node, dict):
        if node.get("type") == "SELECT_NODE":
            yield node
        for part in node.values():
            yield from selects(part)
    elif isinstance(node, list):
        for part in node:
            yield from selects(part)


def sources(select: dict, tree: dict) -> Iterator[tuple[str, str | dict]]:
    """What a query reads: a table by its name, or another query; each with its alias."""
    yield from in_from(select.get("from_table"), common_tables(tree))


def in_from(node: object, commons: Mapping[str, dict]) -> Iterator[tuple[str, str | dict]]:
    if not isinstance(node, dict):
        return
    if node.get("type") == "BASE_TABLE":
        name = node["table_name"].lower()
        yield (node["alias"] or name).lower(), (commons[name] if name in commons else name)
    elif node.get("type") == "SUBQUERY":
        yield node["alias"].lower(), inner(node["subquery"])
    else:
        for part in ("left", "right"):
            yield from in_from(node.get(part), commons)


def common_tables(node: object) -> dict[str, dict]:
    """The common tables of a tree, by name."""
    found: dict[str, dict] = {}
    for select in selects(node):
        for entry in select.get("cte_map", {}).get("map", []):
            found[entry["key"].lower()] = inner(entry["value"])
    return found


def inner(entry: dict) -> dict:
    """The query of a subquery or a common table, whose key differs by version."""
    query = entry.get("query_node") or entry.get("query") or entry
    return query.get("node", query)


def select_list(query: dict) -> list[dict]:
    """The columns of a query; of a set operation, those of its first part."""
    while query["type"] != "SELECT_NODE":
        query = query.get("child") or query.get("left") or query["children"][0]
    return query["select_list"]
