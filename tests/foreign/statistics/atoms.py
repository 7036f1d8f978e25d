"""How atoms are shown in answers, and expressions of DuckDB for them.

The labels are those of `protocol/src/collection/levels/edge_labels.rs`, written again from its documentation and its golden texts.
"""

import datetime

from template import ANCESTORS, LISTED, NAMED, Codes, Column, Edges, Listed, Rules, Value

# The ages between which edges are, and what measured ages are clipped to.
AGES = (0, 90)


def labels(edges: tuple[Value, ...]) -> list[str]:
    """The label of each atom, from the one below the first edge on."""
    ends: list[Value | None] = [None, *edges, None]
    return [label(low, high) for low, high in zip(ends, ends[1:])]


def label(low: Value | None, high: Value | None) -> str:
    """The label of the values from `low` on and below `high`."""
    one = high if low is None else low
    if isinstance(one, datetime.date):
        return of_days(low, high)  # type: ignore[arg-type]
    return of_numbers(low, high) if isinstance(one, float) else of_wholes(low, high)  # type: ignore[arg-type]


def of_wholes(low: int | None, high: int | None) -> str:
    if low is None:
        return f"<{high}"
    if high is None:
        return f"{low}+"
    last = high - 1
    return str(low) if low == last else f"{low}..{last}" if low < 0 else f"{low}-{last}"


def of_numbers(low: float | None, high: float | None) -> str:
    if low is None:
        return f"<{number(high)}"
    return f">={number(low)}" if high is None else f"[{number(low)},{number(high)})"


def number(value: float | None) -> str:
    """A number as the node writes it: without `+` and leading zeros in its exponent."""
    text = repr(value)
    if "e" not in text:
        return text
    digits, exponent = text.split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def of_days(low: datetime.date | None, high: datetime.date | None) -> str:
    first, following = year(low), year(high)
    if low is None:
        return f"<{following:04}" if following else f"<{high}"
    if high is None:
        return f"{first:04}+" if first else f">={low}"
    if first and following:
        return f"{first:04}" if first == following - 1 else f"{first:04}-{following - 1:04}"
    last = high - datetime.timedelta(days=1)
    return str(low) if low == last else f"{low}..{last}"


def year(day: datetime.date | None) -> int | None:
    """The year that begins on a day."""
    return day.year if day and (day.month, day.day) == (1, 1) else None


def shown(column: Column) -> str | None:
    """An expression for the group of `x` in a group by the column; `None` if it is the value itself."""
    levels = column.levels
    if isinstance(levels, Codes):
        levels = levels.levels.get(LISTED)
    if isinstance(levels, Edges):
        begins = levels.of_groups
        texts = ", ".join(map(literal, labels(begins)))
        return f"CASE WHEN x IS NOT NULL THEN ([{texts}])[1 + len(list_filter([{listing(begins)}], lambda edge: edge <= x))] END"
    if isinstance(levels, Listed):
        cases = " ".join(f"WHEN {literal(value)} THEN {literal(text)}" for value, text in levels.labels.items())
        return f"CASE WHEN x IS NOT NULL THEN CASE CAST(x AS VARCHAR) {cases} ELSE {literal(levels.rest)} END END"
    return None


def named(column: Column) -> str | None:
    """An expression for the group of the code `x` in a group by its name; `None` if no names are declared."""
    levels = column.levels.levels.get(NAMED) if isinstance(column.levels, Codes) else None
    return shown(Column(levels)) if levels else None


def above(column: Column) -> str | None:
    """An expression for the group of `x`, a code above those of the column, in a group by its name; `None` if no such groups are declared."""
    levels = column.levels.levels.get(ANCESTORS) if isinstance(column.levels, Codes) else None
    return shown(Column(levels)) if levels else None


def listing(values: tuple[Value, ...]) -> str:
    return ", ".join(literal(value) for value in values)


def within(column: Column) -> str | None:
    """An expression for `x` between the outermost edges of the column: groups by years, and by bands, distinguish no more."""
    if not isinstance(column.levels, Edges):
        return None
    low, high = column.levels.at[0], column.levels.at[-1]
    below = low - datetime.timedelta(days=1) if isinstance(low, datetime.date) else low - 1  # type: ignore[operator]
    return between(literal(below), literal(high))


def inside(column: Column) -> str | None:
    """An expression for `x` between the outermost edges of a column of dates, and NULL beyond them: days there have no quarter or month."""
    if not isinstance(column.levels, Edges) or not isinstance(column.levels.at[0], datetime.date):
        return None
    return f"CASE WHEN x >= {literal(column.levels.at[0])} AND x < {literal(column.levels.at[-1])} THEN x END"


def between(low: str, high: str) -> str:
    return f"CASE WHEN x < {low} THEN {low} WHEN x > {high} THEN {high} ELSE x END"


def literal(value: Value) -> str:
    """A literal of DuckDB."""
    match value:
        case datetime.date():
            return f"DATE '{value.isoformat()}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            return repr(value)


def macros(collection: str, rules: Rules) -> dict[str, str]:
    """The macros of a collection, by name: `shown_…`, `named_…`, `above_…`, `within_…` and `inside_…` of each column that needs them."""
    found = {"within_age": between(*map(str, AGES))}
    for dataset, declared in rules.datasets.items():
        for name, column in declared.columns.items():
            kinds = {"shown": shown, "named": named, "above": above, "within": within, "inside": inside}
            for kind, expression in ((kind, of(column)) for kind, of in kinds.items()):
                if expression:
                    found[macro(kind, collection, dataset, name)] = expression
    return found


def macro(kind: str, collection: str, dataset: str, column: str) -> str:
    return f"{kind}_{collection}_{dataset}_{column}".lower()
