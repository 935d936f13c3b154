"""`mnist-cnn serve` as a process of its own: started, asked, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mnist_cnn.environment.installation import install_command
from mnist_cnn.errors import InputError
from mnist_cnn.server.launch import reserve_port
from mnist_cnn.server.settings import PREFIX
from server.conftest import MakeServer
from server.drawn import digit, file_of
from server.live import LiveServer

PNG = {"content-type": "image/png"}


def run(*arguments: str, program: tuple[str, ...] = ("-m", "mnist_cnn", "serve"), **environment: str) -> Any:
    """Run a server that is not going to start."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)} | environment
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, timeout=60)


def read(url: str) -> str:
    answer = httpx.post(f"{url}/predict", content=file_of(digit("7")), headers=PNG, timeout=30)
    return str(answer.json()["predictions"][0]["label"])


def log_of(server: LiveServer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_reads_logs_and_ends_on_a_signal(live_server: MakeServer, workers: int, number: int) -> None:
    server = live_server(workers=workers, host="0.0.0.0")  # noqa: S104
    assert server.url == f"http://127.0.0.1:{server.port}", "browsers cannot open http://0.0.0.0"
    assert [read(server.url) for _ in range(4)] == ["7"] * 4
    assert httpx.get(f"{server.url}/health/ready").json() == {"status": "ready"}
    family = workers_of(server)
    assert server.stop(number) == 0
    assert not any(each.is_running() for each in family)
    assert sum(line.get("route") == "/predict" for line in log_of(server)) == 4
    assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_browser_in_the_terminal_does_not_block_the_server(
    live_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho $1 > opened\nexec sleep 20\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.chdir(tmp_path)
    server = live_server(options=["--open"])
    while not (tmp_path / "opened").exists():
        time.sleep(0.05)
    assert (tmp_path / "opened").read_text().strip() == server.url
    assert read(server.url) == "7"
    assert server.stop() == 0


@pytest.mark.slow
def test_requests_in_progress_are_finished(live_server: MakeServer) -> None:
    """SIGTERM arrives when half of a body has: the other half still comes, and is answered."""
    server = live_server()
    body = file_of(digit("7"))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:50])
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    connection.send(body[50:])
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["predictions"][0]["label"] == "7"
    assert server.stop() == 0


@pytest.mark.slow
def test_under_load_no_request_in_progress_is_lost(live_server: MakeServer) -> None:
    """A connection may close before a request on it begins; what the server began, it answered, and it arrived."""
    server = live_server()
    statuses: list[int] = []

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=30) as client:
            while True:
                answer = client.post(f"{server.url}/predict", content=file_of(digit("7")), headers=PNG)
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(statuses) < 20:
        time.sleep(0.01)
    assert server.stop(signal.SIGTERM) == 0
    for thread in threads:
        thread.join()
    begun = [line["status"] for line in log_of(server) if line["event"] == "request"]
    assert set(begun) == {200}
    assert len(statuses) == len(begun)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(live_server: MakeServer) -> None:
    server = live_server(workers=2)
    before = workers_of(server)
    deadline = time.monotonic() + 30
    while not all(worker.net_connections() for worker in before):  # the server is announced when one listens
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before[0].kill()
    while before[0] in (now := workers_of(server)) or len(now) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert read(server.url) == "7"
    assert server.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, the port is only checked")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_second_server_cannot_have_the_port_before_the_first_listens(host: str) -> None:
    with reserve_port(host, 0) as (_, port):
        with pytest.raises(InputError, match="Address already in use"), reserve_port(host, port):
            pass
        with socket.create_server((host, port), reuse_port=True) as worker:
            clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(20)]
            for client in clients:
                worker.accept()[0].close()
                client.close()
    with reserve_port(host, port) as address:
        assert address == (host, port)


def workers_of(server: LiveServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--collect", ""], "--collect '' is not valid"),
        (["--cors-origin", "example.com"], "--cors-origin example.com is not valid"),
        (["--model", "nowhere.onnx", "--workers", "2"], "there is no model nowhere.onnx"),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid port 0: "),
        (["--port", "TAKEN"], "port TAKEN: Address already in use. Choose others with --host and --port"),
        (["--api-key-file", "nowhere"], "--api-key-file nowhere cannot be read: No such file"),
        (["--api-key-file", __file__], "the key in --api-key-file is not valid"),
        (["--collect", "/dev/null/kept"], "digits cannot be collected"),
        (["--collect", __file__], "is a file, not a folder. Choose another folder."),
    ],
)
def test_a_mistake_is_explained_in_one_line(shared_server: LiveServer, arguments: list[str], words: str) -> None:
    taken = str(shared_server.port)
    finished = run("--port", "0", *(each.replace("TAKEN", taken) for each in arguments))
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1, finished.stderr
    assert words.replace("TAKEN", taken) in finished.stderr


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    finished = run(MNIST_CNN_SERVE_WORKERS="0")
    assert finished.returncode == 2
    assert finished.stderr == "Error: MNIST_CNN_SERVE_WORKERS=0 is not valid. Valid: 1 to 64.\n"
    finished = run("--port", "0", MNIST_CNN_SERVE_NUMBER_MODEL="nowhere.onnx")
    assert finished.returncode == 2
    assert finished.stderr.startswith("Error: there is no model nowhere.onnx.")


def test_a_missing_extra_prints_the_command() -> None:
    program = (
        "import sys; sys.modules['granian'] = None\n"
        "from mnist_cnn.cli import main; main(['serve'])"
    )  # fmt: skip
    finished = run(program=("-c", program))
    assert finished.returncode == 2
    assert f"Install it with: {install_command(['serve'])}" in finished.stderr


def test_help_lists_it_without_the_servers_libraries() -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['fastapi', 'granian', 'starlette', 'structlog']))\n"
        "from mnist_cnn.cli import main; main(['--help'])"
    )
    finished = run(program=("-c", program))
    assert finished.returncode == 0
    assert "serve" in finished.stdout
