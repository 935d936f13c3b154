"""The application: settings in, an ASGI application out."""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import AsyncIterator
from importlib.metadata import version

import cv2
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from prometheus_client import disable_created_metrics

from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.server import guards, problems
from mnist_cnn.server.collection import open_collection
from mnist_cnn.server.logs import make_logger
from mnist_cnn.server.model_facts import describe, name_model, read_card
from mnist_cnn.server.open_inference import endpoints
from mnist_cnn.server.reader import MAX_PENDING, Reader
from mnist_cnn.server.routes import collecting, facts, numbers, operation, page, prediction
from mnist_cnn.server.service import Service
from mnist_cnn.server.settings import Settings, load_settings

_DESCRIPTION = (
    "Reads handwritten digits and whole numbers: send an image, get what is written, its calibrated probability, and "
    "whether to trust it. "
    "**Try it out** shows the `curl` command of each request."
)
_OPEN = (operation.health, endpoints.health, page.router)
_GUARDED = (prediction.router, numbers.router, facts.router, operation.router, endpoints.router)  # by `guards.keys`
_KEYS = [Depends(APIKeyHeader(name="X-API-Key", auto_error=False)), Depends(HTTPBearer(auto_error=False))]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. The model is loaded when a server starts it.

    Args:
        settings: None: read from the environment.

    Raises:
        InputError: A setting of the environment is invalid.
    """
    settings = settings or load_settings()
    app = FastAPI(
        title="mnist-cnn",
        version=version("mnist-cnn"),
        description=_DESCRIPTION,
        license_info={"name": "MIT"},
        lifespan=_lifespan,
        docs_url=None,  # `routes.page` serves it without requests to other hosts
        redoc_url=None,
        redirect_slashes=False,  # redirects would trust the Host header of the request
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    keys = _KEYS if settings.api_key else []  # for the documentation
    for router in _GUARDED:
        app.include_router(router, dependencies=keys)
    app.include_router(collecting.router, dependencies=keys, include_in_schema=settings.collect is not None)
    for router in _OPEN:
        app.include_router(router)
    page.mount_files(app)
    problems.install(app)
    guards.install(app, settings, _open_paths(app))
    return app


def _open_paths(app: FastAPI) -> set[str]:
    """Return the paths that need no API key: the page, the API's description, and health probes."""
    paths = {route.path for router in _OPEN for route in router.routes if isinstance(route, APIRoute)}
    return paths | {f"{page.FILES}/", "/favicon.ico", str(app.openapi_url)}


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    log = make_logger(settings)
    # In the caller's thread: requests share the cores already.
    recognizer = Recognizer.load(settings.model, threads=1, threshold=settings.threshold, scale=settings.scale)
    number_reader = NumberReader.load(settings.number_model, threads=1, threshold=settings.number_threshold)
    if recognizer.choice.remark:
        log.info("scale", origin=recognizer.choice.origin, remark=recognizer.choice.remark)
    if settings.collect and not settings.own_names:
        log.warning("any host name may collect digits; set MNIST_CNN_SERVE_HOSTS to the names of the page")
    collection = open_collection(settings.collect, recognizer.class_names) if settings.collect else None
    pending = max(MAX_PENDING, settings.max_images)
    reader = Reader(recognizer, number_reader, max_pending=pending, max_pixels=settings.max_pixels)
    name, card = name_model(settings.model), read_card(settings.model)  # once: folders may be moved
    app.state.service = Service(reader, describe(recognizer, number_reader, settings), card, name, collection)
    _settle()
    try:
        yield
    finally:
        app.state.service = None  # no longer ready
        await reader.close()


def _settle() -> None:
    """Change settings of the whole process, once everything is loaded."""
    cv2.setNumThreads(1)  # requests share the cores already
    warnings.filterwarnings("ignore", module="PIL")  # about odd images that can still be read
    disable_created_metrics()  # type: ignore[no-untyped-call]  # otherwise every counter has a time stamp beside it
    gc.collect()
    gc.freeze()  # searching the loaded libraries for garbage would delay requests by 50 ms
