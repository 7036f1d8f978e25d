"""Two whole nodes: an import in one command, decisions, answers below tier `records`, and the memory of the holder's processes."""

import datetime
import json
import pathlib
import statistics
import subprocess
import time

from answer import Refusal, Rows
from node import Node, NodeError

# How often a decision is measured.
DECISIONS = 31
DATASETS = ("person", "diagnosis", "prescription")
# The largest one, which is also imported alone: members get figures over datasets alone.
ALONE = "prescription"
ESTIMATE = "/v1/query/estimate"
# The table that the data model does not have: without a class for each column nothing is published.
OTHER_TABLE = """template = 1
name = "local"
[datasets.local_notes.columns]
note_number = { class = "direct-identifier" }
written_date = { class = "quasi-identifier" }
author = { class = "direct-identifier" }
"""


class Daemon(Node):
    """A node that can be started again, so that its peak memory is that of what follows."""

    def restart(self) -> None:
        """Ends the daemon, and starts it again."""
        self.stop()
        self.reconnect()
        with self.log.open("ab") as log:
            command = [str(self.program), "--dir", str(self.folder), "serve"]
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.await_condition("a running daemon", lambda: bool(self.status()))
        self.log_in()

    def reconnect(self) -> None:
        """Opens another connection for the next request: the daemon closes one that is not used."""
        if connection := getattr(self.local, "connection", None):
            connection.close()
        self.local.connection = None

    def peak(self) -> float:
        """The peak memory of the daemon in MiB."""
        return peak(status_of(self.daemon.pid))

    def peak_of_engine(self) -> float:
        """The largest peak memory of its engine processes that still run, in MiB."""
        processes = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
        statuses = [status_of(process) for process in processes]
        parent = str(self.daemon.pid)
        return max((peak(status) for status in statuses if status.get("PPid") == parent), default=0.0)

    def answered(self, sql: str) -> tuple[Rows, float]:
        """The answer to a query, and how many milliseconds it took to its last row."""
        self.reconnect()
        began = time.monotonic()
        answer = self.query(sql)
        took = (time.monotonic() - began) * 1000
        if isinstance(answer, Refusal):
            raise NodeError(f"{sql}\n{answer}")
        return answer, took


def status_of(process: int) -> dict[str, str]:
    """The lines of a process's status; none if it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def peak(status: dict[str, str]) -> float:
    """The peak memory in MiB; a process that is ending has none."""
    return int(status.get("VmHWM", "0 kB").split()[0]) / 1024


def measured(program: pathlib.Path, folder: pathlib.Path, files: dict[str, pathlib.Path], texts: list[str]) -> dict:
    """What two nodes take. `files` are the folders of the clinic and of the model; `texts` are queries of `ALONE`."""
    holder, consumer = Daemon(program, folder, "cleveland", "US"), Daemon(program, folder, "zurich", "CH")
    try:
        for node in (holder, consumer):
            node.start()
            node.log_in()
        figures = imported(holder, folder, files)
        form(holder, consumer, folder)
        grant = granted(consumer, holder, "model", "records")
        figures |= {"decision": decision(holder, grant), "estimate": estimate(consumer, holder)}
        granted(consumer, holder, ALONE, "aggregate")
        return figures | answers(holder, consumer, texts)
    finally:
        holder.stop()
        consumer.stop()


def imported(holder: Daemon, folder: pathlib.Path, files: dict[str, pathlib.Path]) -> dict:
    """Imports the model, with one command, and a dataset of the clinic alone. The holder is started again afterwards."""
    began = time.monotonic()
    holder.run("collection", "import", "model", "--from", files["model"], "--template", "omop-5.4")
    figures = {"import_seconds": time.monotonic() - began, "import_peak": holder.peak()}
    other = folder / "other.toml"
    other.write_text(OTHER_TABLE)
    holder.run("collection", "classify", "model", "--from", other)
    holder.run("collection", "publish", "model")
    holder.run("dataset", "import", ALONE, "--from", files["clinic"] / f"{ALONE}.csv", "--subject-column", "person_id")
    classes = ["person_id=direct-identifier", "code=ordinary", "day=ordinary", "value=ordinary"]
    holder.run("dataset", "classify", ALONE, *classes)
    holder.run("dataset", "publish", ALONE)
    holder.restart()
    return figures


def form(holder: Daemon, consumer: Daemon, folder: pathlib.Path) -> None:
    """Makes a consortium of the two."""
    holder.run("consortium", "found", "--name", "Benchmark")
    enrollment, roster = folder / "zurich.enrollment", folder / "roster"
    enrollment.write_text(consumer.run("consortium", "enrol"))
    holder.run("consortium", "admit", enrollment)
    roster.write_text(holder.run("consortium", "roster", "show", "--armor"))
    consumer.run("consortium", "join", roster)
    for node in (holder, consumer):
        node.await_condition("its peer", lambda node=node: node.status().get("connected") == 1)


def granted(consumer: Daemon, holder: Daemon, collection: str, tier: str) -> str:
    """A grant over a whole collection, from the request to its use."""
    until = datetime.date.today() + datetime.timedelta(days=90)
    terms = ["--tier", tier, "--purpose", "health-research", "--until", until]
    grant = consumer.json("grant", "request", f"{holder.institution}/{collection}", *terms)["id"]
    await_state(holder, grant, "REQUESTED")
    holder.run("grant", "offer", grant)
    await_state(consumer, grant, "OFFERED")
    consumer.run("grant", "accept", grant)
    for side in (consumer, holder):
        await_state(side, grant, "ACTIVE")
    return grant


def await_state(node: Daemon, grant: str, state: str) -> None:
    """Waits until the node shows the grant in a state."""

    def reached() -> bool:
        return {shown["id"]: shown["state"] for shown in node.json("grant", "list")}.get(grant) == state

    node.await_condition(f"the grant in the state {state}", reached)


def decision(holder: Daemon, grant: str) -> float:
    """How many milliseconds the holder takes to decide about a grant, rule by rule, and to write the decision as JSON; the median."""
    return statistics.median(timed(holder, "/v1/why", {"subject": grant}))


def estimate(consumer: Daemon, holder: Daemon) -> float | None:
    """How many milliseconds the estimate of a query takes, with the decision of its holder; the median. `None` without estimates."""
    consumer.reconnect()
    _, body = consumer.request("GET", "/v1/openapi.json")
    if ESTIMATE not in json.loads(body)["paths"]:
        return None
    query = {"sql": f"SELECT count(*) AS n FROM {holder.institution}.model.person"}
    return statistics.median(timed(consumer, ESTIMATE, query))


def timed(node: Daemon, path: str, document: dict) -> list[float]:
    """How many milliseconds requests take, each with the document as its body."""
    spans = []
    node.reconnect()
    for _ in range(DECISIONS):
        began = time.monotonic()
        status, body = node.request("POST", path, document)
        spans.append((time.monotonic() - began) * 1000)
        if status != 200:
            raise NodeError(f"{node.institution} does not answer {path}: {body!r}")
    return spans


def answers(holder: Daemon, consumer: Daemon, texts: list[str]) -> dict:
    """Answers of the holder to the consumer, and the memory of the holder's processes."""
    spans, engine = [], 0.0
    for text in texts:
        answer, took = consumer.answered(text.replace(f"FROM {ALONE} ", f"FROM {holder.institution}.{ALONE} "))
        spans.append(took)
        if not any(row[-1] is not None for row in answer.rows):
            raise NodeError(f"nothing is released of {text}")
        # The process that computed waits for the next query.
        engine = max(engine, holder.peak_of_engine())
    return {"member": statistics.median(spans), "node_peak": holder.peak(), "engine_peak": engine}
