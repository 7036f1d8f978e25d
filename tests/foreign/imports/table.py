"""Tables with everything in their cells that people type, made from a seed."""

import dataclasses
import datetime

MARKERS = ["?", "NA", "NaN", "NULL", "null", "N/A", "."]
NAMES = [
    "age", "Sex", "BMI", "größe", "病历号", "年龄", "имя", "prénom", "Patient Id", "blood pressure (mmHg)", "BL.AA", "x_1", "1st visit", "år",
    "naïve", "cafe\u0301", "Ωmega", "code", "a b\tc", "#", "%", "select", "Group", "ünit/µL", "حالة", "κωδικός",
]
WORDS = [
    "Anna", "von der Leyen", "O'Brien", "smith-jones", "née", "Zürich", "naïve", "病历", "pain in the left arm", "none", "yes", "B12", "007",
    "1e5x", "12:30", "2020-13-45", "1.2.3", "--", "N", "m", "-", "+", "TRUE story", " leading", "trailing ", "tab\tinside", "🙂", "\u202eright", "=1+1",
    "00123", "+41 44 000", "<0.1", "1/2", "é", "e\u0301", "a\u00a0b", "'quoted'", "\\N", "\\", "#hash", "~", "x",
]
HOSTILE = ['"', '""', 'say "hi"', "a,b", "a;b", "a|b", "a^b", "a~b", "line\nbreak", "line\r\nbreak", "cr\rbreak", ",", ";", '",', "end\n", "\n"]


@dataclasses.dataclass
class Column:
    """A column: its name, what its values are, and its values as they are written; `None` is a missing value."""

    name: str
    kind: str
    values: list


@dataclasses.dataclass
class Table:
    """A table, and the options of the command line under which its values were written."""

    columns: list
    options: list = dataclasses.field(default_factory=list)
    missing: str = ""
    rule: str = "auto"
    words: list = dataclasses.field(default_factory=list)
    decimal: str = "."
    thousands: str = ""
    date: str = "%Y-%m-%d"
    time: str = "%Y-%m-%dT%H:%M:%S"
    booleans: tuple = ("true", "false")
    # Whether the file stores numbers as numbers.
    is_typed: bool = False

    def rows(self):
        """The rows, with missing values as they are written."""
        return [[self.missing if value is None else value for value in row] for row in zip(*(c.values for c in self.columns))]


def notation(random, table):
    """Chooses how values are written, and the options that state it."""
    if random.random() < 0.25:
        table.decimal = ","
        table.options += ["--decimal", "comma"]
        if random.random() < 0.5:
            table.thousands = "."
            table.options += ["--thousands", "point"]
    elif random.random() < 0.15:
        table.thousands = "'"
        table.options += ["--thousands", "apostrophe"]
    if random.random() < 0.25:
        table.date, table.time = random.choice(
            [("%d.%m.%Y", "%d.%m.%Y %H:%M:%S"), ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S"), ("%d-%m-%Y", "%d-%m-%Y %H:%M:%S")]
        )
        table.options += ["--date-format", table.date, "--date-format", table.time]
    if random.random() < 0.2:
        table.booleans = random.choice([("ja", "nein"), ("Y", "N"), ("oui", "non")])
        table.options += ["--boolean", ",".join(table.booleans)]
    missing(random, table)


def missing(random, table):
    """Chooses how missing values are written."""
    choice = random.randrange(6)
    if choice == 0:
        table.missing = random.choice(MARKERS)
    elif choice == 1:
        table.missing, table.rule = random.choice(MARKERS), "everywhere"
        table.options += ["--missing", "everywhere"]
    elif choice == 2:
        table.rule = "blank-only"
        table.options += ["--missing", "blank-only"]
    elif choice == 3:
        table.missing = random.choice(["-", "\\N", "None", "n/a", "999", "missing"])
        table.words = [table.missing]
        table.options += ["--missing", table.missing]


def number(table, value):
    """A number as the table writes it."""
    sign, digits = ("-", value[1:]) if value.startswith("-") else ("", value)
    whole, point, decimals = digits.partition(".")
    if table.thousands and len(whole) > 3:
        groups = []
        while whole:
            groups.insert(0, whole[-3:])
            whole = whole[:-3]
        whole = table.thousands.join(groups)
    return sign + whole + (table.decimal if point else "") + decimals


def integer(random, table):
    """A whole number."""
    value = random.choice([random.randrange(-100, 1000), random.randrange(-(10**9), 10**9), random.randrange(10**15), 0])
    return number(table, str(value))


def decimal(random, table):
    """A number with a fraction whose last digit is not a zero."""
    digits = random.randrange(1, 8)
    fraction = f"{random.randrange(10**digits):0{digits}}".rstrip("0") or "5"
    return number(table, f"{random.choice(['', '-'])}{random.randrange(10 ** random.randrange(1, 7))}.{fraction}")


def moment(random):
    """A moment of the years in which patients were born, or of those that stand for no end."""
    year = random.choice([random.randrange(1900, 2030), random.randrange(1900, 2030), 1583, 9999])
    day = datetime.datetime(year, random.randrange(1, 13), random.randrange(1, 29))
    return day + datetime.timedelta(seconds=random.randrange(86400))


def text(random, hostile):
    """A text; a hostile one has delimiters, quotes and line ends in it."""
    value = random.choice(WORDS)
    if hostile and random.random() < 0.4:
        value = random.choice([random.choice(HOSTILE), value + random.choice(HOSTILE) + value])
    return value


def padded(random, table):
    """A number that is filled up with zeros like all others of its column."""
    return number(table, f"{random.randrange(1000)}.{random.randrange(100):02}")


def column(random, table, kind, name, rows, hostile):
    """A column of one kind, with missing values unless it has only a few rows."""
    make = {
        "integer": lambda: integer(random, table),
        "decimal": lambda: decimal(random, table),
        "padded": lambda: padded(random, table),
        "code": lambda: f"{random.randrange(10**6):08}",
        "boolean": lambda: random.choice(table.booleans),
        "date": lambda: moment(random).strftime(table.date).rjust(10, "0"),
        "time": lambda: moment(random).strftime(table.time),
        "text": lambda: text(random, hostile),
        "mixed": lambda: random.choice([integer, decimal, lambda *_: text(random, hostile)])(random, table),
        "empty": lambda: None,
    }[kind]
    gaps = random.choice([0, 0, 0.1, 0.5])
    return Column(name, kind, [None if random.random() < gaps else make() for _ in range(rows)])


KINDS = ["integer", "decimal", "padded", "code", "boolean", "date", "time", "text", "text", "mixed", "empty"]


def make(random, hostile=True, rows=None, width=None):
    """A table; its first column numbers the rows."""
    table = Table([])
    notation(random, table)
    rows = rows or random.choice([1, 2, 3, random.randrange(4, 60), random.randrange(4, 60)])
    width = width or random.choice([2, 3, random.randrange(2, 12)])
    names = random.sample(NAMES, min(width - 1, len(NAMES)))
    names += [f"c{at}" for at in range(len(names), width - 1)]
    table.columns = [Column("id", "integer", [str(at) for at in range(1, rows + 1)])]
    if table.words == ["999"]:
        rows = min(rows, 900)
        table.columns[0].values = table.columns[0].values[:rows]
    for name in names:
        table.columns.append(column(random, table, random.choice(KINDS), name, rows, hostile))
    return table
