"""The list of mutants, tests/mutants.toml, and what its entries mean."""

import hashlib
import re
import sys
import tomllib
from dataclasses import dataclass

# The environment variable with the number of the mutant that a process runs with.
VARIABLE = "CONCORDAT_MUTANT"

KILLED = "killed"
SURVIVED = "SURVIVED"
BROKEN = "BROKEN"
TOO_LONG = "TOO LONG"
# The test fails without its mutant too, or there is none of this name: it would prove nothing.
TEST_FAILS = "TEST FAILS"

SYSTEM_TESTS = "concordat-tests"


class Mismatch(Exception):
    """A mutant does not match the code."""


@dataclass(frozen=True)
class Mutant:
    number: int  # its place in the list, from 1
    entry: dict

    @property
    def file(self):
        return self.entry["file"]

    @property
    def test(self):
        return self.entry["test"]

    @property
    def package(self):
        return self.entry["package"]

    @property
    def edits(self):
        """Its replacements as pairs (find, replace), the additional one last."""
        more = [self.entry["also"]] if "also" in self.entry else []
        return [(edit["find"], edit["replace"]) for edit in [self.entry, *more]]

    def apply(self, text):
        """The text with its replacements, or a `Mismatch` that says which one does not fit."""
        for find, replace in self.edits:
            if text.count(find) != 1:
                raise Mismatch(f"`{find}` occurs {text.count(find)} times in {self.file}")
            text = text.replace(find, replace)
        return text

    def key(self, root):
        """What an outcome depends on: the mutant and its file, without the rest of the code."""
        source = (root / self.file).read_bytes()
        return hashlib.sha256(repr(sorted(self.entry.items())).encode() + source).hexdigest()[:16]

    def line(self, outcome):
        return f"{outcome:10} {self.entry['invariant']}  {self.entry['what']}  ({self.test})"


def read(root):
    entries = tomllib.loads((root / "tests/mutants.toml").read_text())["mutant"]
    return [Mutant(number, entry) for number, entry in enumerate(entries, start=1)]


def check(mutants, root):
    """Requires that the list matches the code, that each test is one of its package, and that every invariant is covered."""
    sources = {name: package_text(root, folder) for name, folder in packages(root).items()}
    problems = []
    for mutant in mutants:
        try:
            mutant.apply((root / mutant.file).read_text())
        except (Mismatch, FileNotFoundError) as error:
            problems.append(str(error))
        if mutant.test not in sources.get(mutant.package, ""):
            problems.append(f"{mutant.package} has no test `{mutant.test}`")
    uncovered = set(range(1, 11)) - {mutant.entry["invariant"] for mutant in mutants}
    if uncovered:
        problems.append(f"invariants without a mutant: {sorted(uncovered)}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(mutants)} mutants match the code")


def packages(root):
    """The folder of each package of the workspace."""
    members = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]
    folders = [root / member for member in members]
    return {tomllib.loads((folder / "Cargo.toml").read_text())["package"]["name"]: folder for folder in folders}


def package_text(root, folder):
    """The source text of a package without those within its folder."""
    inner = [other for other in packages(root).values() if other != folder and other.is_relative_to(folder)]
    paths = (path for path in folder.rglob("*.rs") if not any(path.is_relative_to(other) for other in inner))
    return "\n".join(path.read_text() for path in paths)


def is_contract(mutant, root):
    """Whether its test reads the source text while it runs, and calls none of the code."""
    if mutant.package != SYSTEM_TESTS:
        return False
    sources = [root / "tests/contracts.rs", *(root / "tests/contracts").rglob("*.rs")]
    declared = re.compile(rf"\bfn {re.escape(mutant.test)}\(")
    return any(declared.search(path.read_text()) for path in sources)


class Outcomes:
    """Prints outcomes, and keeps them in a file if one is given."""

    def __init__(self, path, root):
        self.path = path
        self.root = root
        self.alive = 0

    def killed_before(self):
        """Keys of the mutants that the file names as killed."""
        if self.path is None or not self.path.exists():
            return set()
        lines = (line.split("\t") for line in self.path.read_text().splitlines())
        return {fields[0] for fields in lines if fields[1] == KILLED}

    def add(self, mutant, outcome):
        if outcome == TOO_LONG and mutant.entry.get("hangs", False):
            outcome = KILLED
        self.alive += outcome != KILLED
        print(mutant.line(outcome), flush=True)
        if self.path:
            with self.path.open("a") as file:
                file.write(f"{mutant.key(self.root)}\t{outcome}\t{mutant.entry['what']}\n")
