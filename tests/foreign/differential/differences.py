"""The documented differences between the dialects, and what is not answered: the file `differences.toml`."""

import pathlib
import re
import tomllib
from dataclasses import dataclass, field

from case import Case


@dataclass(frozen=True)
class Difference:
    """Queries whose answers may differ from those of DuckDB."""

    # A regular expression that is searched in the query, without regard to case.
    pattern: str
    # `value` if the answers may differ, `refusal` if ours may be a refusal, `answer` if theirs may be one.
    applies: str
    reason: str
    rule: str
    # Whether it matters which names are in quotes.
    quotes: bool = True

    def covers(self, case: Case, kind: str) -> bool:
        """Whether a disagreement of this kind is documented."""
        text = case.text if self.quotes else case.text.replace('"', "")
        return self.applies == kind and re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


@dataclass(frozen=True)
class Spelling:
    """What both answer alike, and DuckDB writes in another way: cases with a text of their own for DuckDB."""

    # A regular expression that is searched in our text, without regard to case.
    pattern: str
    ours: str
    theirs: str
    rule: str

    def covers(self, case: Case) -> bool:
        """Whether the case uses it."""
        return bool(case.oracle) and re.search(self.pattern, case.text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Setting:
    """A setting of DuckDB with which its answers follow our rule."""

    name: str
    value: str | bool | int
    rule: str


@dataclass(frozen=True)
class Documented:
    """All of them."""

    differences: list[Difference]
    spellings: list[Spelling] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)

    def difference(self, case: Case, kind: str) -> Difference | None:
        """The first difference that covers the disagreement."""
        return next((known for known in self.differences if known.covers(case, kind)), None)

    def spelling(self, case: Case) -> Spelling | None:
        """The first spelling that the case uses."""
        return next((known for known in self.spellings if known.covers(case)), None)


def read(path: pathlib.Path) -> Documented:
    """The file."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    kinds = {"difference": Difference, "spelling": Spelling, "setting": Setting}
    return Documented(*([kind(**row) for row in document.get(name, [])] for name, kind in kinds.items()))
