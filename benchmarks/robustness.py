"""How the included weights read corrupted digits (MNIST-C), and how far their confidence is from their accuracy.

Each of MNIST's test images is corrupted in fifteen ways. `accuracy` is the network's on the corrupted images as they
are, `prepared_accuracy` that of the recogniser, which prepares them as it prepares any picture. The expected
calibration error is that of the recogniser on the images without corruptions, with and without its temperature.

    python benchmarks/robustness.py --data-dir DIR [--model FILE.onnx] [--split train --images 1000]

While you change the preparation, measure on training images. The test images are for the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.evaluation.metrics import expected_calibration_error
from mnist_cnn.evaluation.robustness import Robustness, measure_corruptions
from mnist_cnn.reading.recognizer import Recognizer
from records import add_options, add_record


def main() -> None:
    """Measure and print."""
    options = parse_options()
    recognizer = Recognizer.load(options.model)
    digits = draw(load_dataset("mnist", split=options.split, data_dir=options.data_dir), options.images)
    errors = calibration_errors(recognizer, digits)
    for name, value in errors.items():
        print(f"expected calibration error, {name}: {value:.4f}")
    add_record(options, {"calibration_error": errors, "corruptions": corrupt(recognizer, digits)})


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files, if they are not found otherwise")
    parser.add_argument("--model", type=Path, help="an ONNX file or an exported run; default: the included weights")
    parser.add_argument("--split", choices=("train", "test"), default="test", help="default: test")
    parser.add_argument("--images", type=int, help="number of the last images that are corrupted; default: all")
    add_options(parser)
    return parser.parse_args()


def draw(digits: Dataset, count: int | None) -> Dataset:
    """Return the last images of a data set, or all of them."""
    return digits if count is None else digits.subset(np.arange(len(digits))[-count:])


def corrupt(recognizer: Recognizer, digits: Dataset) -> dict[str, Any]:
    """Measure every corruption, and print each as soon as it is measured."""

    def classify(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        scores = recognizer.network.scores(images, recognizer.threads)
        return cast("NDArray[np.int64]", scores.argmax(axis=1))

    scores = []
    for score in measure_corruptions(classify, digits):
        print(f"{score.name:14} {score.accuracy:7.2%} as it is {score.prepared_accuracy:8.2%} prepared", flush=True)
        scores.append(score)
    record = Robustness(len(digits), tuple(scores)).as_dict()
    for name in ("mean", "worst"):
        print(f"{name:14} {record[name]:7.2%} as it is {record[f'prepared_{name}']:8.2%} prepared")
    return record


def calibration_errors(recognizer: Recognizer, digits: Dataset) -> dict[str, float]:
    """Return the expected calibration error with the temperature of the model's metadata, and without it."""
    raw = recognizer.network.scores(digits.images, recognizer.threads)
    is_probability = recognizer.network.kind == "probabilities"
    plain = raw if is_probability else np.exp(raw - raw.max(axis=1, keepdims=True))
    plain = plain / plain.sum(axis=1, keepdims=True)
    return {
        "calibrated": expected_calibration_error(digits.labels, recognizer.predict_proba(digits.images)),
        "uncalibrated": expected_calibration_error(digits.labels, plain),
    }


if __name__ == "__main__":
    main()
