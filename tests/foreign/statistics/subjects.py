"""How many subjects are in each group of an answer."""

import json

import duckdb


def in_groups(database: duckdb.DuckDBPyConnection, sql: str, subject: str) -> list[int]:
    """The number of subjects in each group of the outermost aggregate, before `HAVING` and `LIMIT`."""
    tree = parsed(database, sql)
    root = tree["statements"][0]["node"]
    counted = parsed(database, f"SELECT {'count(*)' if subject == '*' else f'count(DISTINCT {subject})'} AS subjects")
    added = counted["statements"][0]["node"]["select_list"]
    for node in root.get("children") or [root]:
        # Behind the columns of the query, so that `GROUP BY 1` means the same.
        node["select_list"] += added
        node["having"] = None
        node["modifiers"] = []
    text = database.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()[0][0]
    return [row[-1] for row in database.execute(text).fetchall()]


def parsed(database: duckdb.DuckDBPyConnection, sql: str) -> dict:
    """The syntax tree of a query."""
    tree = json.loads(database.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0])
    if tree["error"]:
        raise ValueError(tree["error_message"])
    return tree
