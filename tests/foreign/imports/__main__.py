"""Imports generated files, and compares what is stored with what Python's `csv` reads of them: imports PROGRAM [COUNT] [SEED]

Each file is a table in another layout: delimiters, quotes, line ends, encodings, comments, notations, compressed files; and in every
tenth, another format. The options that a person would have to state are stated. A file is imported by the command line, read back by a
query, and compared cell by cell. The seed of a file that differs is printed; `imports PROGRAM 1 SEED` tries it again.
"""

import csv
import io
import pathlib
import sys

import compare
import layout as layouts
import sheets
import table as tables
from node import Node, Refused


class Difference(Exception):
    """What is not as it was written."""


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    count, seed = (int(word) for word in (sys.argv[2:4] + ["300", "1"][len(sys.argv) - 2 :])[:2])
    failed = 0
    with Node(program) as node:
        for number in range(seed, seed + count):
            case = Case(node, number)
            try:
                case.run()
            except (Difference, Refused) as problem:
                failed += 1
                print(f"seed {number}: {problem}\n  {case}", file=sys.stderr)
                if failed == 20:
                    break
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed else 0


class Case:
    """One file."""

    def __init__(self, node, seed):
        self.node = node
        self.seed = seed
        self.random = layouts.seeded(seed)
        self.dataset = f"t{seed}"
        self.shown = ""

    def __str__(self):
        return self.shown

    def run(self):
        """Writes a file, imports it, and compares what is stored."""
        if self.random.random() < 0.2:
            names, table, rows, options, contents = self.other_format()
            refused = 0
        else:
            names, table, rows, refused, options, contents = self.delimited()
        file = self.node.work / f"{self.dataset}.data"
        file.write_bytes(contents)
        command = ["dataset", "import", self.dataset, "--from", str(file), "--each-row-is-a-subject", *options]
        self.shown = f"{self.shown}\n  {' '.join(command[4:])}"
        imported = self.node.json(*command)
        file.unlink()
        if imported["refused"] != refused or imported["rows"] != len(rows):
            raise Difference(f"{imported['rows']} rows and {imported['refused']} refused instead of {len(rows)} and {refused}")
        columns = self.node.json("dataset", "show", self.dataset)["columns"]
        columns = [column for column in columns if not column["name"].startswith("__concordat")]
        self.check_columns(names, table, columns, rows)
        self.check_cells(table, columns, rows)
        self.node.run("dataset", "erase", self.dataset, "--reason", "compared", "--yes")

    def delimited(self):
        """A file of delimited text."""
        wide = self.random.random() < 0.03
        long = self.random.random() < 0.03
        seed = self.random.random()
        table = tables.Table([])
        tables.notation(layouts.seeded(seed), table)
        layout = layouts.Layout(self.random, table)
        source = layouts.seeded(seed)
        table = tables.make(source, layout.is_hostile(), 20_000 if long else None, 300 if wide else None)
        restrict(table, layout)
        names = [column.name for column in table.columns]
        if not all(map(layout.fits, names)):
            names = [f"column_{at}" for at in range(1, len(names) + 1)]
        contents, rows, refused = layout.write(names, table.rows())
        if not layout.header:
            names = [f"column_{at}" for at in range(1, len(names) + 1)]
        self.shown = str(layout)
        return names, table, rows, refused, layout.options() + table.options, contents

    def other_format(self):
        """A workbook, a spreadsheet or NDJSON."""
        kind = self.random.choice(["xlsx", "ods", "ndjson"])
        table = tables.make(self.random)
        while table.options:
            table = tables.make(self.random)
        for column in table.columns:
            column.values = [value if value is None or kind == "ndjson" or sheets.is_clean(value) else None for value in column.values]
        names = [column.name for column in table.columns]
        rows = table.rows()
        self.shown = kind
        table.is_typed = kind != "ndjson"
        if kind == "xlsx":
            contents = sheets.Workbook(self.random).write(names, table.columns, rows)
        elif kind == "ods":
            contents = sheets.document(self.random, names, table.columns, rows)
        else:
            contents = sheets.objects(table.columns, names, rows)
        return names, table, rows, [] if kind == "ndjson" else ["--header", "present"], contents

    def check_columns(self, names, table, columns, rows):
        """Compares the names and the kinds."""
        if len(columns) != len(names):
            raise Difference(f"{len(columns)} columns instead of {len(names)}")
        expected = compare.Expected(table)
        for at, (name, column, found) in enumerate(zip(names, table.columns, columns)):
            if compare.wrong_name(name, found["name"]):
                raise Difference(f"column {name!r} is called {found['name']!r}")
            if table.is_typed:
                continue
            if compare.wrong_kind(expected, column, found["kind"], [row[at] for row in rows]):
                raise Difference(f"column {name!r} of {column.kind} values has the kind {found['kind']!r}")

    def check_cells(self, table, columns, rows):
        """Compares every cell."""
        self.node.run("dataset", "classify", self.dataset, *(f"{column['name']}=ordinary" for column in columns))
        order = columns[0]["name"]
        answer = self.node.run("--format", "csv", "query", f'SELECT * FROM cleveland.{self.dataset} ORDER BY "{order}"')
        _, *found = csv.reader(io.StringIO(answer, newline=""))
        if len(found) != len(rows):
            raise Difference(f"{len(found)} rows are read back instead of {len(rows)}")
        expected = compare.Expected(table)
        has_values = [expected.has_values(column) for column in zip(*rows)]
        for number, (written, stored) in enumerate(zip(rows, found), 1):
            for column, is_used, cell, value in zip(columns, has_values, written, stored):
                why = expected.differs(column["kind"], is_used, cell, value)
                if why:
                    raise Difference(f"row {number}, column {column['name']!r} ({column['kind']}): {why}: {cell!r} became {value!r}")


def restrict(table, layout):
    """Leaves out the values that cannot be written in a layout."""
    if not layout.fits(table.missing):
        table.missing = ""
    for column in table.columns:
        column.values = [value if value is None or layout.fits(value) else None for value in column.values]


sys.exit(main())
