"""What every source of data returns: a set of small grey images with their labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.class_names import find_class
from mnist_cnn.errors import DataError, suggest
from mnist_cnn.reading.conventions import IMAGE_SIZE as IMAGE_SIZE  # also for importers of this module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DIGIT_NAMES = tuple("0123456789")


@dataclass(frozen=True, eq=False)
class Dataset:
    """One set of labelled images in memory.

    Raises:
        DataError: Shapes or labels do not fit together, or there are no images.
    """

    name: str  #: as the user specified it, such as "mnist", "digits" or a path
    split: str  #: "train", "validation", "test", or "all" if it is not split
    images: NDArray[np.uint8]  #: [n, 28, 28], 0 is background, 255 full ink
    labels: NDArray[np.int64]  #: [n], 0 … len(class_names) - 1
    class_names: tuple[str, ...]  #: by label
    source: str  #: where it was found, for people
    notice: str = ""  #: for the user, such as a fallback

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
            raise DataError(f"{self.source}: images have shape {self.images.shape}, expected (n, 28, 28).")
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{self.source}: {len(self.images)} images but {len(self.labels)} labels; the numbers must agree."
            )
        if len(self.labels) == 0:
            raise DataError(f"{self.source}: there are no images; at least one is needed.")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.class_names):
            raise DataError(
                f"{self.source}: label {low if low < 0 else high} is out of range; "
                f"valid are 0 to {len(self.class_names) - 1}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: NDArray[np.int64]) -> Dataset:
        """Return the images at `indices`, int [m], as a data set."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def with_classes(self, class_names: Sequence[str]) -> Dataset:
        """Number the labels as another data set or a model does.

        Args:
            class_names: All classes of the other, possibly in another style.

        Raises:
            DataError: A class of these images is not among them.
        """
        places = np.zeros(len(self.class_names), np.int64)
        for label in np.unique(self.labels):
            name = self.class_names[label]
            place = find_class(name, class_names)
            if place is None:
                raise DataError(
                    f"{self.source} has images of class {name!r}, which the data set does not have. "
                    f"{suggest(name, class_names)}"
                )
            places[label] = place
        return replace(self, labels=places[self.labels], class_names=tuple(class_names))

    def numbered_for(self, outputs: int) -> Dataset:
        """Number some of the ten digits, in any style, as a model with ten outputs does; otherwise change nothing."""
        are_digits = all(find_class(name, DIGIT_NAMES) is not None for name in self.class_names)
        if are_digits and len(self.class_names) < outputs == len(DIGIT_NAMES):
            return self.with_classes(DIGIT_NAMES)
        return self

    def checksum(self) -> str:
        """Return the SHA-256 (hexadecimal) over the image bytes followed by the label bytes.

        Labels count as uint8, as in MNIST's files, or as little-endian int64 if one is above 255.
        """
        digest = hashlib.sha256(self.images.tobytes())
        digest.update(self.labels.astype("u1" if self.labels.max() < 256 else "<i8").tobytes())
        return digest.hexdigest()
