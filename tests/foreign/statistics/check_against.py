"""Checks of a whole run, with DuckDB in place of the nodes: it withholds rows of few subjects, and is used up after some queries."""

import argparse
import json
import pathlib
import re
import tempfile
import unittest

import duckdb
import node
import outcome
import studies
import template
from against import Campaign
from answer import Answer, Refusal, Rows
from consortium import Consortium
from grid import EXACT, Promise
from outcome import Outcome, Run
from published import HOLDERS, WITHOUT_RULE, Published, Publisher, without_rule
from query import Query
from studies import DECLARED, Study
from supply import Sent, Supply, busy_seconds, is_used_up
from truth import Truth

TABLES = """
CREATE SCHEMA omop;
CREATE TABLE omop.person AS
SELECT i AS person_id, 1940 + i % 40 AS year_of_birth, 8507 + 25 * (i % 2) AS gender_concept_id FROM range(80) AS r(i);
CREATE TABLE omop.visit_occurrence AS
SELECT i % 80 AS person_id, DATE '2000-01-01' + CAST(i * 30 AS INTEGER) AS visit_start_date, i % 7 AS cost FROM range(160) AS r(i)
"""
RULES = """
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
person_id = { role = "subject" }
year_of_birth = { edges = [1950, 1960, 1970] }
gender_concept_id = { values = { 8507 = "male", 8532 = "female" } }
[datasets.visit_occurrence]
kind = "keyed"
date = "visit_start_date"
[datasets.visit_occurrence.columns]
person_id = { role = "subject" }
visit_start_date = { edges = { years = [2000, 2014] } }
cost = { range = { low = 0, high = 10 } }
"""
# Queries that a copy answers.
ANSWERS = 7


class DuckNode:
    """In place of the consumer: answers as a node does, from DuckDB."""

    def __init__(self, campaign: "DuckCampaign") -> None:
        self.campaign = campaign
        self.received: dict[str, int] = {}
        self.changes = lambda rows: rows

    def query(self, sql: str, partial: bool) -> Answer:
        name = re.findall(r"omop_\d+", sql)[0]
        self.received[name] = self.received.get(name, 0) + 1
        if self.received[name] > ANSWERS:
            return Refusal("denied", "no", ("the budget of distinctions for this collection is used up (512)",))
        text = re.sub(r"\b\w+\.omop_\d+\.", "omop.", sql)
        found = self.computed(text)
        if found is None:
            return Rows(("percentage",), [(None,)])
        rows = [row if size >= 2 else withheld(row, found.keys) for row, size in zip(found.rows, found.sizes)]
        return Rows(found.names, self.changes(rows))

    def computed(self, text: str) -> Truth | None:
        """What DuckDB computes, with the first subject that the query has; `None` for a division by zero."""
        for subject in ("t.person_id", "p.person_id", "f.person_id", "s.person_id"):
            try:
                return self.campaign.truth(self.campaign.published, text, subject)
            except duckdb.BinderException:
                continue
            except duckdb.InvalidInputException:
                return None
        raise ValueError(text)


def withheld(row: tuple, keys: tuple[int, ...]) -> tuple:
    return tuple(cell if at in keys else None for at, cell in enumerate(row))


class DuckPublisher:
    """In place of the publisher."""

    def __init__(self, rules: template.Rules) -> None:
        self.studies = self
        self.copies = 0
        self.seconds = 0.0
        self.study = Study("omop", pathlib.Path(), "", {"person": "omop.person", "visit_occurrence": "omop.visit_occurrence"})
        self.published = [Published(self.study, f"omop_{at}", f"alfa.omop_{at}", rules) for at in range(100)]

    def apply_policy(self, protection: str, least: int) -> None:
        self.policy = (protection, least)

    def part(self, name: str, member: int, of: int) -> Study:
        return self.study

    def is_of(self, name: str, members: str, of: int) -> str:
        return f"person_id % {of} {members}"

    def divided(self, members: list[Study], protection: str) -> Published:
        self.copies += 1
        return self.published[self.copies]


class DuckCampaign(Campaign):
    """A run over DuckDB alone."""

    def __init__(self, drawn: int) -> None:
        database = duckdb.connect()
        database.execute("SET integer_division = true")
        for statement in TABLES.split(";"):
            database.execute(statement)
        publisher = DuckPublisher(template.read(RULES))
        self.published = publisher.published[0]
        publisher.consumer = DuckNode(self)  # type: ignore[attr-defined]
        super().__init__(database, publisher, argparse.Namespace(drawn=drawn, seed=1))  # type: ignore[arg-type]


class Runs(unittest.TestCase):
    def test_drawn_queries_are_compared_over_copies(self) -> None:
        campaign = DuckCampaign(40)
        run = Run("drawn")
        campaign.drawn(run, 1)
        self.assertEqual(len(run.answered), 41, outcome.refusals(run))
        self.assertEqual(run.disagreeing, [], outcome.disagreements(run))
        self.assertEqual(campaign.publisher.copies, 4 + 22 // ANSWERS)
        self.assertGreater(sum(found.grid.shown for found in run.outcomes), 60)

    def test_answer_that_is_wrong_is_a_disagreement(self) -> None:
        campaign = DuckCampaign(20)
        consumer = campaign.publisher.consumer

        def changed(cell: object) -> object:
            return cell + 1 if isinstance(cell, int) and cell > 9 else cell

        consumer.changes = lambda rows: [tuple(map(changed, row)) for row in rows]  # type: ignore[attr-defined]
        run = Run("drawn")
        campaign.drawn(run, 1)
        self.assertGreater(len(run.disagreeing), 5)
        self.assertIn("DISAGREEMENT in", outcome.disagreements(run))

    def test_run_that_fails_is_not_right(self) -> None:
        def fails(run: Run) -> None:
            run.outcomes.append(Outcome("1", "omop", Sent(campaign.published, "SELECT 1", Rows((), []))))
            raise node.NodeError("alfa: policy apply\nno such policy")

        campaign = DuckCampaign(0)
        campaign.attempt("private", fails)
        (run,) = campaign.runs
        self.assertEqual((run.is_right, len(run.outcomes)), (False, 1))
        self.assertIn("private: ended early: alfa: policy apply no such policy", outcome.text([run], verbose=False))

    def test_import_that_fails_is_an_outcome_of_its_queries(self) -> None:
        def fails(*_: object) -> Published:
            imports.append(1)
            raise node.NodeError("alfa: collection import omop_1\nno such template")

        imports: list[int] = []
        campaign = DuckCampaign(0)
        supply = Supply(campaign.publisher.consumer, fails)
        written = Query(7, "omop", "person_id", "persons", "SELECT count(*) AS n FROM omop.person", (), (), "")
        found = [campaign.one(written, supply, Promise(EXACT, 2)) for _ in range(2)]
        self.assertEqual(len(imports), 1)
        for one in found:
            (problem,) = one.disagreements
            self.assertEqual(problem, "refused with `internal`: not published: alfa: collection import omop_1 no such template")

    def test_part_of_some_members_is_not_a_disagreement(self) -> None:
        campaign = DuckCampaign(0)
        text = "SELECT count(*) AS n FROM some_members.person p"
        cells = campaign.partials(text, "p.person_id", campaign.published, 4)((), 0)
        self.assertEqual(sorted(set(cells)), [20, 40, 60])  # type: ignore[type-var]
        self.assertEqual(len(cells), 14)

    def test_written_query_is_compared(self) -> None:
        campaign = DuckCampaign(0)
        written = Query(
            1, "omop", "p.person_id", "x", "SELECT p.gender_concept_id, count(*) AS n FROM omop.person p GROUP BY 1", (), (), ""
        )
        supply = Supply(campaign.publisher.consumer, lambda: campaign.publisher.divided([], EXACT))
        found = campaign.one(written, supply, Promise(EXACT, 2))
        self.assertEqual((found.disagreements, found.grid.shown), ([], 2))
        self.assertEqual(found.sent.text, "SELECT p.gender_concept_id, count(*) AS n FROM alfa.omop_1.person p GROUP BY 1")


class Reports(unittest.TestCase):
    def outcome(self, answer: Answer) -> Outcome:
        return Outcome("1", "omop", Sent(None, "SELECT 1", answer))  # type: ignore[arg-type]

    def test_refusals_are_counted_by_reason(self) -> None:
        refused = [self.outcome(Refusal("usage", "no", (f"`x{at}` is beside an edge of 1{at}",))) for at in range(3)]
        run = Run("exact", [*refused, self.outcome(Rows((), []))])
        self.assertEqual(run.part_answered, 0.25)
        self.assertIn("   3  usage: … is beside an edge of 9", outcome.refusals(run))
        self.assertIn("1 of 4 queries are answered, below the 95 %", outcome.text([run], verbose=True))
        self.assertEqual(run.disagreeing, [])

    def test_failure_is_a_disagreement(self) -> None:
        self.assertTrue(self.outcome(Refusal("internal", "no")).disagreements)
        self.assertEqual(self.outcome(Refusal("denied", "no")).disagreements, [])

    def test_budget_that_is_used_up_leads_to_another_copy(self) -> None:
        for text in (
            "the budget of distinctions for this collection is used up (512)",
            "the 100 queries below `records` that ann@omega may send to `alfa.omop` in 24 hours are used up until 10:00",
            "the budget for the loss of privacy is used up: 3 millionths of rho are left",
            "the queries of ann@omega below `records` to `alfa.omop` are locked",
        ):
            self.assertTrue(is_used_up(Refusal("denied", "denied", (text,))), text)
        self.assertFalse(is_used_up(Refusal("usage", "compare the column at 60 or 70", ("a list of queries",))))

    def test_node_that_is_busy_is_not_used_up(self) -> None:
        busy = Refusal("in_use", "busy", ("your queries have used up their engine time; try again in 7 seconds",))
        self.assertEqual((is_used_up(busy), busy_seconds(busy)), (False, 7))
        self.assertIsNone(busy_seconds(Rows((), [])))


class Commands(unittest.TestCase):
    """What is sent to nodes, with recorded answers in their place."""

    def test_collection_is_published_and_granted(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            nodes = {institution: Recorded(institution) for institution in (*HOLDERS, "omega")}
            consortium = Consortium(folder / "concordat", folder, "x", {})
            consortium.nodes = nodes  # type: ignore[assignment]
            prepared = studies.Studies(DuckCampaign(0).database, folder, folder, pathlib.Path(__file__))
            publisher = Publisher(consortium, prepared, folder)
            study = Study("omop", folder / "omop", "omop-5.3", {"person": "omop.person"})
            found = publisher.whole(study, DECLARED, EXACT)
            self.assertEqual((found.name, found.schema), ("omop_1", "alfa.omop_1"))
            commands = [" ".join(command) for command in nodes["alfa"].commands]
            self.assertIn(f"collection import omop_1 --from {folder}/omop --template omop-5.3", commands)
            steps = [command.split(" ")[1] for command in commands if command.startswith("collection")]
            self.assertEqual(steps, ["import", "show", "classify", "template", "classify", "publish", "template"])
            declared = template.read((folder / "alfa-omop_1.toml").read_text(encoding="utf-8"))
            self.assertEqual(declared.days[-1], studies.MANY_DAYS)
            self.assertEqual(declared.datasets["person"].columns["year_of_birth"].low, 1940.0)
            self.assertEqual(declared.datasets["person"].columns["year_of_birth"].entry["class"], "ordinary")
            self.assertEqual(declared.datasets["person"].columns["person_id"].entry["class"], "direct-identifier")
            request = next(command for command in nodes["omega"].commands if command[:2] == ("grant", "request") and "--tier" in command)
            self.assertEqual(request[2:6], ("alfa/omop_1", "--tier", "aggregate", "--purpose"))
            for one in nodes.values():
                one.commands.clear()
            with self.assertRaisesRegex(node.NodeError, "with the protection exact and not with private"):
                publisher.grant(nodes["alfa"], "omop_1", "private")  # type: ignore[arg-type]

    def test_rule_is_left_out_and_no_other(self) -> None:
        text = (pathlib.Path(__file__).parents[3] / "node/policy/cedar/default.cedar").read_text(encoding="utf-8")
        left = without_rule(text, WITHOUT_RULE)
        self.assertEqual(set(re.findall(r'@id\("(.*)"\)', text)) - set(re.findall(r'@id\("(.*)"\)', left)), {WITHOUT_RULE})
        self.assertEqual(left.count("\nwhen {") + left.count("\nunless {"), text.count("\nwhen {") + text.count("\nunless {") - 1)
        self.assertEqual(left.count("{"), left.count("}"))

    def test_policy_is_raised_for_the_test(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            consortium = Consortium(folder / "concordat", folder, "x", {})
            consortium.nodes = {institution: Recorded(institution) for institution in HOLDERS}  # type: ignore[assignment]
            Publisher(consortium, None, folder).apply_policy(EXACT, 2)  # type: ignore[arg-type]
            settings = (folder / "policy-alfa-exact-2/settings.toml").read_text(encoding="utf-8")
            self.assertIn("min_cell = 2\n", settings)
            self.assertIn("distinctions = 512\n", settings)
            self.assertIn("person_queries_below_records = 1000000\n", settings)
            self.assertIn('protection = "exact"\n', settings)
            self.assertIn('loss = { "query" = 10000, "total" = 1000000, "delta" = 6 }\n', settings)
            self.assertIn("two_people = false\n", settings)
            self.assertIn("study-levels", (folder / "policy-alfa-exact-2/study.cedar").read_text(encoding="utf-8"))
            applied = consortium.nodes["delta"].commands[-1]  # type: ignore[attr-defined]
            self.assertEqual(applied[:2] + applied[3:], ("policy", "apply", "--expect", "d1"))


class Recorded:
    """In place of a node: keeps the commands, and answers with documents of the form that a node has."""

    TEMPLATE = """template = 1
name = "omop_1"
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
"person_id" = { class = "direct-identifier", role = "subject" }
"year_of_birth" = { class = "quasi-identifier", edges = [1950, 1960], range = { low = 1945.0, high = 1975.0 } } # proposed
"""
    SETTINGS = (
        "max_days = 365\nmin_cell = 10\nmax_rows = 1000000\nmax_queries_per_day = 1000\n"
        'person_queries_below_records = 100\nprotection = "perturbed"\nloss = { query = 10000, total = 1000000, delta = 6 }\n'
        "two_people = false\n"
    )

    def __init__(self, institution: str) -> None:
        self.institution = institution
        self.commands: list[tuple[str, ...]] = []

    def run(self, *command: object) -> str:
        words = tuple(map(str, command))
        self.commands.append(words)
        if words[:2] == ("policy", "show"):
            folder = pathlib.Path(words[3])
            folder.mkdir()
            (folder / "settings.toml").write_text(self.SETTINGS, encoding="utf-8")
        return ""

    def json(self, *command: object) -> object:
        self.run(*command)
        document = {
            ("collection", "show"): {"unclassified": [{"dataset": "person", "columns": ["race"]}]},
            ("collection", "template"): {"name": "omop_1", "text": self.TEMPLATE},
            ("policy", "check"): {"digest": "d1", "rules": 40, "sample": {}},
            ("grant", "request"): {"id": "5b97"},
            ("grant", "show"): {"id": "5b97", "protection": "exact"},
        }
        states = {"alfa": ["REQUESTED", "ACTIVE"], "omega": ["OFFERED", "ACTIVE"]}
        if command[:2] == ("grant", "list"):
            offers = sum(words[:2] == ("grant", "list") for words in self.commands)
            return [{"id": "5b97", "state": states[self.institution][offers - 1]}]
        return json.loads(json.dumps(document[command[:2]]))  # type: ignore[index]

    def await_condition(self, what: str, condition: object) -> None:
        if not condition():  # type: ignore[operator]
            raise node.NodeError(f"waited in vain for {what}")


if __name__ == "__main__":
    unittest.main()
