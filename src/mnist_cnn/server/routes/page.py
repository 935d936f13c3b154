"""The drawing page: the files of `server/page`, read once, and nothing else of the disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from mnist_cnn.server.problems import Problem

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "page"
_TYPES = {  # the machine's own table may call a script text/plain, which browsers refuse to run
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"


@dataclass(frozen=True)
class _File:
    """One file of the page, ready to be sent."""

    content: bytes
    headers: dict[str, str]


def _load(path: Path) -> _File:
    content = path.read_bytes()
    headers = {
        "Content-Type": _TYPES[path.suffix],
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        # Kept, but asked about each time: modules of two versions of this package must never meet in a browser.
        "Cache-Control": "no-cache",
    }
    return _File(content, headers)


_FILES = {path.name: _load(path) for path in _FOLDER.iterdir() if path.suffix in _TYPES}


@router.get("/")
async def index(request: Request) -> Response:
    """Give the page."""
    return _answer(_FILES[_INDEX], request)


@router.get("/page/{name}")
async def part(name: str, request: Request) -> Response:
    """Give a style sheet, a script or an icon of the page.

    Raises:
        Problem: 404, the page has no such file.
    """
    file = _FILES.get(name)
    if file is None:
        raise Problem(404, f"the page has no file {name!r:.80}. Open / for the page.")
    return _answer(file, request)


def _answer(file: _File, request: Request) -> Response:
    if _is_known(file.headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={key: file.headers[key] for key in ("ETag", "Cache-Control")})
    return Response(file.content, headers=file.headers)


def _is_known(tag: str, header: str) -> bool:
    """Whether If-None-Match names this tag; a proxy that compresses makes a weak one of it (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in header.split(","))
