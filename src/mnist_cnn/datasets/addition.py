"""Images of the user's own, learnt beside a data set: a few of some of its classes, none held out."""

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

    Where they are divided into train and test, those of train; else all of them, however few they are.

    Args:
        path: As `load_dataset` takes it: a folder of class folders, IDX files, an `.npz`.
        class_names: Of the other data set; those of the folder are among them.

    Returns:
        The images; the notice says which files beside them were passed over.

    Raises:
        DataError: Nothing there, the files are damaged or hold no images, or a class that the other data set lacks.
    """
    from mnist_cnn.datasets.local import read_path  # Pillow is slow to import

    if not path.exists():
        raise DataError(f"there are no images to add at {path}. Give a folder with one sub-folder of images per class.")
    own = read_path(path, "train").with_classes(class_names)
    return replace(own, split="train", notice="; ".join(filter(None, (own.notice, _notice(path)))))


def _notice(path: Path) -> str:
    """Say which files were not learnt from: of a few images each one counts."""
    from mnist_cnn.datasets.image_folder import find_passed_over

    files = find_passed_over(path) if path.is_dir() else []
    if len(files) > 1:
        return f"passed over {len(files)} files whose suffix is not that of an image format, the first: {files[0]}"
    return f"passed over {files[0]}, whose suffix is not that of an image format" if files else ""


def blend(dataset: Dataset, added: Dataset, share: float) -> Dataset:
    """Give both as one, the added images repeated until they are a share of it, each at least once.

    What a network is no longer shown it forgets (McCloskey & Cohen 1989), and what makes up a thousandth of the
    images it hardly learns: hence neither the one alone nor both as they are.

    Args:
        dataset: The many.
        added: The few, of the same classes.
        share: Of the added ones among all, 0 < share < 1.
    """
    count = max(len(added), round(len(dataset) * share / (1 - share)))
    repeated = added.subset(np.resize(np.arange(len(added)), count))
    return replace(
        dataset,
        images=np.concatenate([dataset.images, repeated.images]),
        labels=np.concatenate([dataset.labels, repeated.labels]),
    )
