"""Pictures of whole numbers with known text, and pictures without a number, for `whole_numbers`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mnist_cnn.composition import marks
from mnist_cnn.composition.hands import Hand, Stroke
from mnist_cnn.composition.paper import picture
from mnist_cnn.composition.writing import compose_other, loose, tight
from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.number_folder import LABELS, read_number_folder
from mnist_cnn.reading.ink import read_image

SEED = 2**31  # of all composed pictures; no training uses it
LENGTHS = range(2, 11)  # digits of a string from MNIST
HEIGHT = 50.0  # pixels, of a digit in an empty field
ENLARGED = 4  # times, of pictures cut from documents
CLOTHES = 2000  # of Fashion-MNIST

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """One picture and what is written in it."""

    source: Path | Pixels
    text: str  #: empty without a number


def cut_from_documents(folder: Path) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield each folder of pictures within `folder` whose labels.csv has a column `text`."""
    for labels in sorted(folder.glob(f"*/{LABELS}")):
        with labels.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file), [])
        if "text" in columns:
            yield labels.parent.name, [Labelled(each.path, each.text) for each in read_number_folder(labels.parent)]


def enlarged(folder: Path) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield the pictures of `cut_from_documents` as cameras take them: large, so that a small number is looked for."""
    for name, pictures in cut_from_documents(folder):
        large = [Labelled(_enlarged(read_image(each.source)), each.text) for each in pictures]
        yield f"{name}, {ENLARGED} times as large", large


def mnist_strings(data_dir: Path | None, count: int) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield strings of MNIST's test images: whole images side by side, and images cut to their ink.

    Args:
        data_dir: Where MNIST's files are.
        count: Strings of each length.
    """
    digits = load_dataset("mnist", split="test", data_dir=data_dir)
    random = np.random.default_rng(SEED)
    chosen = [random.integers(len(digits.images), size=length) for length in LENGTHS for _ in range(count)]
    yield "MNIST, side by side", [_string(digits, each, list(digits.images[each])) for each in chosen]
    cut = [_string(digits, each, [_cut(image, random) for image in digits.images[each]]) for each in chosen]
    yield "MNIST, close together", cut


def without_number(count: int, fashion: Path | None) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield sets of pictures without a number: `count` of each kind that is drawn."""
    random = np.random.default_rng(SEED)
    yield "empty fields", [Labelled(_empty(random), "") for _ in range(count)]
    yield "crossed out", [Labelled(_drawn(_crossed_out(random), random), "") for _ in range(count)]
    yield "words", [Labelled(_drawn(marks.word(random), random), "") for _ in range(count)]
    yield "drawings", [Labelled(_drawn(marks.clutter(random), random), "") for _ in range(count)]
    if fashion:
        yield "clothes", [Labelled(image, "") for image in read_idx(fashion)[:CLOTHES]]


def _enlarged(image: Pixels) -> Pixels:
    large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def _string(digits: Dataset, chosen: NDArray[np.int64], images: list[Pixels]) -> Labelled:
    return Labelled(np.concatenate(images, axis=1), "".join(map(str, digits.labels[chosen])))


def _cut(image: Pixels, random: np.random.Generator) -> Pixels:
    """Cut the empty columns off, but for 1 to 3 on each side."""
    inked = np.flatnonzero(image.any(axis=0))
    left, right = random.integers(1, 4, 2)
    return image[:, max(0, inked[0] - left) : inked[-1] + right + 1]


def _empty(random: np.random.Generator) -> Pixels:
    """Compose a field that nobody has written in."""
    height = round(HEIGHT * random.uniform(1, 2))
    return picture(np.zeros((height, round(height * random.uniform(1, 4))), np.float32), HEIGHT, random)


def _crossed_out(random: np.random.Generator) -> list[Stroke]:
    """Write two to six digits beside each other, and strike them out."""
    hand, strokes, width = Hand.random(random), list[Stroke](), 0.0
    for digit in random.integers(10, size=random.integers(2, 7)):
        written = [stroke + np.array([width, 0], np.float32) for stroke in hand.write(int(digit), random)]
        width = max(float(stroke[:, 0].max()) for stroke in written) + random.uniform(0.05, 0.3)
        strokes += written
    return strokes + marks.crossing_out(width, random)


def _drawn(strokes: list[Stroke], random: np.random.Generator) -> Pixels:
    line = compose_other(strokes, tight if random.random() < 0.5 else loose, random)
    return picture(line.coverage, line.digit_height, random)
