"""TensorFlow's SavedModel: a folder with one signature, `serving_default`, from `image` to `probabilities`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import SettingError
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.check import Reader
from mnist_cnn.export.metadata_files import IN_SAVED_MODEL, dump
from mnist_cnn.export.original import Original
from mnist_cnn.models.backend import keras
from mnist_cnn.models.persistence import INPUT_SHAPE
from mnist_cnn.reading.metadata import ModelMetadata


def write(original: Original, folder: Path) -> None:
    """Write the network as a graph of TensorFlow's, without optimizer or training signatures."""
    write_model(original.model, folder)


def write_model(model: keras.Model, folder: Path) -> None:
    """Write any network; see `write`.

    Raises:
        InputError: Keras computes on another backend, whose networks TensorFlow cannot trace.
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise SettingError(
            f"TensorFlow writes this format, but Keras runs on {keras.backend.backend()}. Run the command again with "
            "KERAS_BACKEND=tensorflow: the model file is the same on every backend."
        )
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda image: {OUTPUT: model(image, training=False)},
        input_signature=[tf.TensorSpec(INPUT_SHAPE, tf.float32, name=INPUT)],
    )
    archive.write_out(folder, verbose=False)


def stamp(folder: Path, metadata: ModelMetadata) -> None:
    """Put the metadata into `assets.extra`, which TensorFlow leaves to others."""
    place = folder / IN_SAVED_MODEL
    place.parent.mkdir(exist_ok=True)
    place.write_text(dump(metadata), encoding="utf-8")


def open_reader(folder: Path) -> Reader:
    """Open a SavedModel that this process has just written: a SavedModel is a program, so open no stranger's."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))

    def read(images: NDArray[np.float32]) -> NDArray[np.float32]:
        answers = loaded.signatures["serving_default"](**{INPUT: tf.constant(images)})
        return np.asarray(answers[OUTPUT])

    return read
