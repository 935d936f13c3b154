"""The OpenAPI document: FastAPI's, with what it cannot know."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI

from mnist_cnn.server.paths import is_open
from mnist_cnn.server.problems import documented
from mnist_cnn.server.schemas import ProblemDetails

_KEYS = {
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}


def install(app: FastAPI) -> None:
    """Give an application its document, made when it is first asked for."""
    app.openapi = partial(_document, app)  # type: ignore[method-assign]  # as FastAPI's manual has it


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["ProblemDetails"] = ProblemDetails.model_json_schema()
        if app.state.settings.api_key:
            components["securitySchemes"] = _KEYS
            document["security"] = [{name: []} for name in _KEYS]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["description"] = _for_callers(operation.get("description", ""))
                _tell_of_key(operation, path)
    return app.openapi_schema or {}


def _tell_of_key(operation: dict[str, Any], path: str) -> None:
    """Say of an operation what the guard of keys does, which stands outside of all routes."""
    if is_open(path):
        operation["responses"].pop("401", None)
        operation["security"] = []
    elif "401" not in operation["responses"]:
        operation["responses"]["401"] = documented(401)[401]


def _for_callers(docstring: str) -> str:
    """Leave out what a docstring says to programmers."""
    return docstring.partition("\n\nRaises:")[0].partition("\n\nArgs:")[0]
