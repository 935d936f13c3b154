"""The addresses of the Open Inference Protocol, all under /v2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.metadata import version as version_of
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mnist_cnn.errors import DataError
from mnist_cnn.server.bodies import parse_json, read_body
from mnist_cnn.server.open_inference import objects
from mnist_cnn.server.open_inference.digits import (
    encode,
    images_of,
    most_values,
    outputs_of,
    raw_request,
    wanted_outputs,
)
from mnist_cnn.server.open_inference.model_description import VERSION, configure, describe
from mnist_cnn.server.open_inference.tensors import HEADER_LENGTH, join_body, split_body
from mnist_cnn.server.problems import Problem
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.service import get_service, get_settings, note_images

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository"]
_OCTETS = "application/octet-stream"
_INFER_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": objects.request_schema(), "example": objects.EXAMPLE},
        _OCTETS: {"schema": {"type": "string", "format": "binary"}},
    },
}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": objects.ProtocolProblem, "description": HTTPStatus(status).phrase} for status in statuses}


_REFUSED = _refusals(404, 503)
_READ = {200: {"content": {_OCTETS: {}}}, **_refusals(400, 404, 408, 413, 415, 503)}


# Only for the documentation: a `DirectRoute` resolves no dependencies.
def _with_name(name: Annotated[str, Path(description="Name of the model.", examples=["digits"])]) -> None: ...


def _with_version(version: Annotated[str, Path(description="Version of the model.", examples=["1"])]) -> None: ...


_PREFIXES = {
    "/models/{name}": [Depends(_with_name)],
    "/models/{name}/versions/{version}": [Depends(_with_name), Depends(_with_version)],
}

health = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], route_class=DirectRoute)
router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], route_class=DirectRoute, responses=_refusals(401))


def _of_model(method: str, path: str, **documentation: Any) -> Callable[[Handler], Handler]:
    """Make a function answer at a path of the model, with and without a version in it."""

    def register(handler: Handler) -> Handler:
        for prefix, parameters in _PREFIXES.items():
            router.add_api_route(prefix + path, handler, methods=[method], dependencies=parameters, **documentation)
        return handler

    return register


@router.get("", response_model=objects.ServerMetadata, summary="Which server is this?")
async def server(request: Request) -> Response:
    """Return the name and version of the server, and the extensions of the protocol that it supports."""
    return _json(objects.ServerMetadata(name="mnist-cnn", version=version_of("mnist-cnn"), extensions=_EXTENSIONS))


@health.get("/health/live", response_model=dict[str, bool], summary="Does the server answer?")
async def live(request: Request) -> Response:
    """Answer 200 as long as the process can answer at all."""
    return JSONResponse({"live": True})


@health.get("/health/ready", response_model=dict[str, bool], responses=_refusals(503), summary="Can it read digits?")
async def ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, otherwise 503."""
    get_service(request)
    return JSONResponse({"ready": True})


@router.post("/repository/index", response_model=list[objects.IndexEntry], summary="Which models are there?")
async def index(request: Request) -> Response:
    """List the models: there is one."""
    name = get_service(request).model_name
    return JSONResponse([{"name": name, "version": VERSION, "state": "READY", "reason": ""}])


@_of_model("GET", "", response_model=objects.TensorModel, responses=_REFUSED, summary="What does the model take?")
async def metadata(request: Request) -> Response:
    """Describe the tensors of the model.

    `image` may also be UINT8, and [n, 1, 28, 28], [n, 28, 28] or [n, 784]. Its grey levels go from 0 to 255. Images in
    the form of MNIST, light ink on black, go to the network unchanged; all others are prepared first.
    """
    return _json(_describe(request))


@_of_model("GET", "/ready", response_model=dict[str, Any], responses=_REFUSED, summary="Is the model ready?")
async def model_ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, otherwise 503."""
    return JSONResponse({"name": _describe(request).name, "ready": True})


@_of_model("GET", "/config", response_model=dict[str, Any], responses=_REFUSED, summary="Triton's configuration")
async def config(request: Request) -> Response:
    """Describe the model as `config.pbtxt` of Triton does."""
    return JSONResponse(configure(_describe(request), get_settings(request).max_images))


@_of_model(
    "POST",
    "/infer",
    response_model=objects.InferResponse,
    responses=_READ,
    openapi_extra={"requestBody": _INFER_BODY},
    summary="Read digits",
)
async def infer(request: Request) -> Response:
    """Read the digits in a tensor of images."""
    _check_model(request)
    body = await read_body(request)
    try:
        return await _answer(request, body)
    except DataError as error:
        raise Problem(400, str(error)) from None


async def _answer(request: Request, body: bytes) -> Response:
    service, max_images = get_service(request), get_settings(request).max_images
    class_names = service.facts.classes
    asked, binary = _parse(body, request.headers.get(HEADER_LENGTH), max_images)
    wanted = wanted_outputs(asked, len(class_names))
    images = images_of(asked.inputs[0], binary, max_images)
    note_images(request, len(images))
    readings = [seen.reading for seen in await service.reader.read(images)]
    heads, tails = encode(asked, wanted, outputs_of(readings, wanted, class_names))
    head = {"model_name": service.model_name, "model_version": VERSION, "outputs": heads}
    if asked.id is not None:
        head["id"] = asked.id
    content, length = join_body(head, tails)
    if not tails:
        return Response(content, media_type="application/json")
    return Response(content, headers={HEADER_LENGTH: str(length)}, media_type=_OCTETS)


def _parse(body: bytes, header_length: str | None, max_images: int) -> tuple[objects.InferRequest, memoryview]:
    """Return the request in a body, and the binary data after it."""
    text, binary = split_body(body, header_length)
    if header_length is not None and not text:
        return raw_request(len(binary)), binary
    return objects.parse_request(parse_json(bytes(text), most_values(max_images))), binary


def _check_model(request: Request) -> None:
    """Refuse a request for another model than the server's."""
    own = get_service(request).model_name
    name, version = request.path_params["name"], request.path_params.get("version", VERSION)
    if name != own:
        raise Problem(404, f"unknown model {name!r:.100}. Valid: {own}.")
    if version != VERSION:
        raise Problem(404, f"unknown version {version!r:.100} of this model. Valid: {VERSION}.")


def _describe(request: Request) -> objects.TensorModel:
    _check_model(request)
    service = get_service(request)
    return describe(service.model_name, len(service.facts.classes))


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
