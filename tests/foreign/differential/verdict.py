"""What became of one case: each answer is compared with that of DuckDB, and the answers with each other."""

import re
from dataclasses import dataclass, field

from answer import Answer, Refusal, Rows
from case import Case
from compare import difference
from differences import Documented
from oracle import Oracle, Shape

EQUAL, DOCUMENTED, REFUSED, DISAGREEMENT = "answered equal", "documented difference", "refused", "disagreement"
# Refusals that are part of the interface: wrong input, and what a rule forbids.
REFUSALS = (2, 3)


@dataclass
class Comparison:
    """An answer and what it was compared with."""

    way: str
    sql: str
    ours: Answer
    theirs: Answer
    verdict: str = DISAGREEMENT
    # What kind of disagreement it is, or which difference is documented.
    kind: str = ""


@dataclass
class Result:
    """A case with all comparisons, and how the answers disagree with each other."""

    case: Case
    comparisons: list[Comparison] = field(default_factory=list)
    between: str = ""

    @property
    def disagrees(self) -> bool:
        """Whether anything has to be explained."""
        return bool(self.between) or any(comparison.verdict == DISAGREEMENT for comparison in self.comparisons)


def judge(case: Case, way: str, ours: Answer, oracle: Oracle, documented: Documented) -> Comparison:
    """Compares one answer with that of DuckDB."""
    theirs = oracle.query(case.oracle_sql(way))
    found = Comparison(way, case.sql(way), ours, theirs)
    if isinstance(ours, Refusal):
        found.verdict, found.kind = refused(case, way, ours, theirs, documented)
    elif case.refuse:
        found.kind = f"answered, where `{case.refuse}` is right"
    elif isinstance(theirs, Refusal):
        found.verdict, found.kind = unless_documented(case, "answer", "answered, where DuckDB refuses: " + plain(theirs.detail), documented)
    else:
        wrong = rows_differ(case, way, ours, theirs, oracle)
        if wrong is None:
            found.verdict = EQUAL
        else:
            found.verdict, found.kind = unless_documented(case, "value", f"differs in {wrong}", documented)
    return found


def refused(case: Case, way: str, ours: Refusal, theirs: Answer, documented: Documented) -> tuple[str, str]:
    """What a refusal means."""
    kind = f"refused with `{ours.code}`: {plain(ours.detail)}"
    if ours.reasons:
        kind += f" - {plain(ours.reasons[0])}"
    is_proper = ours.exit_code in REFUSALS
    if case.refuse:
        right = ours.code == case.refuse and is_proper
        return (REFUSED, "as expected") if right else (DISAGREEMENT, f"`{case.refuse}` is right: {kind}")
    if isinstance(theirs, Refusal) and theirs.code == "usage":
        return DISAGREEMENT, f"the case is wrong: {plain(theirs.detail)}"
    if isinstance(theirs, Refusal):
        return (EQUAL, "both refuse") if ours.exit_code in REFUSALS else (DISAGREEMENT, kind)
    return unless_documented(case, "refusal", kind, documented)


def unless_documented(case: Case, applies: str, kind: str, documented: Documented) -> tuple[str, str]:
    known = documented.difference(case, applies)
    return (DOCUMENTED, known.reason) if known else (DISAGREEMENT, kind)


def rows_differ(case: Case, way: str, ours: Rows, theirs: Rows, oracle: Oracle) -> str | None:
    """What differs between two answers, as far as the case determines them."""
    if case.rows == "any":
        return None if len(ours.rows) == len(theirs.rows) else "number of rows"
    shape = oracle.shape(case.oracle_sql(way), theirs)
    every = tuple(range(len(theirs.names)))
    shape = Shape(
        (None,) * len(every) if case.names == "any" else shape.names,
        every if case.order == "total" else shape.order,
        shape.functions,
    )
    return difference(ours, theirs, shape, case.text)


def between(case: Case, comparisons: list[Comparison]) -> str:
    """How the answers disagree with each other: one way refuses and another does not, or with another code, and no difference explains it."""
    is_documented = any(found.verdict == DOCUMENTED for found in comparisons)
    if case.refuse or is_documented or len(comparisons) < 2:
        return ""
    answered = [found for found in comparisons if found.verdict != REFUSED]
    outcomes = {found.way: outcome(found.ours) for found in answered}
    expected = {found.way: isinstance(found.theirs, Refusal) for found in answered}
    if len(set(outcomes.values())) <= 1 or len(set(expected.values())) > 1:
        return same_rows_twice(case, comparisons)
    return "ways differ: " + ", ".join(f"{way} {found}" for way, found in outcomes.items())


def outcome(answer: Answer) -> str:
    if isinstance(answer, Rows):
        return "answers"
    return f"`{answer.code}`" + (f" by `{answer.rule}`" if answer.rule else "")


def same_rows_twice(case: Case, comparisons: list[Comparison]) -> str:
    """The ways `own` and `one` query the same rows."""
    by_way = {found.way: found.ours for found in comparisons}
    own, one = by_way.get("own"), by_way.get("one")
    if case.rows == "any" or not (isinstance(own, Rows) and isinstance(one, Rows)):
        return ""
    names = (None,) * len(own.names) if case.names == "any" else own.names
    wrong = difference(own, one, Shape(names, None), case.text)
    return f"own and one differ in {wrong}" if wrong else ""


def plain(text: str) -> str:
    """A message without the names and numbers of one query, so that messages of one kind are equal."""
    text = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "…", text.replace("\n", " "))
    text = re.sub(r"\b(alfa|beta|gamma|delta|omega)\b", "HOLDER", text)
    return re.sub(r"\d+", "9", text)[:160]
