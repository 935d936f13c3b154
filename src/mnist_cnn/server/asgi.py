"""The application for any ASGI server: settings come from the environment.

For example: `granian --interface asgi mnist_cnn.server.asgi:app`.
"""

from __future__ import annotations

import logging.config

from mnist_cnn.server.application import create_app
from mnist_cnn.server.logs import make_log_config
from mnist_cnn.server.settings import load_settings

settings = load_settings()
logging.config.dictConfig(make_log_config(settings))  # access logs of servers would contain query strings
app = create_app(settings)
