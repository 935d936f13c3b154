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
from mnist_cnn.server.bodies import read_body
from mnist_cnn.server.inference import objects as schemas
from mnist_cnn.server.inference.description import VERSION, configure, describe
from mnist_cnn.server.inference.digits import encode, images_of, most_values, outputs_of, raw_request, wanted_outputs
from mnist_cnn.server.inference.tensors import HEADER_LENGTH, ProtocolError, join_body, json_of, split_body
from mnist_cnn.server.problems import Problem
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.service import get_model_name, get_reader, get_settings, note_images

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository"]
_OCTETS = "application/octet-stream"
_INFER_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": schemas.request_schema(), "example": schemas.EXAMPLE},
        _OCTETS: {"schema": {"type": "string", "format": "binary"}},
    },
}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Error, "description": HTTPStatus(status).phrase} for status in statuses}


_REFUSED = _refusals(404, 503)
_READ = {200: {"content": {_OCTETS: {}}}, **_refusals(400, 404, 408, 413, 415, 503)}


# For the documentation alone: a `DirectRoute` solves no dependencies.
def _with_name(name: Annotated[str, Path(description="The model's name.", examples=["digits"])]) -> None: ...


def _with_version(version: Annotated[str, Path(description="The model's version.", examples=["1"])]) -> None: ...


_PREFIXES = {
    "/models/{name}": [Depends(_with_name)],
    "/models/{name}/versions/{version}": [Depends(_with_name), Depends(_with_version)],
}

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], route_class=DirectRoute, responses=_refusals(401))


def _of_model(method: str, path: str, **documentation: Any) -> Callable[[Handler], Handler]:
    """Make a function answer at a path of the model's, with a version before it and without."""

    def register(handler: Handler) -> Handler:
        for prefix, parameters in _PREFIXES.items():
            router.add_api_route(prefix + path, handler, methods=[method], dependencies=parameters, **documentation)
        return handler

    return register


@router.get("", response_model=schemas.ServerMetadata, summary="What is this server?")
async def server(request: Request) -> Response:
    """Give name, version, and the extensions of the protocol that are at hand."""
    return _json(schemas.ServerMetadata(name="mnist-cnn", version=version_of("mnist-cnn"), extensions=_EXTENSIONS))


@router.get("/health/live", response_model=schemas.Live, summary="Does the server answer?")
async def live(request: Request) -> Response:
    """Answer 200 for as long as the process can answer at all."""
    return _json(schemas.Live(live=True))


@router.get("/health/ready", response_model=schemas.Ready, responses=_refusals(503), summary="Can it read digits?")
async def ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, else 503."""
    get_reader(request)
    return _json(schemas.Ready(ready=True))


@router.post("/repository/index", response_model=list[schemas.IndexEntry], summary="Which models are there?")
async def index(request: Request) -> Response:
    """List the models: there is one."""
    return JSONResponse([{"name": get_model_name(request), "version": VERSION, "state": "READY", "reason": ""}])


@router.post("/repository/models/{name}/{action}", include_in_schema=False)
async def control(request: Request) -> Response:
    """Refuse to load or unload a model.

    Raises:
        Problem: Always (400).
    """
    raise Problem(400, "models are not loaded or unloaded here. Start another server: mnist-cnn serve --model FILE")


@_of_model("GET", "", response_model=schemas.ModelMetadata, responses=_REFUSED, summary="What does the model take?")
async def metadata(request: Request) -> Response:
    """Describe the model's tensors.

    `image` may also be UINT8, and [n, 1, 28, 28], [n, 28, 28] or [n, 784]. Its grey levels go from 0 to 255. What has
    the form of MNIST's images, ink light on black, goes to the network as it is; everything else is prepared first.
    """
    _check_model(request)
    return _json(_metadata(request))


@_of_model("GET", "/ready", response_model=schemas.ModelReady, responses=_REFUSED, summary="Can the model be asked?")
async def model_ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, else 503."""
    _check_model(request)
    get_reader(request)
    return _json(schemas.ModelReady(name=get_model_name(request), ready=True))


@_of_model("GET", "/config", response_model=dict[str, Any], responses=_REFUSED, summary="Triton's configuration")
async def config(request: Request) -> Response:
    """Describe the model as the `config.pbtxt` of Triton does."""
    _check_model(request)
    return JSONResponse(configure(_metadata(request), get_settings(request).max_images))


@_of_model(
    "POST",
    "/infer",
    response_model=schemas.InferResponse,
    responses=_READ,
    openapi_extra={"requestBody": _INFER_BODY},
    summary="Read digits",
)
async def infer(request: Request) -> Response:
    """Read the digits in a tensor of images.

    Raises:
        Problem: The request is not as the protocol wants it, or an image cannot be read (400, 404, 413, 415).
        OverloadedError: Too many images wait already.
    """
    _check_model(request)
    body = await read_body(request, get_settings(request).max_body)
    try:
        return await _answer(request, body)
    except (ProtocolError, DataError) as error:
        raise Problem(400, str(error)) from None


async def _answer(request: Request, body: bytes) -> Response:
    reader = get_reader(request)
    class_names = reader.recognizer.class_names
    max_images = get_settings(request).max_images
    asked, binary = _parse(body, request.headers.get(HEADER_LENGTH), max_images)
    wanted = wanted_outputs(asked, len(class_names))
    images = images_of(asked.inputs[0], binary, max_images)
    note_images(request, len(images))
    readings = [seen.reading for seen in await reader.read(images)]
    heads, tails = encode(asked, wanted, outputs_of(readings, wanted, class_names))
    head = {"model_name": get_model_name(request), "model_version": VERSION, "outputs": heads}
    if asked.id is not None:
        head["id"] = asked.id
    content, length = join_body(head, tails)
    if not tails:
        return Response(content, media_type="application/json")
    return Response(content, headers={HEADER_LENGTH: str(length)}, media_type=_OCTETS)


def _parse(body: bytes, header_length: str | None, max_images: int) -> tuple[schemas.InferRequest, memoryview]:
    """Give a body's request, and the binary data after it."""
    text, binary = split_body(body, header_length)
    if header_length is not None and not text:
        return raw_request(len(binary)), binary
    return schemas.parse_request(json_of(text, most_values(max_images))), binary


def _check_model(request: Request) -> None:
    """Refuse what asks for another model than the one that there is."""
    name, version = request.path_params["name"], request.path_params.get("version", VERSION)
    if name != get_model_name(request):
        raise Problem(404, f"there is no model {name!r:.100}. Valid: {get_model_name(request)}.")
    if version != VERSION:
        raise Problem(404, f"there is no version {version!r:.100} of this model. Valid: {VERSION}.")


def _metadata(request: Request) -> schemas.ModelMetadata:
    return describe(get_model_name(request), len(get_reader(request).recognizer.class_names))


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
