"""Institutions in one consortium on this machine, and grants between them."""

import datetime
import pathlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from node import Node

# More than any test sends: the usual limit is for people.
QUERIES_PER_DAY = 1_000_000
GRANT_DAYS = 90


class Consortium:
    """The running institutions, by name. Leaving the context ends their daemons."""

    def __init__(self, program: pathlib.Path, folder: pathlib.Path, name: str, jurisdictions: Mapping[str, str]) -> None:
        self.folder = folder
        self.name = name
        self.nodes = {institution: Node(program, folder, institution, place) for institution, place in jurisdictions.items()}

    def __enter__(self) -> Self:
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
        founder.run("consortium", "found", "--name", self.name)
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

    def grant(self, consumer: Node, holder: Node, name: str, tier: str, options: Iterable[object] = ()) -> dict:
        """Negotiates from the request for a dataset or collection, with further options, to the active grant, as the consumer shows it."""
        until = datetime.date.today() + datetime.timedelta(days=GRANT_DAYS)
        terms = ["--tier", tier, "--purpose", "health-research", "--until", until, *options]
        grant = consumer.json("grant", "request", f"{holder.institution}/{name}", *terms)["id"]
        self.await_state(holder, grant, "REQUESTED")
        holder.run("grant", "offer", grant)
        self.await_state(consumer, grant, "OFFERED")
        consumer.run("grant", "accept", grant)
        for side in (consumer, holder):
            self.await_state(side, grant, "ACTIVE")
        return consumer.json("grant", "show", grant)

    def await_state(self, node: Node, grant: str, state: str) -> None:
        """Waits until the node shows the grant in a state."""

        def reached() -> bool:
            listed = {shown["id"]: shown["state"] for shown in node.json("grant", "list")}
            return listed.get(grant) == state

        node.await_condition(f"the grant in the state {state}", reached)
