"""Several networks as one: a plain Keras model whose probabilities are the mean of theirs.

The mean of probabilities is the usual way to combine networks (Lakshminarayanan, Pritzel & Blundell 2017, "Simple and
scalable predictive uncertainty estimation using deep ensembles"). The layers of all members lie in one model and end in
one `Average` layer, so an average is saved, exported and evaluated like any other network.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnist_cnn.errors import ModelFileError
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.foreign import IMAGE_SHAPE, fits, rebuild
from mnist_cnn.reading.conventions import ENSEMBLE_NAME


def average_models(members: Sequence[keras.Model]) -> keras.Model:
    """Build one model from several, with copies of their weights.

    Args:
        members: Two or more models as `open_model` returns them: [n, 28, 28, 1], grey levels 0 to 255, to probabilities
            of the same classes. Their layers are renamed.

    Returns:
        A float32 model that is not compiled. All layers are its own; those of the second member are called
        `member2_conv2d` and so on.

    Raises:
        ModelFileError: The members differ in their number of classes, or take other images.
    """
    shapes = [member.output_shape for member in members]
    if len(set(shapes)) > 1 or not all(fits(member) for member in members):
        raise ModelFileError(
            f"these networks cannot be averaged: they return {', '.join(map(str, shapes))}. Give networks with the "
            "same number of classes that take grey levels (None, 28, 28, 1) and return probabilities."
        )
    image = keras.Input(IMAGE_SHAPE, name="image")
    answers = []
    for number, member in enumerate(members, 1):
        for layer in member.layers:
            layer.name = f"member{number}_{layer.name}"
        inner = keras.Model(member.inputs[0], member.outputs[0], name=f"member{number}")
        answers.append(inner(image))
    mean = layers.Average(name="mean")(answers)  # m times (B, classes) → (B, classes)
    return rebuild(keras.Model(image, mean, name=ENSEMBLE_NAME))
