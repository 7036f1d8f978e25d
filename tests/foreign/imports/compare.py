"""What a node must have stored for a cell, by docs/guides/importing.md."""

import datetime
import unicodedata

import table as tables


def trimmed(value):
    """A field without blanks at its ends."""
    return value.strip(" \t")


class Expected:
    """The rule of one import."""

    def __init__(self, table):
        self.table = table

    def is_missing(self, value, is_typed):
        """Whether a field has no value, in a column that is typed (or has no values) or is text."""
        value = trimmed(value)
        if not value or value in self.table.words:
            return True
        if value not in tables.MARKERS or self.table.rule == "blank-only":
            return False
        return self.table.rule == "everywhere" or is_typed

    def has_values(self, column):
        """Whether a column has a value that is not a marker."""
        return any(not self.is_missing(value, True) for value in column)

    def differs(self, kind, has_values, written, found):
        """Why a stored cell is not the written one; `None` if it is. `found` is a cell of an answer as CSV."""
        if self.is_missing(written, kind != "text" or not has_values):
            return None if found == "" else "a value where none was written"
        if found == "":
            return "no value"
        if kind == "text":
            return None if found == written else "another text"
        try:
            expected = self.value(kind, trimmed(written))
        except (KeyError, ValueError):
            return f"a value that is not written as {kind} are"
        if expected is None:
            return f"an unknown kind {kind}"
        try:
            return None if expected == self.stored(kind, found) else "another value"
        except (KeyError, ValueError):
            return "a value of another kind"

    def number(self, written):
        """The number as Python writes it."""
        if self.table.thousands:
            written = written.replace(self.table.thousands, "")
        return written.replace(",", ".") if self.table.decimal == "," else written

    def value(self, kind, written):
        """The value of a typed cell as it is written in the file."""
        if kind == "whole numbers" and self.table.is_typed:
            # A cell that has a number does not store the zeros that were typed.
            return float(self.number(written))
        if kind == "whole numbers":
            return int(self.number(written))
        if kind == "numbers":
            return float(self.number(written))
        if kind == "true or false":
            words = {word.lower(): value for word, value in zip(self.table.booleans, (True, False))}
            return {**words, "true": True, "false": False}[written.lower()]
        if kind == "dates":
            return moment(written, [self.table.date, "%Y-%m-%d"])
        if kind == "date-times":
            return moment(written, [self.table.time, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"])
        return None

    def stored(self, kind, found):
        """The same of an answer."""
        if kind == "whole numbers":
            return int(found)
        if kind == "numbers":
            return float(found)
        if kind == "true or false":
            return {"true": True, "false": False}[found]
        return moment(found, ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


def moment(text, forms):
    """The moment that a text states in one of several forms."""
    for form in forms:
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(text)


# The kind of a column whose values were made as one kind.
KINDS = {
    "integer": ["whole numbers"],
    "decimal": ["numbers", "whole numbers"],
    "padded": ["numbers"],
    "code": ["text"],
    "boolean": ["true or false"],
    "date": ["dates"],
    "time": ["date-times"],
    "empty": ["text"],
}


def wrong_kind(expected, column, kind, values):
    """Whether a column was not recognized; columns of text and mixed ones may be of any kind that loses nothing."""
    typed = [value for value in values if not expected.is_missing(value, True)]
    allowed = KINDS.get(column.kind)
    return bool(typed and allowed and kind not in allowed)


def wrong_name(given, found):
    """Whether a name that needs no cleaning was changed."""
    composed = unicodedata.normalize("NFC", given.strip())
    is_kept = composed.isidentifier() and len(composed) <= 63
    return is_kept and composed != found
