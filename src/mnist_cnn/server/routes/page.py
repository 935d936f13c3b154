"""The drawing page and `/docs`. Both load nothing from other hosts."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
import re
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mnist_cnn.server.guards.headers import CONTENT_SECURITY_POLICY

router = APIRouter(include_in_schema=False)

FILES = "/page"

_FOLDER = Path(__file__).parents[1] / "page"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_BRAND = re.compile(r"--brand: (#\w+)")
# Kept, but asked about each time: modules of two versions of this package must never meet in a browser.
_NO_CACHE = {"Cache-Control": "no-cache"}


class _Files(StaticFiles):
    def file_response(
        self, full_path: os.PathLike[str] | str, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_NO_CACHE)
        return response


def mount_files(app: FastAPI) -> None:
    """Serve the files of the page at /page, and those of Swagger UI at /page/docs."""
    mimetypes.add_type("text/javascript", ".js")  # some systems call it text/plain, which browsers refuse to run
    app.mount(f"{FILES}/docs", _Files(packages=[("fastapi_offline", "static")]))
    app.mount(FILES, _Files(directory=_FOLDER))


@router.get("/")
async def index() -> FileResponse:
    """Return the drawing page."""
    return FileResponse(_FOLDER / "index.html", headers=_NO_CACHE)


@router.get(f"{FILES}/icon.svg")
def icon() -> Response:
    """Return the icon in the page's brand colour: an icon cannot use a style sheet."""
    brand = _BRAND.search((_FOLDER / "page.css").read_text("utf-8"))
    picture = (_FOLDER / "icon.svg").read_text("utf-8").replace("var(--brand)", brand[1] if brand else "black")
    return Response(picture, media_type="image/svg+xml", headers=_NO_CACHE)


@router.get("/docs")
async def docs() -> Response:
    """Return Swagger UI for the OpenAPI document, and allow the one script in its page by its hash."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="mnist-cnn API",
        swagger_js_url="page/docs/swagger-ui-bundle.js",
        swagger_css_url="page/docs/swagger-ui.css",
        swagger_favicon_url="page/icon.svg",
    )
    scripts = _SCRIPT.findall(bytes(page.body).decode())
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    page.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; script-src 'self' {allowed}"
    return page
