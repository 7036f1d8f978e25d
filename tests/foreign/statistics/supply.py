"""Sends queries to a collection, and to another copy of it when what it may reveal is used up.

How many sets of subjects an institution may learn of a collection is limited, and so is the loss of privacy. A test sends more than a
study, so it goes on with the same rows under another name, which nothing was revealed about.
"""

import pathlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from answer import Answer, Refusal
from node import Node, NodeError
from published import Published
from studies import Study
from template import Rules

# Words of refusals because of what was revealed before, or because of a number of queries.
USED_UP = ("is used up", "are used up", "are locked")
# What a node answers while one party uses too much of it.
BUSY = re.compile(r"try again in (\d+) seconds?")
MOST_TRIES = 10
# Copies of one collection, beyond which a refusal is the answer.
MOST_COPIES = 40


@dataclass(frozen=True)
class Sent:
    """A query as it was sent, and what became of it."""

    published: Published
    text: str
    answer: Answer
    # How long the answer took, without waits of the test and without publishing.
    seconds: float = 0.0


class Supply:
    """A collection of which there are as many copies as needed."""

    def __init__(self, consumer: Node, publish: Callable[[], Published]) -> None:
        self.consumer = consumer
        self.publish = publish
        self.copies: list[Published] = []
        # Why the collection could not be published; it is not attempted for each query.
        self.failure: NodeError | None = None

    @property
    def current(self) -> Published:
        """The copy that queries are sent to."""
        if not self.copies:
            self.add()
        return self.copies[-1]

    def add(self) -> None:
        """Publishes the next copy."""
        if self.failure:
            raise self.failure
        try:
            self.copies.append(self.publish())
        except NodeError as error:
            self.failure = error
            raise

    def send(self, text: Callable[[Published], str]) -> Sent:
        """The answer of the current copy, or that of the next one."""
        sent = self.once(text)
        if isinstance(sent.answer, Refusal) and is_used_up(sent.answer) and len(self.copies) < MOST_COPIES:
            self.add()
            return self.once(text)
        return sent

    def once(self, text: Callable[[Published], str]) -> Sent:
        # A member may withhold its part, which leaves that of the others.
        published = self.current
        sql = text(published)
        for _ in range(MOST_TRIES):
            began = time.monotonic()
            answer = self.consumer.query(sql, partial=True)
            took = time.monotonic() - began
            seconds = busy_seconds(answer)
            if seconds is None:
                break
            time.sleep(seconds)
        return Sent(published, sql, answer, took)


def unpublished(name: str, text: str, error: NodeError) -> Sent:
    """A query to a collection that could not be published."""
    answer = Refusal("internal", f"not published: {' '.join(str(error).split())}")
    return Sent(Published(Study(name, pathlib.Path(), "", {}), name, name, Rules({})), text, answer)


def is_used_up(refusal: Refusal) -> bool:
    """Whether a query is refused because of earlier ones."""
    return any(words in stated(refusal) for words in USED_UP)


def stated(refusal: Refusal) -> str:
    """All that a refusal states."""
    return " ".join([refusal.detail, *refusal.reasons]).lower()


def busy_seconds(answer: Answer) -> int | None:
    """After how many seconds to send the query again; `None` if that is not what the answer states."""
    found = BUSY.search(stated(answer)) if isinstance(answer, Refusal) else None
    return int(found[1]) if found else None
