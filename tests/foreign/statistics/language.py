"""The forms of the language below `records`, and which of them the text of a query shows."""

import pathlib
import re
import tomllib

from query import Query

DESIGN, ADDED = "design", "queries"
# Forms that a text shows by themselves: a query without the form does not match, and one with it does.
SHOWN = {
    r"\bFILTER \(": {"filter"},
    r"\bEXISTS \(|\bIN \(SELECT (person_id|patient)\b": {"semi-join", "anti-join", "test-groups", "event-pairs"},
    r"\bOVER \(": {"window-above", "first-by-window", "lag", "ntile"},
    r"\bLEFT JOIN\b": {"left-join-events"},
    r"\bUNION ALL\b": {"union-above"},
    r"\bROLLUP\b": {"grouping-sets"},
    r"\bcount\(DISTINCT (\w+\.)?\w+\)": {"distinct-subject"},
    r"\bcount\(DISTINCT CASE\b": {"filtered-subjects"},
    r"\bSELECT DISTINCT\b": {"distinct-subjects"},
    r"\b(stddev|var_samp|sum\((?!count)|avg)\b": {"moments", "flag-sum", "flag-mean", "subject-measure", "days-measure", "case-measure"},
    r"\b(corr|regr_\w+)\(": {"corr"},
    r"\b(median|percentile_cont|approx_percentile_cont)\(": {"quantile"},
    r"\bHAVING\b": {"having", "event-count"},
    r"\bORDER BY \w+( DESC)? LIMIT\b": {"order-limit"},
    r"\bfloor\(": {"floor-band"},
    r"\b(min|max)\((age|chol|n)\)": {"extremes"},
    r"\bcurrent_date\b": {"current-date"},
    r"\bcoalesce\(": {"coalesce-groups"},
    r"_source_value\b": {"source-value"},
}


class Language:
    """The forms, and since when each is in the language."""

    def __init__(self, path: pathlib.Path) -> None:
        self.forms: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))

    @property
    def added(self) -> frozenset[str]:
        """The forms that were added because queries need them."""
        return self.since(ADDED)

    def since(self, when: str) -> frozenset[str]:
        return frozenset(name for name, form in self.forms.items() if form.get("since", "") == when)

    def problems(self, query: Query) -> list[str]:
        """What the classification of a query has wrong."""
        designed = self.since(DESIGN)
        found = [f"`{name}` is not a form of the design" for name in query.needs if name not in designed]
        found += [f"`{name}` is not a form that the design lacked" for name in query.lacks if name in designed or name not in self.forms]
        stated = {*query.needs, *query.lacks}
        for expression, names in SHOWN.items():
            if re.search(expression, query.text) and not names & stated:
                found.append(f"{expression} occurs without {' or '.join(sorted(names))}")
            if len(names) == 1 and names <= stated and not re.search(expression, query.text):
                found += [f"`{name}` is stated without {expression}" for name in names - {"distinct-subject", "floor-band", "order-limit"}]
        return found
