"""This project's training as a scikit-learn classifier, for pipelines, cross-validation and parameter searches.

A fitted classifier stores its network as the bytes of an ONNX file: it can be pickled and copied like any estimator,
and predicts without Keras.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import numbers
import os
import random
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.config import DEFAULT_RECIPE, DEFAULT_SMALL_RECIPE, Config, load_recipe, override
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import MissingExtraError
from mnist_cnn.reading.conventions import IMAGE_SIZE
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer.session import start_session
from mnist_cnn.runs import Row, create_run

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("scikit-learn", "train") from error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

AUTO = "auto"
_FEW = 10_000  # images; with fewer, the epochs of the default recipe have too few steps
_BOX = 20  # pixels: MNIST fits digits into 20×20, which leaves a margin for distortions
_FULL_INK = 255
_PORTION = 1000  # images prepared and predicted together
_KERAS = threading.Lock()  # Keras' seed and dtype policy are global: one training at a time


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A convolutional network, trained with one of this project's recipes.

    Images are flat rows [n, h·w] or arrays [n, h, w] or [n, h, w, 1], in any range of values: the smallest value in
    `fit` becomes the background, 0, and the largest becomes full ink, 255, so ink must have the larger values. Flat
    rows are interpreted as squares, padded with background to the next square number, so that any table of numbers can
    be learnt. Images that are not 28×28 are scaled with their aspect ratio: larger ones to 28×28, smaller ones to the
    20×20 of MNIST's digits.

    Args:
        recipe: A recipe's name or the path of its TOML file; `auto` is `quick`, or `small` below 10,000 images.
        epochs: Passes over the images; None for the recipe's own number.
        validation: Share of the images, 0 to below 1, that is held out to choose the best epoch, if the recipe does so.
            With 0, the network learns from all images.
        settings: Any settings of the recipe by their dotted names, such as `{"training.batch_size": 64}`. They take
            precedence over the other parameters.
        random_state: An integer fixes initial weights, order of images and distortions: the same fit gives the same
            network, bit for bit on the same machine (TensorFlow's operations become deterministic in the whole process,
            at some cost in speed). None draws new ones for each fit, at full speed.

    Attributes:
        classes_: The sorted labels, of any kind that scikit-learn accepts.
        model_: The network as the bytes of an ONNX file: float32 `image` [n, 28, 28, 1], grey levels 0 to 255 →
            float32 `probabilities` [n, k]. `Recognizer.load` reads it from a file; because that converts every image
            to MNIST's form, it works best if `fit` was given such images.
        history_: One row per finished epoch: loss, accuracy, learning rate, seconds.
        value_range_: The smallest and the largest value in `fit`.
        image_shape_: Height and width of the images in `fit`.
        n_features_in_: The number of pixels, or the length of the flat rows.
    """

    def __init__(
        self,
        recipe: str | os.PathLike[str] = AUTO,
        *,
        epochs: int | None = None,
        validation: float = 0.0,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.validation = validation
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> DigitClassifier:  # noqa: N803 - scikit-learn's name
        """Train on images `X` with labels `y` [n]. A fit that fails or is interrupted does not change the estimator.

        Raises:
            ValueError: Images and labels do not match, are not numbers, or there are fewer than 2 classes.
            InputError: A parameter is unknown or out of range.
            DivergedError: The loss became NaN or infinite.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        before = vars(self).copy()
        try:
            self._fit(X, y)
        except BaseException:
            self.__dict__ = before
            raise
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class, float32 [n, k], in the order of `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError: The images have another size than those in `fit`, or are not numbers.
        """
        check_is_fitted(self)
        self._check_shape(X)
        rows = validate_data(self, _flat(X), reset=False)
        # Opened for each call: it takes milliseconds, and sessions can be neither pickled nor used after a fork.
        session = start_session(self.model_, "model_")
        return np.concatenate([_run(session, self._to_images(portion)) for portion in _portions(rows)])

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image, [n].

        Raises:
            NotFittedError: `fit` was not called.
            ValueError: The images have another size than those in `fit`, or are not numbers.
        """
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _fit(self, X: ArrayLike, y: ArrayLike) -> None:  # noqa: N803
        rows, labels = validate_data(self, _flat(X), y)
        check_classification_targets(labels)
        self.classes_, numbered = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_.tolist()}; a classifier needs at least 2.")
        side = math.isqrt(rows.shape[1] - 1) + 1  # of the smallest square that contains a flat row
        self.image_shape_ = _picture_shape(X) or (side, side)
        self.value_range_ = float(rows.min()), float(rows.max())
        dataset = Dataset(
            name="fit",
            split="train",
            images=np.concatenate([self._to_images(portion) for portion in _portions(rows)]),
            labels=numbered.astype(np.int64),
            class_names=tuple(str(label) for label in self.classes_),
            source="the images given to fit",
        )
        self.model_, self.history_ = _train(self._config(len(rows)), dataset)

    def _config(self, count: int) -> Config:
        """Return the recipe for `count` images with this estimator's parameters."""
        fitting = DEFAULT_SMALL_RECIPE if count < _FEW else DEFAULT_RECIPE
        changes: dict[str, Any] = {
            "data.validation": self.validation,
            "training.seed": _seed(self.random_state),
            "training.deterministic": self.random_state is not None,
        }
        if self.epochs is not None:
            changes["training.epochs"] = self.epochs
        changes |= self.settings or {}
        recipe = load_recipe(fitting if self.recipe == AUTO else self.recipe)
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in changes.items()}
        return override(recipe, plain)

    def _check_shape(self, X: ArrayLike) -> None:  # noqa: N803
        """Refuse images with as many pixels as those in `fit`, but another shape."""
        shape = _picture_shape(X)
        if shape and shape != self.image_shape_:
            height, width = self.image_shape_
            raise ValueError(
                f"the images are {shape[0]}×{shape[1]}, but fit was given {height}×{width}. Scale them to that size."
            )

    def _to_images(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        """Convert flat rows [n, f] of any numbers to MNIST's form: uint8 [n, 28, 28]."""
        low, high = self.value_range_
        gain = _FULL_INK / (high - low) if high > low else 0.0
        grey = np.clip((rows - low) * gain, 0, _FULL_INK).astype(np.float32)
        height, width = self.image_shape_
        missing = height * width - rows.shape[1]
        pictures = np.pad(grey, [(0, 0), (0, missing)]).reshape(-1, height, width)
        if (height, width) != (IMAGE_SIZE, IMAGE_SIZE):
            pictures = np.stack([scale_picture(picture) for picture in pictures])
        return np.rint(pictures).astype(np.uint8)


def _train(config: Config, dataset: Dataset) -> tuple[bytes, list[Row]]:
    """Train in a temporary folder, and return the network as ONNX and its history."""
    # Importing Keras takes seconds, and prediction does not need it.
    from mnist_cnn.export.onnx_graph import check_tools, to_onnx
    from mnist_cnn.training.trainer import train
    from mnist_cnn.training.transfer import open_start

    metadata = ModelMetadata(
        class_names=dataset.class_names,
        dataset=f"{len(dataset)} images given to DigitClassifier",
        architecture=config.model.architecture,
        package_version=importlib.metadata.version("mnist-cnn"),
    )
    with _KERAS, _global_generators_kept(), tempfile.TemporaryDirectory(prefix="mnist-cnn-") as folder:
        if config.model.init_from:
            check_tools(open_start(config.model, dataset, lambda _: None))
        run = create_run(Path(folder), "fit")
        result = train(config, dataset, run)
        if result.interrupted:
            raise KeyboardInterrupt
        return to_onnx(result.model, metadata), run.read_json(run.history_json)


@contextlib.contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Restore Python's and NumPy's global generators, which Keras seeds: they belong to the caller."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _run(session: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities [n, k] of images [n, 28, 28]."""
    probabilities: NDArray[np.float32] = session.run(None, {"image": images[..., np.newaxis].astype(np.float32)})[0]
    return probabilities


def _portions(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (rows[start : start + _PORTION] for start in range(0, len(rows), _PORTION))


def _flat(X: ArrayLike) -> Any:  # noqa: N803
    """Flatten images; anything else goes to scikit-learn's checks unchanged."""
    shape = _picture_shape(X)
    return np.asarray(X).reshape(-1, math.prod(shape)) if shape else X


def _picture_shape(X: ArrayLike) -> tuple[int, int] | None:  # noqa: N803
    """Return the height and width of images [n, h, w] or [n, h, w, 1]; None for anything else."""
    shape = X.shape if hasattr(X, "shape") else np.shape(np.asarray(X))
    if len(shape) not in (3, 4):
        return None
    _, height, width, *channels = shape
    return (height, width) if height * width and channels in ([], [1]) else None


def scale_picture(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale an image [h, w], 0 to 255, into the middle of 28×28."""
    longer = max(picture.shape)
    box = IMAGE_SIZE if longer > IMAGE_SIZE else _BOX
    height, width = (max(1, round(side * box / longer)) for side in picture.shape)
    interpolation = cv2.INTER_AREA if longer > box else cv2.INTER_CUBIC
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    scaled = cv2.resize(picture, (width, height), interpolation=interpolation)
    canvas[top : top + height, left : left + width] = np.clip(scaled, 0, _FULL_INK)  # cubic interpolation overshoots
    return canvas


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
