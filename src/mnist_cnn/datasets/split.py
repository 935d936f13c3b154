"""Parts of a data set: validation, a test set if there is none, a few images per class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.errors import DataError, MissingExtraError, SettingError, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.datasets.dataset import Dataset

HELD_OUT = 0.2  # of a source without a test set
_HELD_OUT_SEED = 0  # the same for every run, so that no run trains on the test images of another


def split_validation(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """Hold out a validation set, stratified by class; the same for the same seed.

    Args:
        dataset: Both parts keep its order.
        fraction: Share of the images, 0 ≤ fraction < 1; the validation set has `round(n × fraction)` images.
        seed: Chooses which.

    Returns:
        The rest for training, and the validation set, None for a fraction of 0.

    Raises:
        SettingError: The fraction is out of range.
        DataError: There are too few images for every class to be in both parts.
    """
    if not 0 <= fraction < 1:
        raise SettingError(f"the validation fraction is {fraction}; valid is 0 (none) or more, and less than 1.")
    if fraction == 0:
        return dataset, None
    kept, held_out = _stratified(dataset, fraction, seed)
    return dataset.subset(kept), replace(dataset.subset(held_out), split="validation")


def divide(dataset: Dataset, *, per_class: int, validation: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """Return the images for training and for validation, according to a configuration's `data`.

    Args:
        dataset: The whole training split.
        per_class: Number of images per class; 0 for all.
        validation: Share of them that is held out, 0 ≤ validation < 1.
        seed: Chooses both.

    Raises:
        InputError: There are too few images.
    """
    chosen = take_per_class(dataset, per_class, seed) if per_class else dataset
    return split_validation(chosen, validation, seed)


def hold_out_test(dataset: Dataset, split: str) -> Dataset:
    """Return the "train" or "test" part of an unsplit set: a fixed, stratified 20 % is the test set.

    Raises:
        DataError: There are too few images for every class to be in both parts.
    """
    kept, held_out = _stratified(dataset, HELD_OUT, _HELD_OUT_SEED)
    return replace(dataset.subset(held_out if split == "test" else kept), split=split)


def take_per_class(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Draw `count` images of each class, for experiments with little data.

    Args:
        dataset: The result keeps its order.
        count: Images per class, 1 or more.
        seed: Chooses which.

    Raises:
        SettingError: A class has fewer than `count` images.
    """
    sizes = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    smallest = int(sizes.argmin())
    if not 1 <= count <= sizes[smallest]:
        raise SettingError(
            f"{count} images per class are not possible: valid are 1 to {sizes[smallest]}, "
            f"the size of class {dataset.class_names[smallest]!r} in {dataset.source}."
        )
    generator = np.random.default_rng(seed)
    classes = range(len(dataset.class_names))
    drawn = [generator.choice(np.flatnonzero(dataset.labels == label), count, replace=False) for label in classes]
    return dataset.subset(np.sort(np.concatenate(drawn)))


def _stratified(dataset: Dataset, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    try:
        from sklearn.model_selection import train_test_split  # slow to import
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    count = round(len(dataset) * fraction)
    try:
        parts = train_test_split(np.arange(len(dataset)), test_size=count, stratify=dataset.labels, random_state=seed)
    except ValueError as error:  # too few images of a class or in a part
        raise DataError(
            f"{fraction:.3g} of the {len(dataset)} images of {dataset.source} cannot be held out: {first_line(error)}. "
            "Choose another fraction, add images, or train on them together with a data set: mnist-cnn train --add"
        ) from error
    kept, held_out = (np.sort(part) for part in parts)
    return kept, held_out
