"""Errors as answers: RFC 9457 problem details, and `{"error": …}` in the Open Inference Protocol."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from mnist_cnn.errors import DataError, MnistCnnError
from mnist_cnn.server.lanes import DecoderError
from mnist_cnn.server.paths import find_path, is_inference
from mnist_cnn.server.reader import OverloadedError
from mnist_cnn.server.service import NotReadyError

RETRY_SOON = {"Retry-After": "1"}  # seconds
_MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="Kind of problem; about:blank: see the status.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="HTTP status.")
    detail: str = Field(description="What is wrong, what would be valid, what to do next.")
    request_id: str = Field(description="Id of the request, as in the X-Request-ID header and in the server's log.")


class Problem(HTTPException):
    """A request that cannot be answered as it is. Routes and guards raise it.

    Attributes:
        status_code: HTTP status, 400 to 499 or 503.
        detail: One line: the bad value (never the content of an image or a key), what would be valid, the next step.
        headers: Headers of the answer, such as Retry-After.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))


def problem_response(
    connection: HTTPConnection, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Write an error as an answer, for guards, which stand outside the exception handlers of routes.

    Args:
        connection: The request, or `HTTPConnection(scope)`.
        status: HTTP status.
        detail: One line: the bad value, what would be valid, the next step.
        headers: Further headers, such as Retry-After.
    """
    if is_inference(find_path(connection.scope)):
        return Response(json.dumps({"error": detail}), status, headers, "application/json")
    title, request_id = HTTPStatus(status).phrase, connection.scope.get("state", {}).get("request_id", "")
    body = ProblemDetails(title=title, status=status, detail=detail, request_id=request_id)
    return Response(body.model_dump_json(), status, headers, _MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with, for its documentation."""
    content = {_MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Answer all errors that routes raise on purpose; the guards take care of the others."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _answer_http,
        DataError: _answer_data,
        OverloadedError: _answer_busy,
        NotReadyError: _answer_busy,
        DecoderError: _answer_busy,
        MemoryError: _answer_busy,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    detail = error.detail if isinstance(error, Problem) else _explain(error, request)
    return problem_response(request, error.status_code, detail, error.headers)


def _explain(error: HTTPException, request: Request) -> str:
    """Describe in a sentence what the framework says in two words."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "this address does not exist. See /docs for those that do."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method:.20} is not allowed here. Valid: {(error.headers or {}).get('Allow', 'none')}."
    return error.detail


async def _answer_data(request: Request, error: DataError) -> Response:
    return problem_response(request, 422, str(error))


async def _answer_busy(request: Request, error: MnistCnnError | MemoryError) -> Response:
    detail = str(error) if isinstance(error, MnistCnnError) else "the server is out of memory. Send smaller images."
    return problem_response(request, 503, detail, RETRY_SOON)
