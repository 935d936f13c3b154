"""The application: settings in, an ASGI application out."""

from __future__ import annotations

import contextlib
import gc
import logging
import warnings
from collections.abc import AsyncIterator
from importlib.metadata import version

import cv2
from fastapi import FastAPI

from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.server import documentation, guards, problems
from mnist_cnn.server.collection import open_collection
from mnist_cnn.server.inference import endpoints as inference
from mnist_cnn.server.inference.description import model_name
from mnist_cnn.server.logs import make_logger
from mnist_cnn.server.model import describe, read_card
from mnist_cnn.server.reader import Reader
from mnist_cnn.server.routes import collecting as collect
from mnist_cnn.server.routes import docs, health, metrics, page
from mnist_cnn.server.routes import facts as model
from mnist_cnn.server.routes import prediction as predict
from mnist_cnn.server.settings import Settings, load_settings

_DESCRIPTION = """\
Reads handwritten digits: send an image, get the digit, its calibrated probability, and whether to trust it.

`curl --data-binary @digit.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict`
"""


def create_app(settings: Settings | None = None, recognizer: Recognizer | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: None for those of the environment.
        recognizer: None to load what the settings name, when a server starts the application, not before.

    Raises:
        InputError: A setting of the environment is out of range.
    """
    settings = settings or load_settings()
    app = FastAPI(
        title="mnist-cnn",
        version=version("mnist-cnn"),
        description=_DESCRIPTION,
        license_info={"name": "MIT"},
        lifespan=_lifespan,
        docs_url=None,  # ours loads nothing from other hosts
        redoc_url=None,
        redirect_slashes=False,  # to an address made of the request's own Host
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings, app.state.recognizer = settings, recognizer
    for room in (predict, model, health, metrics, inference, docs, page):
        app.include_router(room.router)
    if settings.collect:
        app.include_router(collect.router)
    documentation.install(app)
    problems.install(app)
    guards.install(app, settings)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    recognizer = app.state.recognizer or load_recognizer(settings)
    if recognizer.choice.remark:
        make_logger(settings).info("scale", origin=recognizer.choice.origin, remark=recognizer.choice.remark)
    reader = Reader(recognizer, max_pending=settings.max_pending, max_pixels=settings.max_pixels)
    if settings.collect:
        app.state.collection = open_collection(settings.collect, recognizer.class_names, settings.collect_limit)
        if not settings.own_names:
            make_logger(settings).warning("collecting under any name: set MNIST_CNN_SERVE_HOSTS to the page's own")
    app.state.model, app.state.card = describe(recognizer, settings), read_card(settings.model)
    app.state.model_name = model_name(settings.model)  # once, since folders may be moved meanwhile
    app.state.reader = reader
    _settle()
    try:
        yield
    finally:
        app.state.reader = app.state.model = None  # not ready any more
        await reader.close()


def load_recognizer(settings: Settings) -> Recognizer:
    """Load the model that the settings name, to compute in the caller's thread: requests share the cores already.

    Raises:
        InputError: It cannot be read.
    """
    return Recognizer.load(settings.model, threads=1, threshold=settings.threshold, scale=settings.scale)


def _settle() -> None:
    """Set what holds for the whole process, once everything is loaded."""
    cv2.setNumThreads(1)  # requests share the cores already
    warnings.filterwarnings("ignore", module="PIL")  # on odd pictures that can still be read
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings quote bytes of what was sent
    gc.collect()
    gc.freeze()  # what is loaded now stays: looking for garbage in it would hold up requests for 50 ms at a time
