"""Builds the checkout with all mutants in it, and finds out which of them do not compile that way."""

import json
import pathlib
import subprocess
import tomllib

from .mutant_list import SYSTEM_TESTS
from .run import Program

BUILDS = [
    ["cargo", "test", "--workspace", "--lib", "--test", "world", "--no-run"],
    # As in tests/harness/program.rs, so that the tests find it built.
    ["cargo", "build", "--workspace", "--bin", "concordat"],
]


def build(schemata):
    """Builds until it compiles, without the mutants that prevent it; returns the test programs by package."""
    while True:
        schemata.write()
        programs, errors = run_builds(schemata.checkout)
        if not errors:
            return programs
        out = {number for error in errors for number in schemata.at(list(places(error)))}
        if not out:
            raise SystemExit("the code does not compile:\n" + "".join(error["rendered"] for error in errors))
        for mutant in schemata.remove(out):
            print(f"does not compile beside the others: {mutant.entry['what']}", flush=True)


def run_builds(checkout):
    """The test programs, by package, or the errors of the compiler."""
    programs = {}
    for command in BUILDS:
        done = subprocess.run([*command, "--message-format=json"], cwd=checkout, stdout=subprocess.PIPE, text=True)
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        errors = [m["message"] for m in messages if m["reason"] == "compiler-message" and m["message"]["level"].startswith("error")]
        if errors:
            return {}, errors
        if done.returncode:
            raise SystemExit("the build failed without an error of the compiler")
        built = [m for m in messages if m["reason"] == "compiler-artifact" and m["executable"] and m["profile"]["test"]]
        programs |= dict(program(artifact) for artifact in built if is_for_mutants(artifact))
    return programs, []


def is_for_mutants(artifact):
    """The harness of the system tests is a library with tests of its own; no mutant names one."""
    return "test" in artifact["target"]["kind"] or package(artifact) != SYSTEM_TESTS


def package(artifact):
    return tomllib.loads(pathlib.Path(artifact["manifest_path"]).read_text())["package"]["name"]


def program(artifact):
    """A test program by its package, with the folder in which cargo would run it."""
    folder = pathlib.Path(artifact["manifest_path"]).parent
    return package(artifact), Program(pathlib.Path(artifact["executable"]), folder)


def places(error):
    """File and line of everything that the error points at."""
    for span in error["spans"]:
        while span:
            yield span["file_name"], span["line_start"]
            yield span["file_name"], span["line_end"]
            span = span["expansion"] and span["expansion"]["span"]
    for child in error["children"]:
        yield from places(child)
