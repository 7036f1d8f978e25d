"""Files of delimited text in every layout, and what Python's `csv` reads of them."""

import bz2
import csv
import gzip
import io
import lzma
import random as randomness
import zipfile

DELIMITERS = {",": ",", ";": ";", "\t": "tab", "|": "|", "^": "^"}
ENCODINGS = [
    ("utf-8", b"", []),
    ("utf-8", b"", []),
    ("utf-8", b"\xef\xbb\xbf", []),
    ("utf-16-le", b"\xff\xfe", []),
    ("utf-16-be", b"\xfe\xff", []),
    ("utf-16-le", b"", ["--encoding", "utf-16le"]),
    ("latin-1", b"", ["--encoding", "latin1"]),
    ("cp1252", b"", ["--encoding", "windows-1252"]),
    ("shift-jis", b"", ["--encoding", "shift_jis"]),
]


class Layout:
    """How a file is laid out, chosen by `random`; what is not stated as an option is to be recognized."""

    def __init__(self, random, table):
        self.random = random
        self.delimiter = random.choice([sign for sign in DELIMITERS if sign != table.decimal])
        self.is_stated = random.random() < 0.7
        self.quotes = random.random() < 0.85
        self.quoting = random.choice(["needed", "all", "some"])
        self.end = random.choice(["\n", "\n", "\r\n", "\r"])
        self.last_end = random.random() < 0.8
        self.header = random.random() < 0.8
        self.encoding = random.choice(ENCODINGS)
        self.comments = random.random() < 0.15
        self.blank_lines = random.random() < 0.2
        self.above = random.randrange(1, 4) if random.random() < 0.15 else 0
        self.ragged = random.random() < 0.15
        self.packing = random.choice([None, None, None, "gzip", "bzip2", "xz", "zip"])

    def is_hostile(self):
        """Whether cells may have delimiters, quotes and line ends in them."""
        return self.is_stated and self.quotes

    def options(self):
        """The options that state what is not recognized."""
        options = list(self.encoding[2])
        if self.is_stated:
            options += ["--delimiter", DELIMITERS[self.delimiter]]
        if not self.quotes:
            options += ["--quote", "none"]
        elif self.is_hostile():
            # Cells with line ends may have as many delimiters in each line as a row.
            options += ["--quote", "double"]
        if self.comments:
            options += ["--comment", "%"]
        if self.above:
            options += ["--skip-lines", str(self.above)]
        if self.ragged:
            options += ["--skip-refused"]
        options += ["--header", "present" if self.header else "absent"]
        return options

    def fits(self, value):
        """Whether a cell can be written in this layout."""
        try:
            written = value.encode(self.encoding[0])
            if written.decode(self.encoding[0]) != value:
                return False
        except UnicodeError:
            return False
        if self.encoding[0] in ("latin-1", "cp1252") and any("\x80" <= sign <= "\x9f" for sign in value):
            return False
        if self.comments and value.startswith("%"):
            return False
        if self.quotes:
            return True
        return not any(sign in value for sign in (self.delimiter, "\n", "\r"))

    def cell(self, value):
        """A cell as it is written."""
        if not self.quotes:
            return value
        needed = value.startswith('"') or any(sign in value for sign in (self.delimiter, "\n", "\r"))
        wanted = self.quoting == "all" or (self.quoting == "some" and self.random.random() < 0.5)
        if needed or wanted:
            return '"' + value.replace('"', '""') + '"'
        return value

    def write(self, names, rows):
        """The bytes of the file, the rows that `csv` reads of its text, and how many lines are to be refused."""
        records = ([names] if self.header else []) + rows
        lines = []
        plain = []
        refused = 0
        for number, record in enumerate(records):
            line = self.delimiter.join(map(self.cell, record)) + self.end
            plain.append(line)
            lines.append(line)
            if self.comments and self.random.random() < 0.1:
                lines.append(f'% units{self.delimiter}"are years{self.end}')
            if self.blank_lines and self.random.random() < 0.1:
                lines.append(self.end)
            if self.ragged and number > 0 and self.random.random() < 0.1:
                refused += 1
                few = self.delimiter.join(["1"] * (len(record) + self.random.choice([1, 5])))
                lines.append(few + self.end)
        above = [f"made by a machine on day {at}{self.end}" for at in range(self.above)]
        text = "".join(above + lines)
        if not self.last_end:
            text = text[: -len(self.end)] if text.endswith(self.end) else text
        read = self.read("".join(plain))
        encoding, mark, _ = self.encoding
        return self.pack(mark + text.encode(encoding)), read[1:] if self.header else read, refused

    def read(self, text):
        """The rows as Python's `csv` reads them."""
        quoting = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, quoting=quoting, doublequote=True, strict=True)
        return [row for row in rows if row]

    def pack(self, contents):
        """The contents in a compressed file."""
        if self.packing == "gzip":
            return gzip.compress(contents, mtime=0)
        if self.packing == "bzip2":
            return bz2.compress(contents)
        if self.packing == "xz":
            return lzma.compress(contents, check=self.random.choice([lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256]))
        if self.packing == "zip":
            file = io.BytesIO()
            method = self.random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
            with zipfile.ZipFile(file, "w", method) as archive:
                archive.writestr("export/table.csv", contents)
            return file.getvalue()
        return contents

    def __str__(self):
        shown = {name: value for name, value in vars(self).items() if name != "random"}
        return f"{shown}"


def seeded(seed):
    """A source of choices."""
    return randomness.Random(seed)
