"""TensorFlow's SavedModel: a folder with one signature, `serving_default`, from `image` to `probabilities`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.formats.format import KERAS, TENSORFLOW, Format, Reader
from mnist_cnn.export.metadata_files import read_json, write_json

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original
    from mnist_cnn.models.backend import keras
    from mnist_cnn.reading.metadata import ModelMetadata

METADATA = Path("assets.extra", "metadata.json")  # TensorFlow reserves this folder for additional files


def write(original: Original, folder: Path) -> None:
    """Write the network as a TensorFlow graph, without optimizer or training signatures."""
    write_model(original.model, folder)


def write_model(model: keras.Model, folder: Path, batch: int | None = None) -> None:
    """Write any network for batches of one size, or of any size; see `write`.

    Raises:
        SettingError: Keras runs on another backend, whose networks TensorFlow cannot trace.
    """
    from mnist_cnn.models.backend import keras, require_tensorflow
    from mnist_cnn.models.foreign import IMAGE_SHAPE

    require_tensorflow("this format is written")
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda image: {OUTPUT: model(image, training=False)},
        input_signature=[tf.TensorSpec((batch, *IMAGE_SHAPE), tf.float32, name=INPUT)],
    )
    archive.write_out(folder, verbose=False)


def stamp(folder: Path, metadata: ModelMetadata) -> None:
    """Write the metadata into `assets.extra`."""
    (folder / METADATA).parent.mkdir(exist_ok=True)
    write_json(folder / METADATA, metadata)


def open_reader(folder: Path) -> Reader:
    """Open a SavedModel that this process has just written. Never open others: a SavedModel is a program."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))

    def read(images: NDArray[np.float32]) -> NDArray[np.float32]:
        answers = loaded.signatures["serving_default"](**{INPUT: tf.constant(images)})
        return np.asarray(answers[OUTPUT])

    return read


FORMATS = (
    Format(
        "savedmodel", "saved_model", "TensorFlow", (KERAS, TENSORFLOW),
        write, stamp, partial(read_json, member=METADATA), open_reader, is_folder=True,
    ),
)  # fmt: skip
