"""The application for any ASGI server: `uvicorn mnist_cnn.server.asgi:app`, settings from the environment."""

from __future__ import annotations

import logging.config

from mnist_cnn.server.application import create_app
from mnist_cnn.server.logs import make_log_config
from mnist_cnn.server.settings import load_settings

settings = load_settings()
logging.config.dictConfig(make_log_config(settings))  # else uvicorn writes queries into a log of its own
app = create_app(settings)
