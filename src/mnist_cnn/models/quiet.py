"""TensorFlow without its native log lines at start."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mnist_cnn.errors import SettingError, suggest

_BACKENDS = ("tensorflow", "jax", "torch")


def start_keras() -> None:
    """Import Keras and, if it is the backend, TensorFlow, with their start-up messages hidden.

    TensorFlow's native code writes to file descriptor 2 before any setting can silence it. Its messages are shown if
    the import fails; set TF_CPP_MIN_LOG_LEVEL=0 to see them always.
    """
    backend = os.environ.get("KERAS_BACKEND", _BACKENDS[0])
    if backend not in _BACKENDS:
        raise SettingError(f"KERAS_BACKEND={backend} is not a supported backend. {suggest(backend, _BACKENDS)}")
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        from mnist_cnn.models.backend import keras

        return
    with native_messages_held_back():
        from mnist_cnn.models.backend import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.constant(0)  # the first operation initialises the devices and logs that
            logging.getLogger("tensorflow").setLevel(logging.ERROR)  # no warning that several networks are compiled


@contextmanager
def native_messages_held_back() -> Iterator[None]:
    """Hide what native code writes to standard error, unless the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except Exception:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
