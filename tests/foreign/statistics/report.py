"""What is printed: a line for each query, and the tables that steer the language."""

from collections import Counter
from dataclasses import dataclass, field

from language import ADDED, DESIGN, Language
from query import LOWERED, VERDICTS, Query

SMALL = 10
OFF_EDGE = "off-edge"


@dataclass
class Result:
    """What DuckDB answers to a query."""

    query: Query
    rows: int = 0
    # The number of subjects in each group.
    groups: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Some comparison is not at an edge that an import would propose.
    is_undecided: bool = False

    def verdict(self, added: frozenset[str] = frozenset()) -> str:
        """What becomes of the query if the forms `added` are in the language too."""
        return self.query.verdict(added - ({OFF_EDGE} if self.is_undecided else set()))

    @property
    def small(self) -> int:
        return sum(size < SMALL for size in self.groups)


def text(results: list[Result], language: Language) -> str:
    """The whole report."""
    return "\n\n".join([lines(results), verdicts(results, language), forms(results, language), conclusion(results, language)])


def lines(results: list[Result]) -> str:
    """A line for each query, and one for each problem."""
    shown = [f"{'':>4} {'collection':14}{'design':12}{'rows':>6}{'smallest':>10}{f'below {SMALL}':>10}  purpose"]
    for result in results:
        query = result.query
        smallest = min(result.groups, default=0)
        figures = f"{result.rows:>6}{smallest:>10}{f'{result.small}/{len(result.groups)}':>10}"
        shown.append(f"{query.number:>4} {query.collection:14}{result.verdict():12}{figures}  {query.purpose}")
        shown += [f"     PROBLEM: {problem}" for problem in result.problems]
    return "\n".join(shown)


def verdicts(results: list[Result], language: Language) -> str:
    """How many queries are lowered, by collection, before and after the forms were added that queries need."""
    shown = ["# Queries by verdict: with the design's forms, and with those that were added", ""]
    shown.append(f"{'':16}{'queries':>8}" + "".join(f"{verdict:>14}" for verdict in [*VERDICTS, *VERDICTS]))
    collections = list(dict.fromkeys(result.query.collection for result in results))
    for name in [*collections, "in total"]:
        queries = [result for result in results if name in (result.query.collection, "in total")]
        before = Counter(result.verdict() for result in queries)
        after = Counter(result.verdict(language.added) for result in queries)
        counts = [found[verdict] for found in (before, after) for verdict in VERDICTS]
        shown.append(f"{name:16}{len(queries):>8}" + "".join(f"{count or '':>14}" for count in counts))
    return "\n".join(shown)


def forms(results: list[Result], language: Language) -> str:
    """How many queries need each form, and for how many it is the only one that lacks."""
    needed = Counter(form for result in results for form in (*result.query.needs, *result.query.lacks))
    alone = Counter(result.query.lacks[0] for result in results if len(result.query.lacks) == 1)
    shown = []
    for title, names in {
        "Forms of the design": language.since(DESIGN),
        "Forms that the design lacked, added": language.since(ADDED),
        "Forms that are refused": frozenset(language.forms) - language.since(DESIGN) - language.since(ADDED),
    }.items():
        shown += [f"# {title}", "", f"{'queries':>8}{'alone':>7}"]
        ordered = sorted(names, key=lambda name: (-needed[name], name))
        shown += [f"{needed[name]:>8}{alone[name] or '':>7}  {name:20} {language.forms[name]['text']}" for name in ordered]
        shown.append("")
    return "\n".join(shown).rstrip()


def conclusion(results: list[Result], language: Language) -> str:
    """One line."""
    wrong = sum(bool(result.problems) for result in results)
    before = sum(not result.query.lacks for result in results)
    after = sum(result.verdict(language.added) == LOWERED for result in results)
    return f"{len(results)} queries: {before} are lowered by the design's forms, {after} with those that were added; {wrong} with a problem"
