"""The user's own images, added to the training images of a data set: a few of some classes, none held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnist_cnn.datasets.dataset import Dataset


def load_addition(path: Path, class_names: Sequence[str]) -> Dataset:
    """Load the images at a path, labelled as the classes of another data set.

    If they are divided into train and test, those of train; otherwise all of them, however few they are.

    Args:
        path: As for `load_dataset`: a folder of class folders, IDX files, an `.npz`.
        class_names: Of the other data set, which must include those of the images.

    Returns:
        The images; the notice says which files beside them were skipped.

    Raises:
        DataError: The path does not exist, is damaged or has no images, or a class is not in `class_names`.
    """
    from mnist_cnn.datasets.image_folder import find_skipped
    from mnist_cnn.datasets.local import read_path  # Pillow is slow to import

    if not path.exists():
        raise DataError(f"there are no images to add at {path}. Give a folder with one subfolder of images per class.")
    own = read_path(path, "train").with_classes(class_names)
    skipped = find_skipped(path) if path.is_dir() else []
    remarks = [f"skipped {file}, which does not have the suffix of an image format" for file in skipped]
    return replace(own, split="train", notice="; ".join(filter(None, (own.notice, *remarks))))


def blend(dataset: Dataset, added: Dataset, share: float) -> Dataset:
    """Combine two data sets. The added images are repeated to make up a share of the result, each at least once.

    A network forgets what it is no longer shown (McCloskey & Cohen 1989), and hardly learns from a thousandth of its
    images.

    Args:
        dataset: Many images.
        added: A few images of the same classes.
        share: Share of the added images in the result, 0 < share < 1.
    """
    count = max(len(added), round(len(dataset) * share / (1 - share)))
    repeated = added.subset(np.resize(np.arange(len(added)), count))
    return replace(
        dataset,
        images=np.concatenate([dataset.images, repeated.images]),
        labels=np.concatenate([dataset.labels, repeated.labels]),
    )
