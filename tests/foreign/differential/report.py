"""What is printed: the disagreements by kind, each with its shortest query, the documented differences, and a table by category."""

from collections import Counter, defaultdict
from collections.abc import Callable

from answer import Refusal, Rows
from answer import lines as answer_lines
from compare import unmatched
from differences import Documented
from verdict import DISAGREEMENT, DOCUMENTED, EQUAL, REFUSED, Comparison, Result

VERDICTS = (EQUAL, DOCUMENTED, REFUSED, DISAGREEMENT)


def text(results: list[Result], documented: Documented, every: bool, shorter: Callable[[Result, str], Result]) -> str:
    """The report; with `every`, each disagreement and not only the shortest of its kind, which `shorter` makes shorter."""
    sections = [disagreements(results, every, shorter), differences(results, documented), categories(results), conclusion(results)]
    return "\n\n".join(section for section in sections if section)


def disagreements(results: list[Result], every: bool, shorter: Callable[[Result, str], Result]) -> str:
    """The disagreements, the most frequent kind first."""
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        for kind in kinds_of(result):
            kinds[kind].append(result)
    if not kinds:
        return ""
    lines = [f"# {len(kinds)} kinds of disagreements"]
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        found.sort(key=lambda result: len(result.case.text))
        categories = ", ".join(sorted({result.case.category for result in found}))
        lines.append(f"\n## {len(found)} cases: {kind}\n\nCategories: {categories}.")
        lines += [shown(result) for result in (found if every else [shorter(found[0], kind)])]
    return "\n".join(lines)


def kinds_of(result: Result) -> set[str]:
    """The kinds of disagreements of a case; the ways that share one are named together."""
    ways = defaultdict(list)
    for comparison in result.comparisons:
        if comparison.verdict == DISAGREEMENT:
            ways[comparison.kind].append(comparison.way)
    kinds = {f"{kind} ({', '.join(found)})" for kind, found in ways.items()}
    return kinds | ({result.between} if result.between else set())


def shown(result: Result) -> str:
    """A case with all its answers."""
    case = result.case
    lines = [f"\n{case.source} case {case.number}, {case.category}:", "```sql", case.text, "```"]
    if case.oracle:
        lines += ["For DuckDB:", "```sql", case.oracle, "```"]
    answers: dict[str, list[str]] = defaultdict(list)
    for found in result.comparisons:
        answers[both(found)].append(f"{found.way} ({found.verdict})")
    for answer, ways in answers.items():
        lines += [f"{', '.join(ways)}:", "```", answer, "```"]
    return "\n".join(lines)


def both(found: Comparison) -> str:
    """Our answer and that of DuckDB; of two answers with rows, those that the other one does not have."""
    ours, theirs = found.ours, found.theirs
    if found.verdict in (EQUAL, REFUSED):
        return str(ours).splitlines()[0]
    if not (isinstance(ours, Rows) and isinstance(theirs, Rows)) or len(ours.names) != len(theirs.names):
        return f"{ours}\nDuckDB: {theirs}"
    only_ours, only_theirs = unmatched(ours.rows, theirs.rows)
    shown = [f"{len(ours.rows)} rows of ({', '.join(ours.names)}); DuckDB: {len(theirs.rows)} rows of ({', '.join(theirs.names)})"]
    shown += [f"{len(only_ours)} rows that only we have:", *answer_lines(only_ours)] if only_ours else []
    shown += [f"{len(only_theirs)} rows that only DuckDB has:", *answer_lines(only_theirs)] if only_theirs else []
    return "\n".join(shown)


def differences(results: list[Result], documented: Documented) -> str:
    """How often each documented difference occurred: between answers, and in how the query is written."""
    counts = Counter(found.kind for result in results for found in result.comparisons if found.verdict == DOCUMENTED)
    spellings = Counter(spelling for result in results if (spelling := documented.spelling(result.case)))
    lines = [f"{count:6} answers: {reason}" for reason, count in counts.most_common()]
    lines += [f"{count:6} queries: {spelling.ours}, for DuckDB {spelling.theirs}" for spelling, count in spellings.most_common()]
    return "\n".join(["# Documented differences", "", *lines]) if lines else ""


def categories(results: list[Result]) -> str:
    """The answers by category and verdict."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        for found in result.comparisons:
            counts[result.case.source, result.case.category][found.verdict] += 1
    lines = ["# Answers by category", "", f"{'':26}" + "".join(f"{verdict:>22}" for verdict in VERDICTS)]
    for (source, category), found in sorted(counts.items()):
        lines.append(f"{source:10} {category:15}" + "".join(f"{found[verdict] or '':>22}" for verdict in VERDICTS))
    total = Counter(found.verdict for result in results for found in result.comparisons)
    lines.append(f"{'in total':26}" + "".join(f"{total[verdict]:>22}" for verdict in VERDICTS))
    return "\n".join(lines)


def conclusion(results: list[Result]) -> str:
    """One line: how many cases, and how many have to be explained."""
    wrong = sum(result.disagrees for result in results)
    errors = sum(isinstance(found.ours, Refusal) and found.ours.exit_code not in (2, 3) for result in results for found in result.comparisons)
    answers = sum(len(result.comparisons) for result in results)
    return f"{len(results)} queries, {answers} answers: {wrong} queries with a disagreement, {errors} answers with an exit code other than 2 or 3"
