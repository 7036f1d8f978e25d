"""The queries: what each is for, which collection it is over, what it needs of the language below `records`, and its nearest form.

The files of `queries` have one query after another. A line that begins with `--?` begins one: its number, its collection, and `subject=`
with the expression that names the subject of a row of the outermost aggregate; `*` if each row is a subject. Then:

    --: the purpose in one line
    --@ the forms of `forms.toml` that it consists of and that the design has from the start
    --! those that the design lacked when the query was written
    --+ the nearest form without them, as SQL or in words; none if the design has none

Further lines are the query, up to the next `--?`. Lines that begin with `--#` are about the queries below.
"""

import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

HEAD = re.compile(r"(?P<number>\d+) (?P<collection>\w+) subject=(?P<subject>\S+)")
LOWERED, OTHER_FORM, NOT_LOWERED = "lowered", "other form", "not"
VERDICTS = (LOWERED, OTHER_FORM, NOT_LOWERED)
# How long a query takes over collections with many rows or declarations, in those over the others.
EFFORT = {"omop": 4, "synthea": 2}


@dataclass(frozen=True)
class Query:
    """One query of an analyst."""

    number: int
    collection: str
    subject: str
    purpose: str
    text: str
    needs: tuple[str, ...]
    lacks: tuple[str, ...]
    nearest: str

    @property
    def nearest_sql(self) -> str:
        """The nearest form if it is stated as SQL."""
        return self.nearest if self.nearest.startswith(("SELECT ", "WITH ")) else ""

    @property
    def forms(self) -> frozenset[str]:
        """All forms that it consists of."""
        return frozenset((*self.needs, *self.lacks))

    def verdict(self, added: frozenset[str] = frozenset()) -> str:
        """What becomes of the query if the forms `added` are in the language too."""
        if not set(self.lacks) - added:
            return LOWERED
        return OTHER_FORM if self.nearest else NOT_LOWERED


def read(folder: pathlib.Path) -> list[Query]:
    """The queries of all files, in the order of their numbers, which are 1, 2, 3 and so on."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))]
    queries = sorted((query(text) for file in texts for text in file.split("\n--? ")[1:]), key=lambda found: found.number)
    if [found.number for found in queries] != list(range(1, len(queries) + 1)):
        raise ValueError("the numbers of the queries are not 1, 2, 3 and so on")
    return queries


def selection(queries: Sequence[Query], is_answered: Callable[[Query], bool]) -> Iterator[Query]:
    """Few of the queries, with each form at least once in one that is answered, if there is one: always the query with the most forms that
    lack, by its effort. `is_answered` is called when the next one is requested."""
    rest = list(queries)
    left = {form for one in queries for form in one.forms}
    while rest:
        best = max(rest, key=lambda one: (len(left & one.forms) / EFFORT.get(one.collection, 1), -one.number))
        if not left & best.forms:
            return
        yield best
        rest.remove(best)
        left -= best.forms if is_answered(best) else frozenset()


def query(text: str) -> Query:
    """The query of the text behind `--?`."""
    head, *lines = text.splitlines()
    matched = HEAD.fullmatch(head)
    noted = {sign: " ".join(line[4:] for line in lines if line.startswith(f"--{sign} ")) for sign in ":@!+"}
    sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
    if not (matched and sql and noted[":"] and noted["@"]):
        raise ValueError(f"`--? {head}` is incomplete")
    return Query(
        int(matched["number"]), matched["collection"], matched["subject"], noted[":"], sql, forms(noted["@"]), forms(noted["!"]), noted["+"]
    )


def forms(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())
