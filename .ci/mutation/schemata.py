"""All mutants in one source text: each function with mutants contains its body once as it is, and once for each of its mutants.

    { static CHOSEN: … = …;  if *CHOSEN == 17 { body with mutant 17 } else if *CHOSEN == 18 { body with mutant 18 } else { body } }

The number comes from an environment variable when the program runs, so one build serves all mutants. Nothing outside the function is needed:
no crate has to know of another one. (R. Untch, J. Offutt and M. J. Harrold, "Mutation analysis using mutant schemata", 1993.)
"""

from collections import defaultdict
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_rust

from .mutant_list import VARIABLE

CHOSEN = f"""{{ static CONCORDAT_CHOSEN_MUTANT: ::std::sync::LazyLock<u32> = ::std::sync::LazyLock::new(||
    ::std::env::var("{VARIABLE}").ok().and_then(|number| number.parse().ok()).unwrap_or(0));
""".encode()

# A process that is started without the environment of its parent would run without the mutant.
CLEARED = ".env_clear()"
RESTORED = f'{CLEARED}.envs(::std::env::var_os("{VARIABLE}").map(|number| ("{VARIABLE}", number)))'

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))


@dataclass(frozen=True)
class Edit:
    start: int
    end: int
    replace: bytes


@dataclass
class Function:
    """The body of a function, as a range of bytes with its braces, and the edits that each mutant makes in it."""

    start: int
    end: int
    edits: dict = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Branch:
    """The lines of a file that stand for one mutant, or for a whole function with these mutants."""

    file: str
    first: int
    last: int
    mutants: frozenset


class Source:
    """A file, and its functions that have mutants."""

    def __init__(self, file, text):
        self.file = file
        self.text = text.encode()
        self.tree = PARSER.parse(self.text)
        self.functions = {}

    def add(self, mutant):
        """Adds the mutant if each of its edits lies in the body of a function; returns whether it does."""
        edits = [self._edit(find.encode(), replace.encode()) for find, replace in mutant.edits]
        bodies = [edit and self._body(edit) for edit in edits]
        if not all(bodies):
            return False
        ranges = {(body.start_byte, body.end_byte) for body in bodies}
        by_range = {range: [e for e, b in zip(edits, bodies) if (b.start_byte, b.end_byte) == range] for range in ranges}
        if not all(is_block(self._spliced(*range, edits)) for range, edits in by_range.items()):
            return False
        for range, edits in by_range.items():
            self.functions.setdefault(range, Function(*range)).edits[mutant.number] = edits
        return True

    def render(self):
        """The text with all mutants, and its branches."""
        text, branches, position = bytearray(), [], 0
        for function in sorted(self.functions.values(), key=lambda function: function.start):
            text += self.text[position : function.start]
            position = function.end
            first = last_line(text)
            text += CHOSEN
            for number, edits in function.edits.items():
                text += f"if *CONCORDAT_CHOSEN_MUTANT == {number}\n".encode()
                begin = last_line(text)
                text += self._spliced(function.start, function.end, edits)
                branches.append(Branch(self.file, begin, last_line(text), frozenset({number})))
                text += b"\nelse\n"
            text += self.text[function.start : function.end] + b"\n}"
            branches.append(Branch(self.file, first, last_line(text), frozenset(function.edits)))
        text += self.text[position:]
        return text.decode(), branches

    def _edit(self, find, replace):
        """What the replacement really changes: without what the two texts have in common at their start and at their end."""
        if self.text.count(find) != 1:
            return None
        start = self.text.index(find)
        same = common_length(find, replace)
        find, replace = find[same:], replace[same:]
        tail = common_length(find[::-1], replace[::-1])
        changed = len(find) - tail
        return Edit(start + same, start + same + changed, replace[: len(replace) - tail])

    def _body(self, edit):
        """The body of the outermost function around the edit; `None` for a constant function, which can read no variable."""
        node = self.tree.root_node.descendant_for_byte_range(edit.start, edit.end)
        found = None
        while node is not None:
            if node.type == "function_item":
                found = node
            node = node.parent
        if found is None or any(child.type == "function_modifiers" and b"const" in child.text.split() for child in found.children):
            return None
        body = found.child_by_field_name("body")
        return body if body.start_byte < edit.start and edit.end < body.end_byte else None

    def _spliced(self, start, end, edits):
        text, position = bytearray(), start
        for edit in sorted(edits, key=lambda edit: edit.start):
            text += self.text[position : edit.start] + edit.replace
            position = edit.end
        return bytes(text + self.text[position:end])


def last_line(text):
    """The number of the text's last line."""
    return text.count(b"\n") + 1


def common_length(one, other):
    """How many bytes the two texts have in common at their start."""
    pairs = enumerate(zip(one, other))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def is_block(text):
    """Whether the text is one block: an edit could close the function's brace and open another one."""
    root = PARSER.parse(b"async fn f() " + text).root_node
    return not root.has_error and [child.type for child in root.children] == ["function_item"]


class Schemata:
    """The mutants of a checkout that one build can contain."""

    def __init__(self, checkout, mutants):
        self.checkout = checkout
        self.originals = {}
        self.branches = []
        self.mutants = []
        self.sources = {}
        for mutant in mutants:
            if mutant.file.endswith(".rs") and self._source(mutant.file).add(mutant):
                self.mutants.append(mutant)

    def write(self):
        """Writes all sources with their mutants into the checkout. Files that stay the same are not touched, for the next build's sake."""
        rendered = {source.file: source.render() for source in self.sources.values()}
        self.branches = [branch for _, branches in rendered.values() for branch in branches]
        texts = {file: text for file, (text, _) in rendered.items()}
        for file, text in with_variable(self.checkout, texts).items():
            path = self.checkout / file
            self.originals.setdefault(file, path.read_text())
            if path.read_text() != text:
                path.write_text(text)

    def restore(self):
        for file, text in self.originals.items():
            (self.checkout / file).write_text(text)

    def remove(self, numbers):
        """Takes these mutants out again, and returns them."""
        removed = [mutant for mutant in self.mutants if mutant.number in numbers]
        self.mutants = [mutant for mutant in self.mutants if mutant.number not in numbers]
        for source in self.sources.values():
            for range, function in list(source.functions.items()):
                for number in numbers:
                    function.edits.pop(number, None)
                if not function.edits:
                    del source.functions[range]
        return removed

    def at(self, places):
        """Numbers of the mutants at these places (file, line): those of single branches, or else all of the function's."""
        hit = [b for b in self.branches if any(b.file == file and b.first <= line <= b.last for file, line in places)]
        single = [branch for branch in hit if len(branch.mutants) == 1]
        return set().union(*(branch.mutants for branch in single or hit))

    def _source(self, file):
        if file not in self.sources:
            self.sources[file] = Source(file, (self.checkout / file).read_text())
        return self.sources[file]


def with_variable(checkout, texts):
    """The texts, and those of all other sources that start a process with an empty environment, with the variable handed on."""
    cleared = [str(path.relative_to(checkout)) for path in checkout.rglob("*.rs") if "env_clear" in path.read_text()]
    texts = {**{file: (checkout / file).read_text() for file in cleared}, **texts}
    for file in cleared:
        if CLEARED not in texts[file]:
            raise SystemExit(f"`env_clear` is used in another way than `{CLEARED}` in {file}: .ci/mutation cannot hand the variable on")
        if RESTORED not in texts[file]:
            texts[file] = texts[file].replace(CLEARED, RESTORED)
    return texts
