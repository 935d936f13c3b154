"""Errors as answers: RFC 9457 problem details, and `{"error": …}` where the Open Inference Protocol asks for it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from mnist_cnn.errors import DataError, MnistCnnError
from mnist_cnn.server.decoder import DecoderError
from mnist_cnn.server.paths import find_path, is_inference
from mnist_cnn.server.reader import OverloadedError
from mnist_cnn.server.schemas import ProblemDetails
from mnist_cnn.server.service import NotReadyError, get_request_id

RETRY_SOON = {"Retry-After": "1"}  # seconds
_MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """A request that cannot be answered as it is: raise this anywhere in a route.

    Attributes:
        status_code: HTTP status, 400 … 499 or 503.
        detail: One line: the bad value (never a picture's or a key's bytes), what would be valid, the next step.
        headers: Of the answer, such as Retry-After.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))


def problem_response(
    connection: HTTPConnection, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Write an error as its answer: for guards, which stand outside of the routes' exception handlers.

    Args:
        connection: The request; `HTTPConnection(scope)` does.
        status: HTTP status.
        detail: One line: the bad value, what would be valid, the next step.
        headers: Further ones, such as Retry-After.
    """
    if is_inference(find_path(connection.scope)):
        return Response(json.dumps({"error": detail}), status, headers, "application/json")
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body["request_id"] = get_request_id(connection)
    return Response(json.dumps(body, ensure_ascii=False), status, headers, _MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give the problems that a route may answer with, for its documentation."""
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}  # put there by `documentation`
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {_MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make problems of all errors that routes raise on purpose; the guards take care of the others."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _of_http,
        RequestValidationError: _of_validation,
        DataError: _of_data,
        OverloadedError: _of_waiting,
        NotReadyError: _of_waiting,
        DecoderError: _of_waiting,
        MemoryError: _of_memory,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _of_http(request: Request, error: HTTPException) -> Response:
    detail = error.detail if isinstance(error, Problem) else _explain(error, request)
    return problem_response(request, error.status_code, detail, error.headers)


def _explain(error: HTTPException, request: Request) -> str:
    """Say in a sentence what the framework says in two words."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "there is nothing at this address. See /docs for what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method:.20} is not for this address. Valid: {(error.headers or {}).get('Allow', 'none')}."
    return error.detail


async def _of_validation(request: Request, error: RequestValidationError) -> Response:
    """Say where a value is wrong, without repeating it: it may be a picture or a secret."""
    places = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
    return problem_response(request, 422, f"{'; '.join(places)}. See /docs for what is valid.")


async def _of_data(request: Request, error: DataError) -> Response:
    return problem_response(request, 422, str(error))


async def _of_waiting(request: Request, error: MnistCnnError) -> Response:
    return problem_response(request, 503, str(error), RETRY_SOON)


async def _of_memory(request: Request, error: MemoryError) -> Response:
    return problem_response(request, 503, "there is no memory for this. Send fewer or smaller images.", RETRY_SOON)
