"""Two whole nodes: an import in one command, decisions, answers below tier `records`, and the memory of the holder's processes."""

import datetime
import json
import pathlib
import re
import statistics
import subprocess
import time

from answer import Refusal, Rows
from node import Node, NodeError

# How often a decision and an estimate are measured.
DECISIONS = 31
DATASETS = ("person", "diagnosis", "prescription")
ESTIMATE = "/v1/query/estimate"
# The table that the data model does not have: without a class for each column nothing is published.
OTHER_TABLE = """template = 1
name = "local"
[datasets.local_notes.columns]
note_number = { class = "direct-identifier" }
written_date = { class = "quasi-identifier" }
author = { class = "direct-identifier" }
"""
# What `clinic.rs` declares of the clinic.
CLINIC = """template = 1
name = "clinic"
[subject]
dataset = "person"
column = "person_id"
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
person_id = { class = "direct-identifier" }
sex = { class = "ordinary", values = ["f", "m"] }
born = { class = "ordinary", edges = { from = 1940, to = 2000, step = 10 } }
region = { class = "ordinary", values = [
    "alsace", "bavaria", "crete", "dalmatia", "emilia", "flanders", "galicia", "holland", "istria", "jutland",
] }
"""
EVENTS = """[datasets.{dataset}]
kind = "keyed"
date = "day"
[datasets.{dataset}.columns]
person_id = {{ class = "direct-identifier" }}
code = {{ class = "ordinary", codes = {{}} }}
day = {{ class = "ordinary", edges = {{ years = [2015, 2024] }} }}
value = {{ class = "ordinary", range = {{ low = 0, high = 100 }} }}
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
        """The peak memory of all its engine processes together that still run, in MiB."""
        processes = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
        statuses = [status_of(process) for process in processes]
        parent = str(self.daemon.pid)
        return sum(peak(status) for status in statuses if status.get("PPid") == parent)

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


def measured(program: pathlib.Path, folder: pathlib.Path, files: dict[str, pathlib.Path], queries: dict[str, list[str]]) -> dict:
    """What two nodes take. `files` are the folders of the clinic and of the model; `queries` are texts about the clinic, by name."""
    holder, consumer = Daemon(program, folder, "cleveland", "US"), Daemon(program, folder, "zurich", "CH")
    try:
        for node in (holder, consumer):
            node.start()
            node.log_in()
        figures = imported(holder, folder, files)
        form(holder, consumer, folder)
        granted(consumer, holder, "clinic", "aggregate")
        figures |= answers(holder, consumer, queries)
        grant = granted(consumer, holder, "model", "records")
        joined = at_holder(next(iter(queries.values()))[0], holder)
        return figures | {
            "granted_datasets": granted_datasets(holder, grant),
            "decision": decision(holder, grant),
            "estimate": estimate(consumer, f"SELECT count(*) AS n FROM {holder.institution}.model.person"),
            "estimate_joined": estimate(consumer, joined),
        }
    finally:
        holder.stop()
        consumer.stop()


def imported(holder: Daemon, folder: pathlib.Path, files: dict[str, pathlib.Path]) -> dict:
    """Imports the model, with one command, and then the clinic. The holder is started again afterwards."""
    began = time.monotonic()
    shown = holder.json("collection", "import", "model", "--from", files["model"], "--template", "omop-5.4")
    figures = {"import_seconds": time.monotonic() - began, "import_peak": holder.peak()}
    figures |= {"imported_datasets": len(shown["datasets"]), "imported_rows": shown["rows"]}
    publish(holder, "model", written(folder / "other.toml", OTHER_TABLE))
    template = written(folder / "clinic.toml", CLINIC + "".join(EVENTS.format(dataset=dataset) for dataset in DATASETS[1:]))
    holder.run("collection", "import", "clinic", "--from", files["clinic"], "--template", template)
    publish(holder, "clinic")
    holder.restart()
    return figures


def written(path: pathlib.Path, text: str) -> pathlib.Path:
    """The path, after the text was written to it."""
    path.write_text(text)
    return path


def publish(holder: Daemon, collection: str, template: pathlib.Path | None = None) -> None:
    """Declares what a template does, and publishes a collection."""
    if template:
        holder.run("collection", "classify", collection, "--from", template)
    holder.run("collection", "publish", collection)


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


def granted_datasets(holder: Daemon, grant: str) -> int:
    """How many datasets a grant is about."""
    return len(holder.json("grant", "show", grant)["datasets"])


def decision(holder: Daemon, grant: str) -> float:
    """How many milliseconds the holder takes to decide about a grant, rule by rule, and to write the decision as JSON; the median."""
    spans, shown = timed(holder, "/v1/why", {"subject": grant})
    if not shown["policy"]:
        raise NodeError(f"no rule decides about the grant: {shown}")
    return statistics.median(spans)


def estimate(consumer: Daemon, sql: str) -> float:
    """How many milliseconds the estimate of a query takes, with the decision of its holder; the median."""
    spans, shown = timed(consumer, ESTIMATE, {"sql": sql})
    if shown["decision"] != "permit":
        raise NodeError(f"{sql} would be refused: {shown}")
    return statistics.median(spans)


def timed(node: Daemon, path: str, document: dict) -> tuple[list[float], dict]:
    """How many milliseconds requests take, each with the document as its body; and the last response."""
    spans = []
    node.reconnect()
    for _ in range(DECISIONS):
        began = time.monotonic()
        status, body = node.request("POST", path, document)
        spans.append((time.monotonic() - began) * 1000)
        if status != 200:
            raise NodeError(f"{node.institution} does not answer {path}: {body!r}")
    return spans, json.loads(body)


def answers(holder: Daemon, consumer: Daemon, queries: dict[str, list[str]]) -> dict:
    """Answers of the holder to the consumer: the median in milliseconds for each query, and the memory of the holder's processes."""
    medians, engine = {}, 0.0
    for name, texts in queries.items():
        spans = []
        for text in texts:
            answer, took = consumer.answered(at_holder(text, holder))
            spans.append(took)
            if not any(row[-1] is not None for row in answer.rows):
                raise NodeError(f"nothing is released of {text}")
            # The process that computed waits for the next query.
            engine = max(engine, holder.peak_of_engine())
        medians[name] = statistics.median(spans)
    return {"member": medians, "node_peak": holder.peak(), "engine_peak": engine}


def at_holder(text: str, holder: Daemon) -> str:
    """A query of the clinic, with the names that a member of the consortium uses."""
    return re.sub(rf"\b(FROM|JOIN) ({'|'.join(DATASETS)})\b", rf"\1 {holder.institution}.clinic.\2", text)
