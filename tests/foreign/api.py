"""Runs Schemathesis against the API of a node: api.py SOCKET PASSWORD_FILE SCHEMATHESIS EXAMPLES

The API is on a Unix socket, which Schemathesis does not open, so this program forwards a loopback port to it. It logs in as the
administrator, and leaves out the routes that end the session it needs.
"""

import asyncio
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

# Routes that would end the session or the account of the client, streams that are not one JSON document, and `readyz`, which answers 503
# as long as the node has no consortium.
LEFT_OUT = "^(/readyz|/v1/(logout|login|password|users/.*|audit/export|(datasets|collections)/.*/import|imports/inspect))$"
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,ignored_auth,unsupported_method"


async def pipe(reader, writer):
    """Copies until one side ends."""
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def forward(path):
    """Forwards a loopback port to the socket, and returns the port."""
    ready = threading.Event()
    found = []

    async def serve():
        async def connected(reader, writer):
            node_reader, node_writer = await asyncio.open_unix_connection(path)
            await asyncio.gather(pipe(reader, node_writer), pipe(node_reader, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait()
    return found[0]


def request(path, method, target, body=None):
    """The status and the JSON of one request on the socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        text = json.dumps(body or {})
        head = f"{method} {target} HTTP/1.1\r\nhost: concordat\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        connection.sendall((head + text).encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest)


def log_in(path, password):
    """The token of a session, once the node serves."""
    for _ in range(600):
        try:
            status, answer = request(path, "POST", "/v1/login", {"name": "administrator", "password": password})
            if status == 200:
                return answer["token"]
            sys.exit(f"the login failed: {answer}")
        except (FileNotFoundError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the node does not serve")


def main():
    path, password, schemathesis, examples = sys.argv[1:]
    token = log_in(path, pathlib.Path(password).read_text().strip())
    url = f"http://127.0.0.1:{forward(path)}"
    command = [schemathesis, "--no-color", "run", f"{url}/v1/openapi.json", "--url", url]
    command += ["--header", f"Authorization: Bearer {token}", "--exclude-path-regex", LEFT_OUT]
    command += ["--checks", CHECKS, "--max-examples", examples, "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    command += ["--generation-database", "none", "--request-timeout", "60"]
    return subprocess.run(command, check=False).returncode


sys.exit(main())
