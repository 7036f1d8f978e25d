"""The cases: a query, where it is asked, and what its answer is compared with.

`queries.sql` has one case after another. A line that begins with `--?` begins one: its category, then options. Further lines are the query,
up to the next such line, comments included. Tables of the schema `site` are those of one institution, and those of the consortium.

    --? filter order=total
    SELECT pid FROM site.people WHERE n > 3 ORDER BY pid

Lines that begin with `--=` are the text for DuckDB, if it is another one. Lines that begin with `--#` are about the cases below.

Options: `ways=own,one,all` (all by default; `outside` for a query that names its institutions itself), `holder=NAME` (whose table the
ways `own` and `one` use; all in turn by default), `order=total` (the order of all rows is determined, although it is by something that
is not in the answer), `rows=any` (which rows are in the answer is not determined), `names=any`, `partial=yes` (an
answer to which a member contributes less is accepted), `refuse=CODE` (it has to be refused), `needs=shared` (it is left out without the
shared tables).
"""

import pathlib
import re
from dataclasses import dataclass, field, fields

from tables import HOLDERS

WAYS = ("own", "one", "all")


@dataclass(frozen=True)
class Case:
    """A query and what is expected of its answers."""

    number: int
    category: str
    text: str
    oracle: str = ""
    ways: tuple[str, ...] = WAYS
    holder: str = ""
    order: str = ""
    rows: str = ""
    names: str = ""
    partial: str = ""
    refuse: str = ""
    needs: str = ""
    source: str = field(default="written", compare=False)

    @property
    def at(self) -> str:
        """The holder of the ways `own` and `one`."""
        return self.holder or HOLDERS[self.number % len(HOLDERS)]

    def schema(self, way: str) -> str:
        """The schema that `site` stands for."""
        return "consortium" if way == "all" else self.at

    def sql(self, way: str) -> str:
        """The query as it is asked."""
        return at_schema(self.text, self.schema(way))

    def oracle_sql(self, way: str) -> str:
        """The query for DuckDB."""
        return at_schema(self.oracle or self.text, self.schema(way))


def at_schema(sql: str, schema: str) -> str:
    """The query with `site` replaced by a schema."""
    return re.sub(r"\bsite\.", f"{schema}.", sql)


def read(path: pathlib.Path) -> list[Case]:
    """The cases of a file."""
    cases: list[Case] = []
    head, text, oracle = "", [], []
    for line in [*path.read_text(encoding="utf-8").splitlines(), "--? end"]:
        if line.startswith("--?"):
            if head:
                cases.append(case(len(cases), head, "\n".join(text).strip(), "\n".join(oracle).strip()))
            head, text, oracle = line.removeprefix("--?"), [], []
        elif line.startswith("--="):
            oracle.append(line.removeprefix("--="))
        elif not line.startswith("--#"):
            text.append(line)
    return cases


def case(number: int, head: str, text: str, oracle: str) -> Case:
    """The case of a line `--?` and the lines below it."""
    category, *words = head.split()
    options: dict[str, object] = dict(word.split("=", 1) for word in words)
    unknown = options.keys() - {option.name for option in fields(Case)}
    if unknown or not text:
        raise ValueError(f"`--?{head}`: {'there is no query' if not text else f'unknown options {unknown}'}")
    if "ways" in options:
        options["ways"] = tuple(str(options["ways"]).split(","))
    return Case(number, category, text, oracle, **options)  # type: ignore[arg-type]
