"""Publishes collections at running nodes, with the commands that a steward types, and grants them to the consumer."""

import pathlib
import re
import time
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import studies
import template
from consortium import QUERIES_PER_DAY, Consortium
from node import Node, NodeError
from studies import DECLARED, Studies, Study
from template import Rules

CONSUMER = "omega"
HOLDERS = ("alfa", "beta", "gamma", "delta")
JURISDICTIONS = {"alfa": "CH", "beta": "DE", "gamma": "AT", "delta": "FR", CONSUMER: "NL"}
# The settings of a policy set that are raised: the usual ones are for people.
RAISED = ("max_queries_per_day", "person_queries_below_records", "institution_queries_below_records", "all_queries_below_records")
# The most that a policy set can permit.
MOST = {"max_cells": 500, "distinctions": 512}
# What the usual rules keep from statistics, and the queries need: sensitive columns, and quasi-identifiers with their declared levels.
WITHOUT_RULE = "quasi-never-in-clear"
RULES = """@id("study-sensitive")
@reason("sensitive columns of this study are released in statistics")
@remedy("request the tier aggregate")
permit(principal is Institution, action in Action::"reveal", resource is Column)
when { resource.class == Class::"sensitive" && context.tier == Tier::"aggregate" };

@id("study-levels")
@reason("quasi-identifiers of this study are released with their declared levels in statistics")
@remedy("request the tier aggregate")
permit(principal is Institution, action == Action::"reveal-clear", resource is Column)
when { resource.class == Class::"quasi-identifier" && context.tier == Tier::"aggregate" };
"""


@dataclass(frozen=True)
class Published:
    """A collection under its name at the nodes, with what is declared about it."""

    study: Study
    name: str
    schema: str
    rules: Rules

    def sql(self, text: str) -> str:
        """A written query over this collection. Names with a period exist in files only."""
        if not self.study.is_single:
            return re.sub(rf"\b{self.study.name}\.(?=\w)", f"{self.schema}.", text)
        text = re.sub(r'"(\w+)\.(\w+)"', r"\1_\2", text)
        return re.sub(rf"\b(FROM|JOIN) {self.study.name}\b", rf"\1 {self.schema}.{self.study.name}", text)


class Publisher:
    """Publishes studies at the nodes of a consortium, each time under another name."""

    def __init__(self, consortium: Consortium, prepared: Studies, folder: pathlib.Path) -> None:
        self.consortium = consortium
        self.studies = prepared
        self.folder = folder
        self.copies = 0
        # How long publishing took in all.
        self.seconds = 0.0
        # The protection and the fewest subjects of the policy that holders apply.
        self.applied: tuple[str, int] | None = None

    @property
    def consumer(self) -> Node:
        return self.consortium.nodes[CONSUMER]

    def apply_policy(self, protection: str, least: int) -> None:
        """At all holders, figures have this protection, cells have at least this many subjects, and queries are not limited in number."""
        if self.applied == (protection, least):
            return
        for name in HOLDERS:
            holder = self.consortium.nodes[name]
            folder = self.folder / f"policy-{name}-{protection}-{least}"
            holder.run("policy", "show", "--out", folder)
            settings = tomllib.loads((folder / "settings.toml").read_text(encoding="utf-8"))
            changed = {"protection": protection, "min_cell": least} | MOST | {limit: QUERIES_PER_DAY for limit in RAISED}
            lines = [f"{key} = {template.written(value)}\n" for key, value in (settings | changed).items()]
            (folder / "settings.toml").write_text("".join(lines), encoding="utf-8")
            for path in folder.glob("*.cedar"):
                path.write_text(without_rule(path.read_text(encoding="utf-8"), WITHOUT_RULE), encoding="utf-8")
            (folder / "study.cedar").write_text(RULES, encoding="utf-8")
            digest = holder.json("policy", "check", folder)["digest"]
            holder.run("policy", "apply", folder, "--expect", digest)
        self.applied = (protection, least)

    def whole(self, study: Study, way: str, protection: str) -> Published:
        """The collection at the first holder."""
        name = self.new_name(study)
        file = self.publish(HOLDERS[0], name, study, way, protection, None)
        return Published(study, name, f"{HOLDERS[0]}.{name}", template.read(template.text(name, file)))

    def divided(self, members: list[Study], protection: str) -> Published:
        """The collection at all holders, each with its own subjects and all with the same declarations."""
        name = self.new_name(members[0])
        file = self.publish(HOLDERS[0], name, members[0], DECLARED, protection, None)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda holder, study: self.publish(holder, name, study, DECLARED, protection, file), HOLDERS[1:], members[1:]))
        rules = template.read(template.text(name, file))
        return Published(members[0], name, f"consortium.{name}" if len(members) > 1 else f"{HOLDERS[0]}.{name}", rules)

    def new_name(self, study: Study) -> str:
        self.copies += 1
        return f"{study.name}_{self.copies}"

    def publish(self, institution: str, name: str, study: Study, way: str, protection: str, declared: Mapping | None) -> dict:
        """From the files to the active grant. Returns what is declared, as a table of TOML: `declared` if it is given."""
        began = time.monotonic()
        holder = self.consortium.nodes[institution]
        holder.run("collection", "import", name, "--from", study.folder, "--template", study.template)
        self.classify_rest(holder, name)
        if way == DECLARED:
            file = dict(declared) if declared else self.studies.widened(study, self.template(holder, name))
            self.declare(holder, name, file)
        holder.run("collection", "publish", name)
        self.grant(holder, name, protection)
        self.seconds += time.monotonic() - began
        return self.template(holder, name)

    def classify_rest(self, holder: Node, name: str) -> None:
        """Gives columns that the template does not know a class."""
        left = holder.json("collection", "show", name)["unclassified"]
        if left:
            columns = {entry["dataset"]: {column: {"class": "ordinary"} for column in entry["columns"]} for entry in left}
            self.declare(holder, name, {"datasets": {dataset: {"columns": entries} for dataset, entries in columns.items()}})

    def declare(self, holder: Node, name: str, file: Mapping) -> None:
        path = self.folder / f"{holder.institution}-{name}.toml"
        path.write_text(template.text(name, file), encoding="utf-8")
        holder.run("collection", "classify", name, "--from", path)

    def template(self, holder: Node, name: str) -> dict:
        return studies.declarations(holder.json("collection", "template", name)["text"])

    def grant(self, holder: Node, name: str, protection: str) -> None:
        """A grant at tier `aggregate` with the protection that the policy has."""
        granted = self.consortium.grant(self.consumer, holder, name, "aggregate")
        shown = str(granted.get("protection"))
        if not shown.startswith(protection):
            raise NodeError(f"{holder.institution} grants {name} with the protection {shown} and not with {protection}")


def without_rule(text: str, name: str) -> str:
    """Rules without one of them, which begins with its annotation `@id`."""
    return re.sub(rf'^@id\("{re.escape(name)}"\).*?^(when|unless) .*?;\n', "", text, flags=re.MULTILINE | re.DOTALL)
