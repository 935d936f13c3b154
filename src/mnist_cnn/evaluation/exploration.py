"""What a data set looks like before anything is trained on it."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.files import write_json
from mnist_cnn.reading.conventions import IMAGE_SIZE

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SAMPLES_PER_CLASS = 12  # columns of the sample grid


@dataclass(frozen=True)
class PixelStatistics:
    """The grey values (0 … 255) of all pixels of one split."""

    mean: float
    std: float
    share_of_zero: float  # 0 … 1
    quantiles: dict[str, float]  # of the pixels above 0, by share: {"0.5": 253.0}


@dataclass(frozen=True)
class InkExtent:
    """The size and the position of the ink, in pixels."""

    width: float  # of the box around all pixels above 0, median
    height: float
    offset: float  # distance from the image's centre to the centre of mass, median
    offset_95: float  # the same, 95 % quantile
    blank: int  # images without any ink; left out of the numbers above


@dataclass(frozen=True)
class Duplicates:
    """Groups of images that are equal in every pixel."""

    groups: tuple[tuple[tuple[str, int], ...], ...]  # each member as (split, index)
    within: dict[str, int]  # superfluous copies inside each split: members beyond the first
    across: int  # groups with members in several splits: test images that are also training images
    conflicting: int  # groups whose members have different labels


@dataclass(frozen=True)
class Exploration:
    """What `explore` found; the dictionaries are by split."""

    dataset: str
    class_names: tuple[str, ...]
    class_counts: dict[str, list[int]]
    pixels: dict[str, PixelStatistics]
    ink: dict[str, InkExtent]
    duplicates: Duplicates


def explore(train: Dataset, test: Dataset) -> Exploration:
    """Describe a data set: classes, pixels, ink and exact duplicates."""
    splits = {"train": train, "test": test}
    return Exploration(
        dataset=train.name,
        class_names=train.class_names,
        class_counts={
            split: np.bincount(each.labels, minlength=len(each.class_names)).tolist() for split, each in splits.items()
        },
        pixels={split: pixel_statistics(each.images) for split, each in splits.items()},
        ink={split: ink_extent(each.images) for split, each in splits.items()},
        duplicates=find_duplicates(splits),
    )


def pixel_statistics(images: NDArray[np.uint8]) -> PixelStatistics:
    """Describe grey values from their histogram, which is exact and needs no float copy of the images."""
    counts = np.bincount(images.ravel(), minlength=256)  # [256]
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    ink = np.cumsum(counts[1:])
    quantiles = {str(share): float(np.searchsorted(ink, share * ink[-1]) + bool(ink[-1])) for share in QUANTILES}
    return PixelStatistics(mean, std, float(counts[0] / counts.sum()), quantiles)


def ink_extent(images: NDArray[np.uint8]) -> InkExtent:
    """Measure the box around the ink and the distance of its centre of mass from the centre (13.5, 13.5)."""
    inked = images[images.any(axis=(1, 2))]  # [m, 28, 28]
    blank = len(images) - len(inked)
    if not len(inked):
        return InkExtent(0.0, 0.0, 0.0, 0.0, blank)
    width, height = (float(np.median(_extents(inked, across))) for across in (1, 2))
    offsets = _mass_offsets(inked)
    return InkExtent(width, height, float(np.median(offsets)), float(np.quantile(offsets, 0.95)), blank)


def _extents(images: NDArray[np.uint8], across: int) -> NDArray[np.float64]:
    """Return the length from the first inked line to the last, [m]: columns for `across` 1, rows for 2."""
    inked = np.asarray(images.any(axis=across))  # [m, 28]
    return np.asarray(IMAGE_SIZE - inked[:, ::-1].argmax(axis=1) - inked.argmax(axis=1), dtype=np.float64)


def _mass_offsets(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    positions = np.arange(IMAGE_SIZE) - (IMAGE_SIZE - 1) / 2
    x, y = (images.sum(axis=across, dtype=np.int64) @ positions for across in (1, 2))  # [m]
    return np.asarray(np.hypot(x, y) / images.sum(axis=(1, 2), dtype=np.int64))


def class_means(dataset: Dataset) -> NDArray[np.float32]:
    """Average the images of each class, float32 [k, 28, 28], 0 … 255."""
    means = np.zeros((len(dataset.class_names), IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32)
    for label in np.unique(dataset.labels):
        means[label] = dataset.images[dataset.labels == label].mean(axis=0)
    return means


def find_duplicates(splits: dict[str, Dataset]) -> Duplicates:
    """Group images that are equal in every pixel, within and across the splits."""
    found: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for split, dataset in splits.items():
        for index, image in enumerate(dataset.images):
            found[image.tobytes()].append((split, index))
    groups = tuple(tuple(members) for members in found.values() if len(members) > 1)
    held = [Counter(split for split, _ in group) for group in groups]
    return Duplicates(
        groups=groups,
        within={split: sum(max(count[split] - 1, 0) for count in held) for split in splits},
        across=sum(len(count) > 1 for count in held),
        conflicting=sum(len({int(splits[split].labels[i]) for split, i in group}) > 1 for group in groups),
    )


def write_exploration(folder: Path, train: Dataset, test: Dataset) -> Exploration:
    """Explore a data set, and write `exploration.json` and the pictures into `folder`.

    Raises:
        WriteError: The folder cannot be written.
    """
    from mnist_cnn.evaluation.figures import classes, samples, style

    found = explore(train, test)
    names = found.class_names
    style.save(classes.class_distribution(found.class_counts, names), folder / "class-distribution.png")
    style.save(samples.sample_grid(*sample_rows(train), names), folder / "samples.png")
    style.save(samples.mean_images(class_means(train), names), folder / "mean-images.png")
    write_json(folder / "exploration.json", dataclasses.asdict(found))
    return found


def sample_rows(dataset: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Select the first images of each class: uint8 [m, 28, 28], and their labels [m], by class."""
    chosen = [np.flatnonzero(dataset.labels == label)[:SAMPLES_PER_CLASS] for label in range(len(dataset.class_names))]
    indices = np.concatenate(chosen)
    return dataset.images[indices], dataset.labels[indices]
