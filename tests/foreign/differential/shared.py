"""Tables that others collected, from the folder in `CONCORDAT_SHARED_DATA`: two hospitals of the UCI heart study, and the conditions of
Synthea's patients, divided among all holders. Without the folder there are none."""

import csv
import os
import pathlib

from tables import HOLDERS, File

HEART = {"alfa": "processed.cleveland.data", "beta": "processed.hungarian.data"}
TABLES = ("heart", "conditions")


def write_all(folder: pathlib.Path) -> list[File]:
    """Copies of the tables below `folder`."""
    root = pathlib.Path(os.environ.get("CONCORDAT_SHARED_DATA", "../shared/data"))
    return [*heart(root / "uci-heart-4-hospitals", folder), *conditions(root / "synthea-csv-dbt", folder)] if root.is_dir() else []


def heart(root: pathlib.Path, folder: pathlib.Path) -> list[File]:
    """One table for each hospital; `?` is a missing value."""
    files = []
    for holder, name in HEART.items():
        header, *rows = rows_of(root / name)
        path = write(folder / f"{holder}-heart.csv", header, rows)
        files.append(File(holder, "heart", path, "", names=tuple(header)))
    return files


def conditions(root: pathlib.Path, folder: pathlib.Path) -> list[File]:
    """Each patient at one holder; every second holder writes the names in lower case."""
    header, *rows = rows_of(root / "conditions.csv")
    patients = sorted({row[header.index("PATIENT")] for row in rows})
    files = []
    for number, holder in enumerate(HOLDERS):
        own = {patient for at, patient in enumerate(patients) if at % len(HOLDERS) == number}
        names = header if number % 2 == 0 else [name.lower() for name in header]
        held = [row for row in rows if row[header.index("PATIENT")] in own]
        path = write(folder / f"{holder}-conditions.csv", names, held)
        files.append(File(holder, "conditions", path, names[header.index("PATIENT")], names=tuple(names)))
    return files


def rows_of(path: pathlib.Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.reader(file) if row]


def write(path: pathlib.Path, header: list[str], rows: list[list[str]]) -> pathlib.Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path
