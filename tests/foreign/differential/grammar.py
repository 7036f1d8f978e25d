"""The grammar of the generated expressions: for each kind of value the forms that have it.

In a form, `{int}` stands for any expression of that kind and `{int_column}` for a column. A form is written for a node; where DuckDB
writes the same in another way, the second text is for it, with the same parts in the same order. Numbers with decimals are sums of
powers of two, so that they are equal in decimal and in binary.
"""

import random
import re
from dataclasses import dataclass

Form = tuple[str, str]


@dataclass(frozen=True)
class Sql:
    """A part of a query: the text for a node, and the text for DuckDB."""

    ours: str
    theirs: str

    @staticmethod
    def same(text: str) -> "Sql":
        """A part that both write in the same way."""
        return Sql(text, text)


@dataclass(frozen=True)
class Column:
    """A column of a table, with the name as it is written here."""

    name: str
    kind: str
    # Whether few different values occur, so that groups are of several rows.
    few: bool = False


PEOPLE = [
    Column("pid", "text"), Column("n", "int", few=True), Column("age", "int"), Column("AGE", "int"), Column('"order"', "int", few=True),
    Column("big", "big"), Column("x", "wild"), Column("score", "num"), Column("größe", "num"), Column("ward", "text", few=True),
    Column("label", "text"), Column("flag", "bool", few=True), Column("admitted", "date"), Column("seen", "time"),
    Column("logged", "instant"), Column("mixed", "num"), Column('"ward"', "text", few=True), Column("N", "int", few=True),
    Column("concept", "concept"),
]  # fmt: skip
VISITS = [
    Column("vid", "int"), Column("pid", "text"), Column("code", "text", few=True), Column("cost", "num"), Column("day", "date"),
    Column("paid", "bool", few=True),
]  # fmt: skip
TABLES = {"people": PEOPLE, "visits": VISITS}


def both(*texts: str) -> list[Form]:
    return [(text, text) for text in texts]


LITERALS = {
    "int": ["0", "1", "2", "3", "7", "50", "-1"],
    "num": ["0.5", "2.25", "-1.125", "100.0", "10.0"],
    "positive": ["1", "2", "3", "7"],
    "big": ["9223372036854775807", "-9223372036854775808", "9007199254740993", "0", "1000000000000"],
    "concept": ["100000000000000993", "100000000000001010", "0", "10.5"],
    "wild": ["0", "0.5", "1e300", "-1e300", "-2.5", "1000.0"],
    "text": ["'A'", "'b'", "'red'", "'it''s'", "'I10'", "'S001'", "'NA'", "'é'", "'漢字'", "''"],
    "letter": ["'e'", "'l'", "'A'", "' '"],
    "pattern": ["'%e%'", "'A%'", "'_'", "'%d'", "'r_d'", "'%'", "'S00%'", "''"],
    "regex": ["'^[A-C]'", "'e{2}'", "'[0-9]'", "'^$'", "'red|blue'", "'[^a-z]'"],
    "days": ["INTERVAL '3 days'", "INTERVAL '1 month'", "INTERVAL '2 years'"],
    "bool": ["TRUE", "FALSE"],
    "date": ["DATE '2020-01-01'", "DATE '1970-01-01'", "DATE '0001-01-01'", "DATE '9999-12-31'", "DATE '2023-06-15'"],
    "time": ["TIMESTAMP '2021-01-01 00:00:00'", "TIMESTAMP '1970-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999'"],
    "instant": ["TIMESTAMP WITH TIME ZONE '2021-01-01 00:00:00+00:00'", "TIMESTAMP WITH TIME ZONE '1970-01-01 00:00:00+00:00'"],
}

FORMS: dict[str, list[Form]] = {
    "int": [
        *both("({int} + {int})", "({int} - {int})", "({int} * {positive})", "({int} % {positive})", "(- {int_column})", "abs({int})"),
        ("({int} / {positive})", "({int} // {positive})"),
        *both("COALESCE({int}, {int})", "NULLIF({int}, {int})", "greatest({int}, {int})", "least({int}, {int})"),
        *both("CASE WHEN {bool} THEN {int} ELSE {int} END", "CASE WHEN {bool} THEN {int} END"),
        *both("CASE {int} WHEN {int} THEN {int} ELSE {int} END", "CAST({bool} AS INTEGER)", "CAST({int} AS BIGINT)"),
        *both("char_length({text})", "strpos({text}, {letter})", "date_part('year', {date})", "date_part('month', {date})"),
        *both("EXTRACT(DAY FROM {date})", "date_part('hour', {time})"),
    ],
    "num": [
        *both("({num} + {num})", "({num} - {num})", "({num} * {num})", "({num} / 8.0)", "abs({num})", "CAST({int} AS DOUBLE)"),
        *both("({int} * 0.5)", "({num} + {int})", "round({num_column})", "floor({num})", "ceil({num})", "sqrt(abs({num}))"),
        *both("COALESCE({num}, {num})", "NULLIF({num}, {num})", "CASE WHEN {bool} THEN {num} ELSE {num} END"),
    ],
    "big": both("COALESCE({big}, {big})", "CASE WHEN {bool} THEN {big} END", "greatest({big}, {int})", "NULLIF({big}, {big})"),
    "wild": both("COALESCE({wild}, {wild})", "abs({wild})", "CASE WHEN {bool} THEN {wild} END", "(- {wild_column})"),
    "text": [
        *both("upper({text})", "lower({text})", "trim({text})", "substr({text}, 2)", "substr({text}, 1, {positive})"),
        *both("left({text}, {positive})", "right({text}, {positive})", "({text} || {text})", "concat({text}, '-', {text})"),
        *both("COALESCE({text}, {text})", "NULLIF({text}, {text})", "CASE WHEN {bool} THEN {text} ELSE {text} END"),
        *both("replace({text}, {letter}, 'E')", "CAST({int} AS VARCHAR)", "CAST({date} AS VARCHAR)", "CAST({bool} AS VARCHAR)"),
    ],
    "bool": [
        *both("{int} = {int}", "{int} <> {int}", "{int} < {int}", "{int} >= {int}", "{int} BETWEEN {int} AND {int}"),
        *both("{int} IN ({int}, {int}, {int})", "{int} NOT IN ({int}, {int})", "{num} < {num}", "{num} >= {int}", "{num} BETWEEN {num} AND {num}"),
        *both("{big_column} = {big}", "{big_column} > {big}", "{big_column} IN ({big}, {big})", "{wild_column} < {wild}", "{wild_column} = {wild}"),
        *both("{concept_column} = {concept}", "{concept_column} > {concept}", "{concept_column} IN ({concept}, {concept})"),
        *both("{big_column} > {num_column}", "{num_column} = {big_column}", "{concept_column} <> {num_column}"),
        *both("{text} = {text}", "{text} <> {text}", "{text} < {text}", "{text} IN ({text}, {text})", "{text} BETWEEN {text} AND {text}"),
        *both("{text} LIKE {pattern}", "{text} NOT LIKE {pattern}", "{text} ILIKE {pattern}", "starts_with({text}, {letter})"),
        *both("{date} < {date}", "{date} = {date}", "{date} BETWEEN {date} AND {date}", "{date_column} > {time}", "{time} < {date_column}"),
        *both("{time} < {time}", "{time} >= {time}", "{instant} < {instant}", "{instant_column} = {instant}"),
        *both("{bool} AND {bool}", "({bool} OR {bool})", "NOT ({bool})", "({bool}) IS TRUE", "({bool}) IS NOT FALSE"),
        *both("{int} IS NULL", "{text} IS NOT NULL", "{num} IS NULL", "{date} IS NOT NULL", "{int} IS DISTINCT FROM {int}"),
        ("{text} ~ {regex}", "regexp_matches({text}, {regex})"),
        *both("{text} IS NOT DISTINCT FROM {text}", "{bool_column} IS DISTINCT FROM {bool_column} AND {bool}", "({int} > {int}) = ({bool})"),
    ],
    "date": [
        *both("COALESCE({date}, {date})", "CASE WHEN {bool} THEN {date} END", "CAST({time} AS DATE)", "NULLIF({date}, {date})"),
        ("({date} + {days})", "known_years(CAST({date} + {days} AS DATE))"),
        ("({date} - {days})", "known_years(CAST({date} - {days} AS DATE))"),
    ],
    "time": [
        *both("COALESCE({time}, {time})", "date_trunc('month', {time})", "date_trunc('day', {time})", "CAST({date_column} AS TIMESTAMP)"),
        ("({time} - {days})", "known_years({time} - {days})"),
        ("({time} + INTERVAL '90 minutes')", "known_years({time} + INTERVAL '90 minutes')"),
    ],
    "instant": both("COALESCE({instant}, {instant})", "CASE WHEN {bool} THEN {instant} END"),
}

# Sums of `wild` depend on the order of the additions, so there are none.
AGGREGATES: list[Form] = both(
    "count(*)", "count({int})", "count({text})", "count({big_column})", "count(DISTINCT {int})", "count(DISTINCT {text})",
    "sum({int})", "sum({num})", "avg({int})", "avg({num})", "sum({big_column})", "avg({big_column})",
    "min({int})", "max({num})", "min({big})", "max({big_column})", "min({wild})", "max({wild_column})", "min({text})", "max({text})",
    "min({date})", "max({date_column})", "min({time})", "max({time})", "max({instant})", "min({instant_column})",
    "sum(CASE WHEN {bool} THEN 1 ELSE 0 END)", "sum(CASE WHEN {bool} THEN {num} END)", "count(*) FILTER (WHERE {bool})",
    "sum({int}) FILTER (WHERE {bool})", "stddev({int})", "var_pop({num})", "median({int})", "median({num})", "stddev_pop({num})",
    "bool_and({bool})", "bool_or({bool})", "percentile_cont(0.25) WITHIN GROUP (ORDER BY {num_column})", "corr({int_column}, {num_column})",
    "sum(CAST({num_column} AS DECIMAL(12, 3)))", "max(CAST({num_column} AS DECIMAL(12, 3)))",
)  # fmt: skip
GROUPS: list[Form] = both("{int_few}", "{text_few}", "{bool_few}", "({int_few} % 2)", "upper({text_few})", "CASE WHEN {bool} THEN 1 ELSE 2 END")


class Expressions:
    """Draws expressions over some columns."""

    def __init__(self, draw: random.Random, columns: list[Column]) -> None:
        self.draw = draw
        self.columns = columns

    def of(self, kind: str, depth: int) -> Sql:
        """An expression of a kind, nested at most `depth` deep."""
        if depth > 0 and kind in FORMS and self.draw.random() < 0.65:
            return self.form(self.draw.choice(FORMS[kind]), depth - 1)
        columns = [column for column in self.columns if column.kind == kind]
        if columns and (kind not in LITERALS or self.draw.random() < 0.75):
            return Sql.same(self.draw.choice(columns).name)
        return Sql.same(self.draw.choice(LITERALS[kind]))

    def form(self, form: Form, depth: int) -> Sql:
        """A form with its parts."""
        parts = [self.part(part, depth) for part in re.findall(r"\{(\w+)\}", form[0])]
        ours, theirs = (re.split(r"\{\w+\}", text) for text in form)
        return Sql(joined(ours, [part.ours for part in parts]), joined(theirs, [part.theirs for part in parts]))

    def part(self, part: str, depth: int) -> Sql:
        """A part of a form: an expression of a kind, or a column of it if there is one."""
        kind, _, which = part.partition("_")
        columns = [column for column in self.columns if column.kind == kind and (column.few or which != "few")]
        if which and columns:
            return Sql.same(self.draw.choice(columns).name)
        return self.of(kind, depth)

    def group(self, depth: int) -> Sql:
        """An expression with few different values."""
        kinds = {column.kind for column in self.columns if column.few}
        forms = [form for form in GROUPS if all(part.removesuffix("_few") in kinds for part in re.findall(r"\{(\w+_few)\}", form[0]))]
        return self.form(self.draw.choice(forms), depth)

    def any(self, depth: int) -> Sql:
        """An expression of any kind."""
        return self.of(self.draw.choice([column.kind for column in self.columns]), depth)


def joined(texts: list[str], parts: list[str]) -> str:
    """The texts with the parts between them."""
    return "".join(text + part for text, part in zip(texts, [*parts, ""], strict=True))
