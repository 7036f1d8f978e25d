"""A node of its own, and the commands that a person types at it."""

import json
import os
import pathlib
import secrets
import subprocess
import tempfile
import time


class Refused(Exception):
    """A command that ended with an exit code other than 0."""

    def __init__(self, code, text):
        super().__init__(f"exit code {code}: {text.strip()}")
        self.code = code


class Node:
    """One institution in a consortium of its own. The administrator has every role as long as no other account exists."""

    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="concordat-imports-")
        self.work = pathlib.Path(self.folder.name)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")},
            "CONCORDAT_DIR": str(self.work / "node"),
        }
        self.password = secrets.token_urlsafe(24)
        self.daemon = None

    def __enter__(self):
        (self.work / "home").mkdir()
        who = ["--institution", "cleveland", "--name", "Cleveland Clinic", "--jurisdiction", "US", "--unattended"]
        self.run("init", *who, "--listen", "/ip4/127.0.0.1/tcp/0", "--dial", "loopback", text=self.password)
        log = (self.work / "node.log").open("wb")
        self.daemon = subprocess.Popen(
            [self.program, "serve"], env=self.environment, cwd=self.work / "home", stdout=log, stderr=log
        )
        self.log_in()
        self.run("consortium", "found", "--name", "Alone")
        training = ["--course", "human-subjects-protection", "--until", "2099-12-31"]
        self.run("user", "training", "administrator", *training)
        return self

    def __exit__(self, *_):
        self.daemon.terminate()
        self.daemon.wait(60)
        self.folder.cleanup()

    def log_in(self):
        """Logs in once the node serves."""
        for attempt in range(600):
            try:
                return self.run("login", "administrator", text=self.password)
            except Refused:
                if attempt == 599:
                    raise
                time.sleep(0.1)

    def run(self, *words, text=None):
        """What a command prints."""
        done = subprocess.run(
            [self.program, *words],
            env=self.environment,
            cwd=self.work / "home",
            input=None if text is None else f"{text}\n".encode(),
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise Refused(done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def json(self, *words):
        """The document that a command prints."""
        return json.loads(self.run("--format", "json", *words))
