"""Data sets: MNIST and similar ones by name, the user's own by path, all as a `Dataset` of 28×28 grey images."""

from __future__ import annotations

from mnist_cnn.datasets.addition import blend, load_addition
from mnist_cnn.datasets.catalog import ResolvedDataset, list_datasets, load_dataset, resolve_dataset
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.datasets.split import divide, split_validation, take_per_class
from mnist_cnn.reading.conventions import IMAGE_SIZE

__all__ = [
    "DIGIT_NAMES",
    "IMAGE_SIZE",
    "Dataset",
    "ResolvedDataset",
    "blend",
    "divide",
    "list_datasets",
    "load_addition",
    "load_dataset",
    "resolve_dataset",
    "split_validation",
    "take_per_class",
]
