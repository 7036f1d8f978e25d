"""One institution: its data directory, its daemon, its command line, and queries on its API."""

import http.client
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import pyarrow
from answer import Answer, Refusal, Rows, from_arrow

PASSWORD = "correct horse battery staple"
ADMINISTRATOR = "administrator"
ANSWER_TIMEOUT = 120
POLL_SECONDS = 0.1
POLLS = 1200


class NodeError(Exception):
    """A command failed that has to succeed."""


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("localhost", timeout=ANSWER_TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Node:
    """An institution with a running daemon. Its one user, the administrator, has every role."""

    def __init__(self, program: pathlib.Path, folder: pathlib.Path, institution: str, jurisdiction: str) -> None:
        self.program = program
        self.institution = institution
        self.jurisdiction = jurisdiction
        self.folder = folder / institution
        self.log = folder / f"{institution}.log"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.token = ""
        self.partial_answers = False
        self.local = threading.local()

    def run(self, *command: object, lines: str = "") -> str:
        """The standard output of a command."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")}
        arguments = [str(self.program), "--dir", str(self.folder), *map(str, command)]
        ended = subprocess.run(
            arguments,
            input=lines,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder.parent,
            env=environment | {"NO_COLOR": "1", "XDG_RUNTIME_DIR": str(self.folder.parent)},
        )
        if ended.returncode:
            raise NodeError(f"{self.institution}: {' '.join(map(str, command))}\n{ended.stderr}")
        return ended.stdout

    def json(self, *command: object) -> dict:
        """The JSON document that a command prints."""
        return json.loads(self.run("--format", "json", *command))

    def start(self) -> None:
        """Creates the data directory and starts the daemon."""
        who = ["--institution", self.institution, "--name", f"Hospital of {self.institution}", "--jurisdiction", self.jurisdiction]
        self.run("init", *who, "--unattended", "--listen", "/ip4/127.0.0.1/tcp/0", "--dial", "loopback", lines=f"{PASSWORD}\n")
        with self.log.open("wb") as log:
            command = [str(self.program), "--dir", str(self.folder), "serve"]
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.await_condition("a running daemon", lambda: bool(self.status()))

    def stop(self) -> None:
        """Ends the daemon."""
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None

    def status(self) -> dict:
        """The status; empty if there is no answer."""
        try:
            return self.json("status")
        except NodeError:
            return {}

    def await_condition(self, what: str, condition) -> None:
        """Polls until the condition is true."""
        for _ in range(POLLS):
            if condition():
                return
            if self.daemon and self.daemon.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        raise NodeError(f"{self.institution} waited in vain for {what}\n{self.log.read_text()[-2000:]}")

    def log_in(self) -> None:
        """One session at the command line, and one on the API; the training without which no query is answered."""
        self.run("login", ADMINISTRATOR, lines=f"{PASSWORD}\n")
        self.run("user", "training", ADMINISTRATOR, "--course", "human-subjects-protection", "--until", "2099-12-31")
        _, body = self.request("POST", "/v1/login", {"name": ADMINISTRATOR, "password": PASSWORD})
        self.token = json.loads(body)["token"]
        _, body = self.request("GET", "/v1/openapi.json")
        schema = json.loads(body)["components"]["schemas"]["QueryRequest"]
        self.partial_answers = "allow_partial" in schema["properties"]

    def request(self, method: str, path: str, document: dict | None = None) -> tuple[int, bytes]:
        """The status and the body of a response. Each thread has a connection of its own, which it uses again. A node closes one that was not
        used for a while, so a request that could not be sent or was not answered on it is sent once more."""
        used = getattr(self.local, "connection", None)
        try:
            return self.request_on(used or self.connection(), method, path, document)
        except (http.client.RemoteDisconnected, ConnectionError):
            if used is None:
                raise
            return self.request_on(self.connection(), method, path, document)

    def connection(self) -> SocketConnection:
        """A new connection to the API."""
        return SocketConnection(self.folder / "run/api.sock")

    def request_on(self, connection: SocketConnection, method: str, path: str, document: dict | None) -> tuple[int, bytes]:
        """The same, on a connection that is used again if it does not fail."""
        self.local.connection = connection
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        body = None if document is None else json.dumps(document)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            self.local.connection = None
            raise

    def query(self, sql: str, partial: bool = False) -> Answer:
        """The answer to a query; `partial` accepts one to which a member contributes less."""
        document: dict[str, object] = {"sql": sql}
        if partial and self.partial_answers:
            document["allow_partial"] = True
        try:
            status, body = self.request("POST", "/v1/query", document)
        except (http.client.HTTPException, OSError) as error:
            return Refusal("internal", f"the API broke off: {error!r}")
        return parts(body) if status == 200 else refusal(json.loads(body))


def refusal(problem: dict) -> Refusal:
    """What a problem document states."""
    reasons = tuple(problem.get("reasons", ()))
    return Refusal(problem["code"], problem["detail"], reasons, problem.get("help"), problem.get("rule"))


def parts(body: bytes) -> Answer:
    """The answer in a response: chunks of an Arrow stream, then its end."""
    stream, at = b"", 0
    while at < len(body):
        tag, length = struct.unpack_from(">cI", body, at)
        part = body[at + 5 : at + 5 + length]
        at += 5 + length
        if tag == b"A":
            stream += part
        else:
            end = json.loads(part)
            return refusal(end["problem"]) if end["problem"] else read(stream, tuple(end["summary"]["notes"]))
    return Refusal("internal", "the answer has no end")


def read(stream: bytes, notes: tuple[str, ...]) -> Rows:
    """The rows of an Arrow stream."""
    return from_arrow(pyarrow.ipc.open_stream(stream).read_all(), notes)
