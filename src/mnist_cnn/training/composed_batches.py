"""Batches with composed pictures.

Composing a picture takes as long as training on it several times, so each one is used repeatedly, distorted anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mnist_cnn.config import Config
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.datasets.split import divide
from mnist_cnn.errors import SettingError
from mnist_cnn.training.batches import Batches, Composed
from mnist_cnn.training.composed_pictures import ComposedPictures, compose
from mnist_cnn.training.loss import encode_labels

_VARIETY = 4  # distinct pictures per picture of an epoch
_MARKED = 0.4  # share of the composed digits that are real ones with stray marks, if the settings ask for marks


def check_composed(config: Config, dataset: Dataset) -> None:
    """Check that digits can be composed for a data set if the configuration asks for them.

    Raises:
        SettingError: The classes are not the ten digits.
    """
    if config.training.composed and dataset.class_names != DIGIT_NAMES:
        raise SettingError(
            f"training.composed = {config.training.composed:g} draws the digits 0 to 9, but {dataset.name} has the "
            f"classes {', '.join(dataset.class_names[:12])}. Use training.composed = 0."
        )


def mix_in_composed(
    batches: Batches,
    config: Config,
    dataset: Dataset,
    file: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Batches:
    """Add the composed pictures that the configuration asks for; without any, the batches stay as they are.

    Args:
        batches: Of the same run.
        config: The run's settings. The pictures depend on them and on the digits alone.
        dataset: The training split; digits are traced from the part that is not held out.
        file: Where to find the pictures, or to save them; None to keep them in memory alone.
        note: Receives what takes long.
    """
    share = config.training.composed
    if not share:
        return batches
    pictures = _load_saved(file, note) if file and file.exists() else None
    if not pictures:
        pictures = _compose_for(config, dataset, note)
        if file:
            pictures.save(file)
    targets = encode_labels(pictures.labels, len(DIGIT_NAMES), config.training.loss)
    return replace(batches, composed=Composed(pictures.images, targets, pictures.outliers, share))


def _load_saved(file: Path, note: Callable[[str], None]) -> ComposedPictures | None:
    try:
        return ComposedPictures.load(file)
    except (MemoryError, PermissionError):
        raise
    except Exception:  # zipfile, zlib and NumPy raise many kinds for a damaged file
        note(f"{file} is damaged, so its pictures are composed again")
        return None


def _compose_for(config: Config, dataset: Dataset, note: Callable[[str], None]) -> ComposedPictures:
    data = config.data
    training, _ = divide(dataset, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    shares = config.training.composed, config.training.outliers
    digits, outliers = (math.ceil(len(training) * _VARIETY * share) for share in shares)
    note(f"composing {digits:,} pictures of digits and {outliers:,} of other things; each takes about 5 ms of a core")
    marked = _MARKED if config.augmentation.marks else 0.0
    return compose(training, digits, outliers, config.training.seed, marked=marked)
