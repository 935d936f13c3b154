"""Knowledge distillation: a network learns from the answers of another one, its teacher.

The loss is that of Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network": both answers are
softened by a temperature T, and their divergence is multiplied by T², which keeps its gradients as large as those of
the labels. The teacher answers for exactly the image that the network sees, distorted in the same way (Beyer et al.
2022, "Knowledge distillation: a good teacher is patient and consistent").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import Config, ModelConfig
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import SettingError
from mnist_cnn.models.backend import keras, layers, ops
from mnist_cnn.models.folding import fold_batchnorm
from mnist_cnn.training.batches import Batches
from mnist_cnn.training.transfer import open_start

_TINIEST = 1e-30  # probabilities below count as this; a float32 can still tell it from 0
_AT_ONCE = 1024  # images per answer of the teacher
LABELS, TEACHER = 0, 1  # in a target [2, k]
_IN_PRECISION = (layers.Conv2D, layers.DepthwiseConv2D, layers.ReLU, layers.MaxPooling2D)


class Teacher:
    """Answers for training images, beside their labels."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def add_to(self, targets: NDArray[np.float32], images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Put the teacher's answers beside the labels.

        Outliers, whose label is every class equally, keep that as the teacher's answer: most teachers were never shown
        any.

        Args:
            targets: [b, k], one-hot or uniform rows.
            images: [b, 28, 28, 1], 0 to 255.

        Returns:
            [b, 2, k], the labels and the answers.
        """
        starts = range(0, len(images), _AT_ONCE)
        answers = np.concatenate([self._model.predict_on_batch(images[at : at + _AT_ONCE]) for at in starts])
        is_digit = targets.max(axis=1, keepdims=True) > 0.5
        return np.stack([targets, np.where(is_digit, answers, targets)], axis=1).astype(np.float32)


def quick_copy(model: keras.Model, precision: str) -> keras.Model:
    """Copy a network so that it answers faster: batch normalisations are folded into convolutions before them.

    Args:
        model: [n, 28, 28, 1], grey levels 0 to 255, to probabilities. It is not changed.
        precision: Keras' dtype policy, `float32` or `mixed_bfloat16`, of its convolutions and what lies between them.
            Convolutions that give scores of classes stay in float32.
    """
    folded = fold_batchnorm(model)
    classes = model.output_shape[-1]

    def clone(layer: Any) -> Any:
        is_quick = type(layer) in _IN_PRECISION and getattr(layer, "filters", 0) != classes
        dtype = {"dtype": precision} if is_quick else {}
        return type(layer).from_config({**layer.get_config(), **dtype})

    copy = keras.models.clone_model(folded, clone_function=clone)
    copy.set_weights(folded.get_weights())
    return copy


def open_teacher(config: Config, dataset: Dataset, precision: str, note: Callable[[str], None]) -> Teacher | None:
    """Open the teacher that a configuration names; None without one.

    Args:
        config: The run's settings.
        dataset: The training split.
        precision: In which it answers; that of training.
        note: Receives how a third-party model was adapted.

    Raises:
        ModelFileError: There is no such model, or it cannot be used.
        SettingError: It has other classes than the data.
    """
    name = config.distillation.teacher
    if not name:
        return None
    model = open_start(ModelConfig(init_from=name), dataset, note)
    classes, wanted = model.output_shape[-1], len(dataset.class_names)
    if classes != wanted:
        raise SettingError(
            f"the teacher {name} has {classes} classes, but {dataset.name} has {wanted}. Give a teacher that was "
            "trained on the same classes."
        )
    return Teacher(quick_copy(model, precision))


def ask_teacher(batches: Batches, held_out: Any, teacher: Teacher | None) -> tuple[Batches, Any]:
    """Let the teacher answer for all training batches, and once for the validation images; without one, do nothing.

    Args:
        batches: With one-hot targets.
        held_out: Images uint8 [n, 28, 28, 1] and their one-hot targets, or None.
        teacher: From `open_teacher`.
    """
    if teacher is None:
        return batches, held_out
    if held_out:
        images, targets = held_out
        held_out = images, teacher.add_to(targets, images)
    return replace(batches, teacher=teacher), held_out


class DistillationLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no type information
    """(1 - weight) · cross-entropy with the labels + weight · T² · Kullback-Leibler divergence from the teacher."""

    def __init__(self, temperature: float, weight: float, label_smoothing: float = 0.0) -> None:
        super().__init__(name="distillation")
        self._temperature = temperature
        self._weight = weight
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of each image, [b], from targets [b, 2, k] and probabilities [b, k]."""
        hard = keras.losses.categorical_crossentropy(y_true[:, LABELS], y_pred, label_smoothing=self._label_smoothing)
        teacher, network = (self._soften(answers) for answers in (y_true[:, TEACHER], y_pred))
        divergence = ops.sum(ops.exp(teacher) * (teacher - network), axis=-1)
        return (1 - self._weight) * hard + self._weight * self._temperature**2 * divergence

    def _soften(self, probabilities: Any) -> Any:
        """Return logarithms; those of the softmax's input, up to a constant, are those of its output."""
        return ops.log_softmax(ops.log(ops.maximum(probabilities, _TINIEST)) / self._temperature, axis=-1)
