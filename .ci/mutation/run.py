"""Runs tests, with a mutant or without, and judges how they ended."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from .mutant_list import BROKEN, KILLED, SURVIVED, TOO_LONG, VARIABLE

# Seconds for the test of one mutant.
TEST_LIMIT = 600
# Seconds for all named tests of one program without a mutant.
CONTROL_LIMIT = 5400
# Bytes of the stack of a thread: a function with many mutants, each with its branch, has a larger frame than without them.
STACK = 64 << 20


@dataclass(frozen=True)
class Run:
    """What a process wrote, and its exit code: negative if a signal ended it, `None` if it was stopped because it took too long."""

    stdout: str
    stderr: str
    code: int | None

    def passed(self, test):
        """Whether tests whose path contains the name ran, and none failed."""
        ended = self._ended(test)
        return bool(ended) and "FAILED" not in ended

    def verdict(self, test):
        # Without some checks, the process of the test aborts.
        aborted = self.code in (-signal.SIGABRT, -signal.SIGSEGV)
        if aborted or "FAILED" in self._ended(test):
            return KILLED
        if self.code is None:
            return TOO_LONG
        return SURVIVED if self._ended(test) else BROKEN

    def _ended(self, test):
        lines = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)", self.stdout, re.M)
        return [end for path, end in lines if test in path]


@dataclass(frozen=True)
class Program:
    """A test program, and the folder in which cargo runs it."""

    path: pathlib.Path
    folder: pathlib.Path

    def run(self, tests, number=0, limit=TEST_LIMIT):
        """Runs the tests whose paths contain one of these names, with the mutant of this number."""
        environment = {**os.environ, VARIABLE: str(number), "RUST_MIN_STACK": str(STACK)}
        return run_limited([str(self.path), *tests], self.folder, limit, environment)

    def failing(self, tests):
        """The names for which no test passes without a mutant, or one fails. A test that fails beside others is tried again by itself."""
        together = self.run(sorted(tests), limit=CONTROL_LIMIT)
        return {test for test in tests if not together.passed(test) and not self.run([test]).passed(test)}


def failing(programs, mutants):
    """Those of the mutants whose test fails without them: it proves nothing."""
    without = set()
    for package in {mutant.package for mutant in mutants}:
        if package not in programs:
            sys.exit(f"there is no test program of {package}")
        own = [mutant for mutant in mutants if mutant.package == package]
        tests = programs[package].failing({mutant.test for mutant in own})
        without |= {mutant.number for mutant in own if mutant.test in tests}
    return without


def run_limited(command, folder, limit, environment=None):
    """Runs the command for at most so many seconds; then it and all processes of its group are killed."""
    # Files and not pipes: a process that outlives the test would keep a pipe open.
    with tempfile.TemporaryFile("w+", errors="replace") as stdout, tempfile.TemporaryFile("w+", errors="replace") as stderr:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=stderr, start_new_session=True)
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            kill_group(process)
        stdout.seek(0)
        stderr.seek(0)
        return Run(stdout.read(), stderr.read(), code)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
