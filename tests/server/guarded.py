"""An application with nothing but guards and misbehaving routes, and requests sent to it byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Message, Scope

from mnist_cnn.server import guards, problems
from mnist_cnn.server.settings import Settings

SECRET = "do-not-tell-anyone"  # stands for what was in an image


@dataclass
class Answer:
    """What came back for one request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    def json(self) -> Any:
        return json.loads(self.body)


def make_app(**settings: Any) -> FastAPI:
    """Build the application; `app.state.cancelled` counts the work that was."""
    app = FastAPI(docs_url=None, telemetry={"tracing": False, "metrics": False, "logs": False})
    app.state.settings = Settings(**settings)
    app.state.cancelled = 0
    app.post("/echo")(echo)
    app.get("/things/{name}")(thing)
    app.get("/slow")(slow)
    app.get("/bug")(bug)
    app.get("/health/live")(health)
    problems.install(app)
    guards.install(app, app.state.settings)
    return app


async def echo(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


async def thing(name: str) -> dict[str, str]:
    return {"name": name}


async def slow(request: Request) -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        request.app.state.cancelled += 1
        raise


async def bug() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(SECRET) from error


async def health() -> dict[str, str]:
    return {"status": "alive"}


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: Iterable[bytes | None] = (b"",),
    headers: dict[str, str] | None = None,
    query: str = f"q={SECRET}",
) -> Answer:
    """Send a request in parts and then disconnect; None waits forever instead of sending the next part."""
    answer, parts = Answer(), list(body)

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(parts) or part != b""}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not answer.status, "answered twice"
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            answer.complete = not message.get("more_body", False)

    await app(_scope(method, path, headers or {}, query), receive, send)
    return answer


def send(app: ASGIApp, method: str, path: str, **request: Any) -> Answer:
    """Do the same, and wait for it."""
    return asyncio.run(ask(app, method, path, **request))


def _scope(method: str, path: str, headers: dict[str, str], query: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def read_events(text: str) -> list[dict[str, Any]]:
    """Read what was logged."""
    return [json.loads(line) for line in text.splitlines()]
