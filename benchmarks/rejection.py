"""Measure what the recogniser accepts: digits, and images that are not digits.

    python benchmarks/rejection.py --data-dir DIR [--images FILE.idx3-ubyte.gz …] [--model FILE.onnx]

Digits are MNIST's test set. Not digits are: blank and noisy images, outliers drawn as for training but from another
seed, and the given IDX files of images, such as Fashion-MNIST's test set. All are prepared by `ink`, like image files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.augmentation.outliers import draw_outliers
from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.recognizer import Recognizer
from records import add_options, add_record

SEED = 2**31  # of the drawn images; no training uses it
DRAWN = 5000


def main() -> None:
    """Read every set and print the table."""
    options = parse_options()
    recognizer = Recognizer.load(options.model)
    rows = [measure(recognizer, name, images, labels) for name, images, labels in sets(options)]
    print(f"Accepted if there is ink and the confidence is at least {recognizer.threshold:.3f}.\n")
    print("| images | number | accepted, % | correct among them, % |")
    print("|---|---|---|---|")
    for row in rows:
        right = "–" if row["right"] is None else f"{100 * row['right']:.2f}"
        print(f"| {row['images']} | {row['number']:,} | {100 * row['accepted']:.2f} | {right} |")
    add_record(options, rows)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files, if they are not found otherwise")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="IDX files of images that are not digits")
    parser.add_argument("--model", type=Path, help="an ONNX file or an exported run; default: the included weights")
    add_options(parser)
    return parser.parse_args()


def sets(options: argparse.Namespace) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.int64] | None]]:
    """Yield every set: name, images uint8 [n, 28, 28], labels if they are digits."""
    random = np.random.default_rng(SEED)
    digits = load_dataset("mnist", split="test", data_dir=options.data_dir)
    yield "MNIST, test", digits.images, digits.labels
    yield "blank, black", np.zeros((1, 28, 28), np.uint8), None
    yield "blank, white", np.full((1, 28, 28), 255, np.uint8), None
    yield "noise", random.integers(0, 256, (DRAWN, 28, 28), np.uint8), None
    yield "drawn outliers", draw_outliers(DRAWN, digits.images, random), None
    for path in options.images:
        yield path.parent.name, read_idx(path), None


def measure(
    recognizer: Recognizer, name: str, images: NDArray[np.uint8], labels: NDArray[np.int64] | None
) -> dict[str, Any]:
    """Read one set, image by image, each prepared by `ink` even if it is in MNIST's form already.

    Returns:
        Shares, 0 to 1: of correct and of accepted images, and of correct ones among the accepted (`right`).
    """
    readings = [recognizer.read(prepare(image).image) for image in images]
    accepted = np.array([reading.accepted for reading in readings])
    row = {"images": name, "number": len(images), "correct": None, "accepted": float(accepted.mean()), "right": None}
    if labels is None:
        return row
    correct = np.array([reading.digit for reading in readings]) == labels
    return row | {"correct": float(correct.mean()), "right": float(correct[accepted].mean())}


if __name__ == "__main__":
    main()
