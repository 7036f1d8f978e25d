"""Shorter queries with the same disagreement: tokens are left out as long as DuckDB can read the rest and the kind stays."""

import dataclasses
import re
from collections.abc import Callable

from case import Case
from verdict import Result
from report import kinds_of

TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[\w.äöüß]+|\s+|<>|<=|>=|\|\||//|.", re.DOTALL)
# Enough to make a query of 60 tokens half as long; each try takes a tenth of a second for each way.
MOST_TRIES = 80


def shortest(result: Result, kind: str, ask: Callable[[Case], Result]) -> Result:
    """A shorter case with the same kind of disagreement. A case that has a text of its own for DuckDB stays as it is."""
    ways = tuple(found.way for found in result.comparisons if found.way in kind.rpartition(" (")[2])
    if result.case.oracle or result.case.source == "written":
        return result
    whole, tries = result.case, 0
    tokens = [token for token in TOKEN.findall(result.case.text) if not token.isspace()]
    size = len(tokens) // 2
    while size >= 1 and tries < MOST_TRIES:
        start, found = 0, False
        while start < len(tokens) and tries < MOST_TRIES:
            rest = tokens[:start] + tokens[start + size :]
            if rest.count("(") == rest.count(")"):
                tries += 1
                candidate = ask(dataclasses.replace(whole, text=" ".join(rest), ways=ways or whole.ways))
                if kind in kinds_of(candidate):
                    result, tokens, found = candidate, rest, True
                    continue
            start += 1
        size = size if found and size == 1 else size // 2
    return result
