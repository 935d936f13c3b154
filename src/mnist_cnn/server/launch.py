"""A server from its first line to its exit code: the socket, the workers, the signals."""

from __future__ import annotations

import errno
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from mnist_cnn.errors import MnistCnnError, SettingError
from mnist_cnn.server.application import create_app, load_recognizer
from mnist_cnn.server.collection import open_collection
from mnist_cnn.server.counters import shared_folder
from mnist_cnn.server.guards.connections import PunctualProtocol
from mnist_cnn.server.logs import make_log_config

if TYPE_CHECKING:
    from mnist_cnn.reading.recognizer import Recognizer
    from mnist_cnn.server.settings import Settings

_BACKLOG = 2048  # connections that wait to be accepted
_KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than load balancers keep theirs
_GRACE = 5  # seconds more than a request may take, before a stopping server gives up on one
_STARTING = 60  # seconds for a worker to load its model on a busy machine
_HEARTBEAT = 30  # seconds without a sign of life after which a worker is replaced


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal ends it: SIGTERM as planned (exit code 0), SIGINT as an interruption.

    Args:
        settings: Of the server.
        announce: Called with its address once it listens.

    Raises:
        InputError: The port is taken or not to be had, or the model cannot be read.
        MnistCnnError: A worker did not start.
        KeyboardInterrupt: After SIGINT, once all that was begun is finished.
        SystemExit: With 0, likewise after SIGTERM.
    """
    # uvicorn raises the signal again that it has obeyed. One that comes before uvicorn listens ends the process too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells let background jobs ignore
    recognizer = _check(settings)  # before the port: what is wrong with the model holds on any
    with _listen(settings.host, settings.port) as listener:
        address = _address(listener)
        if settings.workers == 1:
            _serve_alone(settings, recognizer, listener, lambda: announce(address))
        else:
            _serve_together(settings, listener, lambda: announce(address))


def _serve_alone(
    settings: Settings, recognizer: Recognizer, listener: socket.socket, ready: Callable[[], None]
) -> None:
    app = create_app(settings, recognizer)
    _Server(uvicorn.Config(app, **_options(settings)), ready).run([listener])


def _serve_together(settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    os.environ.update(settings.to_environment())
    with shared_folder():
        config = uvicorn.Config("mnist_cnn.server.asgi:app", **_options(settings))
        supervisor = _Supervisor(config, [listener], ready)
        supervisor.run()
    if supervisor.ended_by is None:
        raise MnistCnnError("a worker did not start, for the reason above. Correct it, or try with one: --workers 1")
    if supervisor.ended_by == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(0)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


class _Supervisor(Multiprocess):
    """Says when all its workers listen, ends them as soon as a signal comes, and keeps in mind which one it was."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready = ready
        self._heard: dict[int, float] = {}  # when each worker last answered, by process id; seconds of `monotonic`
        self.ended_by: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end_workers)

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_STARTING, self.should_exit) for process in self.processes):
            self._ready()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended or hang, without waiting for each one's answer, which takes busy ones seconds."""
        if not self.signal_queue and not all(map(self._is_well, self.processes)):
            super().keep_subprocess_alive()

    def _is_well(self, process: Process) -> bool:
        """Take the answer to the last ping, if it is there, and ping again."""
        now = time.monotonic()
        heard = self._heard.setdefault(process.pid or 0, 0.0)
        answered = process.parent_conn.poll()
        if answered:
            process.parent_conn.recv()
        if answered or not heard:
            process.parent_conn.send(b"ping")
            self._heard[process.pid or 0] = heard = now
        return process.process.is_alive() and now - heard < _HEARTBEAT

    def _end_workers(self, number: int, _frame: object) -> None:
        """Let workers take no more connections at once; the supervisor itself looks for signals twice a second."""
        self.signal_queue.append(number)
        for process in self.processes:
            process.process.terminate()

    def handle_int(self) -> None:
        self.ended_by = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        self.ended_by = signal.SIGTERM
        super().handle_term()


def _check(settings: Settings) -> Recognizer:
    """Load the model, and see that the folder for pictures is of use, before anything runs.

    Raises:
        InputError: One of them is not.
    """
    recognizer = load_recognizer(settings)
    if settings.collect:
        open_collection(settings.collect, recognizer.class_names, settings.collect_limit)
    return recognizer


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "workers": settings.workers,
        "http": PunctualProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": make_log_config(settings),
        "access_log": False,  # ours has a line per request already
        "proxy_headers": False,  # nothing here depends on who asks
        "server_header": False,
        "backlog": _BACKLOG,
        "timeout_keep_alive": _KEEP_ALIVE,
        "timeout_graceful_shutdown": math.ceil(settings.timeout) + _GRACE,
        "timeout_worker_healthcheck": _HEARTBEAT,
    }


def _listen(host: str, port: int) -> socket.socket:
    """Take the port. Who connects before the server is ready waits.

    Raises:
        InputError: It is taken or not to be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror:
        raise SettingError(
            f"there is no address {host!r}. Valid: 127.0.0.1, 0.0.0.0 or one of this machine's."
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingError(
                f"port {port} is taken. Choose another with --port, or 0 for any that is free."
            ) from None
        raise SettingError(f"{host} port {port}: {os.strerror(error.errno or 0)}. Choose another.") from None
    listener.set_inheritable(True)  # for the workers
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # listens on all: name one that works
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
