"""Five institutions in one consortium: four that hold data, and `omega`, which has a grant for each of their tables."""

import pathlib

from consortium import QUERIES_PER_DAY, Consortium
from node import NodeError
from tables import File

CONSUMER = "omega"
JURISDICTIONS = {"alfa": "CH", "beta": "DE", "gamma": "AT", "delta": "FR", CONSUMER: "NL"}


class Holders(Consortium):
    """The institutions of the test."""

    def __init__(self, program: pathlib.Path, folder: pathlib.Path) -> None:
        super().__init__(program, folder, "Differential Test", JURISDICTIONS)

    def share(self, file: File) -> dict[str, str]:
        """The holder imports the file and publishes it, and the consumer gets a grant. Returns the kind of each column."""
        holder = self.nodes[file.holder]
        subject = ["--each-row-is-a-subject"] if not file.subject else ["--subject-column", file.subject]
        header = ["--header", "present"] if file.path.suffix == ".csv" else []
        holder.run("dataset", "import", file.table, "--from", file.path, *subject, *header)
        kinds = {column["name"]: column["kind"] for column in holder.json("dataset", "show", file.table)["columns"]}
        for name, kind, wanted in zip(kinds, kinds.values(), file.kinds):
            if wanted and kind != wanted:
                raise NodeError(f"{file.holder} imports `{name}` of {file.table} as {kind} and not as {wanted}")
        holder.run("dataset", "classify", file.table, *(f"{name}=ordinary" for name in kinds))
        limits = ["--queries-per-day", "--person-queries", "--institution-queries", "--all-queries"]
        holder.run("dataset", "limits", file.table, *(part for limit in limits for part in (limit, QUERIES_PER_DAY)))
        holder.run("dataset", "publish", file.table)
        self.grant(self.nodes[CONSUMER], holder, file.table, "records")
        return kinds
