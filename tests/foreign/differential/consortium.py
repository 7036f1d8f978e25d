"""Five institutions in one consortium on this machine: four that hold data, and `omega`, which has a grant for each of their tables."""

import datetime
import pathlib
from concurrent.futures import ThreadPoolExecutor

from node import Node, NodeError
from tables import HOLDERS, File

CONSUMER = "omega"
JURISDICTIONS = {"alfa": "CH", "beta": "DE", "gamma": "AT", "delta": "FR", CONSUMER: "NL"}
# More than the test needs: the usual limit is for people.
QUERIES_PER_DAY = 1_000_000


class Consortium:
    """The running institutions. Leaving the context ends their daemons."""

    def __init__(self, program: pathlib.Path, folder: pathlib.Path) -> None:
        self.folder = folder
        self.nodes = {name: Node(program, folder, name, jurisdiction) for name, jurisdiction in JURISDICTIONS.items()}

    def __enter__(self) -> "Consortium":
        try:
            self.form()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.stop()

    def form(self) -> None:
        """Starts the nodes; the first founds the consortium and admits the others."""
        founder, *others = self.nodes.values()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Node.start, self.nodes.values()))
            list(pool.map(Node.log_in, self.nodes.values()))
        founder.run("consortium", "found", "--name", "Differential Test")
        for node in others:
            enrollment = self.folder / f"{node.institution}.enrollment"
            enrollment.write_text(node.run("consortium", "enrol"))
            founder.run("consortium", "admit", enrollment)
        roster = self.folder / "roster"
        roster.write_text(founder.run("consortium", "roster", "show", "--armor"))
        for node in others:
            node.run("consortium", "join", roster)
        for node in self.nodes.values():
            node.await_condition("its peers", lambda node=node: node.status().get("connected") == len(others))

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
        holder.run("dataset", "limits", file.table, "--queries-per-day", QUERIES_PER_DAY)
        holder.run("dataset", "publish", file.table)
        self.grant(file)
        return kinds

    def grant(self, file: File) -> None:
        """Negotiates from the request to the active grant."""
        consumer, holder = self.nodes[CONSUMER], self.nodes[file.holder]
        until = datetime.date.today() + datetime.timedelta(days=90)
        terms = ["--tier", file.tier, "--purpose", "health-research", "--until", until]
        grant = consumer.json("grant", "request", f"{file.holder}/{file.table}", *terms)["id"]
        self.await_state(holder, grant, "REQUESTED")
        holder.run("grant", "offer", grant)
        self.await_state(consumer, grant, "OFFERED")
        consumer.run("grant", "accept", grant)
        for side in (consumer, holder):
            self.await_state(side, grant, "ACTIVE")

    def await_state(self, node: Node, grant: str, state: str) -> None:
        """Waits until the node shows the grant in a state."""

        def reached() -> bool:
            listed = {shown["id"]: shown["state"] for shown in node.json("grant", "list")}
            return listed.get(grant) == state

        node.await_condition(f"the grant in the state {state}", reached)

    def holders(self) -> list[Node]:
        """The nodes with data."""
        return [self.nodes[name] for name in HOLDERS]
