"""The user's own images, trained on beside a data set: a few of some of its classes, none held out."""

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
    from mnist_cnn.datasets.local import read_path  # Pillow is slow to import

    if not path.exists():
        raise DataError(f"there are no images to add at {path}. Give a folder with one subfolder of images per class.")
    own = read_path(path, "train").with_classes(class_names)
    return replace(own, split="train", notice="; ".join(filter(None, (own.notice, _describe_skipped(path)))))


def _describe_skipped(path: Path) -> str:
    """Say which files were skipped: among a few images each one counts."""
    from mnist_cnn.datasets.image_folder import find_skipped

    files = find_skipped(path) if path.is_dir() else []
    if len(files) > 1:
        return f"skipped {len(files)} files without the suffix of an image format, the first: {files[0]}"
    return f"skipped {files[0]}, which does not have the suffix of an image format" if files else ""


def blend(dataset: Dataset, added: Dataset, share: float) -> Dataset:
    """Give both as one, the added images repeated to make up a share of it, each at least once.

    A network forgets what it is no longer shown (McCloskey & Cohen 1989), and hardly learns what makes up a thousandth
    of its images. Therefore it is trained on both, in a fixed proportion.

    Args:
        dataset: The many.
        added: The few, of the same classes.
        share: Of the added images among all, 0 < share < 1.
    """
    count = max(len(added), round(len(dataset) * share / (1 - share)))
    repeated = added.subset(np.resize(np.arange(len(added)), count))
    return replace(
        dataset,
        images=np.concatenate([dataset.images, repeated.images]),
        labels=np.concatenate([dataset.labels, repeated.labels]),
    )
