"""One mutant in the source, with a build of its own: for those that one build of all cannot contain."""

import re
import sys

from .mutant_list import BROKEN, KILLED, SYSTEM_TESTS
from .run import run_limited

# Seconds for the build and the test of one mutant; a change of the lowest crate builds everything again.
LIMIT = 1800


def verdict(mutant, checkout):
    run = with_text(mutant, checkout, lambda: run_limited(command(mutant), checkout, LIMIT))
    # Without some checks, the process of the test aborts; cargo reports it.
    if re.search(r"process didn't exit successfully: .*\(signal: (6|11),", run.stderr):
        return KILLED
    outcome = run.verdict(mutant.test)
    if outcome == BROKEN:
        print(run.stderr[-3000:], file=sys.stderr)
    return outcome


def with_text(mutant, checkout, action):
    """What the action returns while the mutant is in the source."""
    path = checkout / mutant.file
    original = path.read_text()
    path.write_text(mutant.apply(original))
    try:
        return action()
    finally:
        path.write_text(original)


def command(mutant):
    selection = ["--test", "world"] if mutant.package == SYSTEM_TESTS else ["--lib"]
    return ["cargo", "test", "--workspace", *selection, "--", mutant.test]
