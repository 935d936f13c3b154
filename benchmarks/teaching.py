"""Does training the network on one's own handwriting pay off, and what does it forget? The handwriting is simulated.

Its zeros have a long slash, its ones start far down, its twos are crossed, and the other digits are ordinary. Each
digit is drawn in turn. We correct the drawings that the included network misreads, as on the page of `mnist-cnn serve
--collect`, and retrain on them with `recipes/teach.toml` in three ways: alone, together with scikit-learn's bundled
digits, and together with MNIST. Accuracy is measured on a thousand new drawings in the same handwriting and on MNIST's
test set.

    python benchmarks/teaching.py --data-dir DIR [--drawings 20 100] [--seeds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn import Dataset, create_run, load_dataset, load_recipe, open_model, override, train
from mnist_cnn.config import SHIPPED_MODEL
from mnist_cnn.datasets import DIGIT_NAMES
from mnist_cnn.evaluation.predictions import predict_images
from mnist_cnn.models.backend import keras
from mnist_cnn.reading.ink import prepare

Line = list[tuple[float, float]]  # points (x, y), each 0 … 1, y downwards

TEST_DRAWINGS = 1000
STEPS_ALONE = 23  # as many as an epoch with the bundled digits has
_TEST_SEED = 2**20  # of drawings that are not used for training
_SIDE = 200  # width of a digit's field, in pixels
_MARGIN = 60  # in pixels, around the field


def arc(x: float, y: float, width: float, height: float) -> Line:
    """Give an ellipse around (x, y)."""
    return [(x + width * np.sin(turn), y - height * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 24)]


HAND: dict[int, list[Line]] = {
    0: [arc(0.5, 0.5, 0.33, 0.45), [(0.95, -0.02), (0.05, 1.02)]],
    1: [[(0.12, 0.65), (0.6, 0.05), (0.55, 0.95)]],
    2: [[(0.2, 0.1), (0.75, 0.08), (0.25, 0.92), (0.85, 0.92)], [(0.3, 0.5), (0.75, 0.5)]],
    3: [[(0.2, 0.08), (0.8, 0.08), (0.45, 0.45), (0.75, 0.7), (0.5, 0.95), (0.2, 0.85)]],
    4: [[(0.45, 0.05), (0.2, 0.6), (0.85, 0.6)], [(0.6, 0.35), (0.5, 0.95)]],
    5: [[(0.8, 0.05), (0.35, 0.05), (0.3, 0.4), (0.7, 0.5), (0.65, 0.9), (0.15, 0.95)]],
    6: [[(0.3, 0.05), (0.3, 0.95)], arc(0.5, 0.75, 0.2, 0.2)],
    7: [[(0.2, 0.05), (0.75, 0.08), (0.5, 0.95)], [(0.15, 0.45), (0.9, 0.45)]],
    8: [arc(0.5, 0.27, 0.2, 0.2), arc(0.5, 0.75, 0.25, 0.2)],
    9: [arc(0.45, 0.3, 0.25, 0.22), [(0.7, 0.3), (0.7, 0.95)]],
}


@dataclass(frozen=True)
class Way:
    """What the network trains on besides the corrected drawings."""

    name: str
    dataset: str  # empty: nothing


WAYS = (Way("alone", ""), Way("with the bundled digits", "digits"), Way("with MNIST", "mnist"))


def main() -> None:
    """Retrain in every way with every seed, and print the table."""
    options = parse_options()
    test = load_dataset("mnist", split="test", data_dir=options.data_dir)
    rows = []
    for drawings in options.drawings:
        for way in WAYS:
            records = [teach(way, drawings, seed, test, options.data_dir) for seed in range(options.seeds)]
            rows.append({"way": way.name, "drawings": drawings, "seeds": records})
            print(f"{drawings} drawings, {way.name}: {records}", file=sys.stderr)
    print("| drawn | corrected | learnt | own hand before, % | after, % | MNIST before, % | after, % | seconds |")
    print("|--:|--:|---|--:|--:|--:|--:|--:|")
    for row in rows:
        print(line(row))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--drawings", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


def teach(way: Way, drawings: int, seed: int, test: Dataset, data_dir: Path | None) -> dict[str, float]:
    """Draw, correct and retrain once; give the accuracies before and after, 0 … 1."""
    shipped = open_model(Path(SHIPPED_MODEL))
    drawn = draw(drawings, seed)
    misread = drawn.subset(np.flatnonzero(~is_right(shipped, drawn)))
    with tempfile.TemporaryDirectory() as folder:
        model, seconds = learn(way, misread, seed, data_dir, Path(folder))
    own = draw(TEST_DRAWINGS, _TEST_SEED + seed)
    return {
        "corrected": len(misread),
        "own_before": float(is_right(shipped, own).mean()),
        "own_after": float(is_right(model, own).mean()),
        "mnist_before": float(is_right(shipped, test).mean()),
        "mnist_after": float(is_right(model, test).mean()),
        "seconds": seconds,
    }


def learn(way: Way, own: Dataset, seed: int, data_dir: Path | None, folder: Path) -> tuple[keras.Model, float]:
    """Retrain; give the network and the seconds of its training."""
    settings: dict[str, Any] = {"training.seed": seed}
    if way.dataset:
        keep(own, folder / "mine")
        data = load_dataset(way.dataset, data_dir=data_dir)
        settings["data.add"] = str(folder / "mine")
    else:
        data = own
        steps = -(-len(own) // load_recipe("teach").training.batch_size)
        settings |= {"data.validation": 0.0, "training.epochs": -(-STEPS_ALONE // steps)}
    result = train(override(load_recipe("teach"), settings), data, create_run(folder, "teach"))
    return result.model, result.seconds


def draw(count: int, seed: int) -> Dataset:
    """Draw each digit in turn, and prepare the drawings as the server does."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = np.stack([prepare(draw_one(HAND[int(label)], random)).image for label in labels])
    return Dataset("own", "train", images, labels, DIGIT_NAMES, "drawn by code")


def draw_one(lines: list[Line], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a digit's lines unsteadily, with a random pen width: uint8 [320, 320], dark on white."""
    paper = np.full((_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN), 255, np.uint8)
    slant, width, turn = random.uniform(-0.1, 0.2), random.uniform(0.75, 1.15), random.uniform(-0.1, 0.1)
    pen = int(random.integers(8, 17))
    for stroke in lines:
        x, y = np.array(stroke).T - 0.5
        x, y = (each + random.normal(0, 0.035 if len(stroke) < 10 else 0.01, len(stroke)) for each in (x, y))
        x = width * x - slant * y
        x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        points = np.rint(np.stack([x, y], axis=1) * _SIDE + len(paper) / 2).astype(np.int32)
        cv2.polylines(paper, [points], False, 0, pen, cv2.LINE_AA)
    return paper


def keep(dataset: Dataset, folder: Path) -> None:
    """Save images as `mnist-cnn serve --collect` does: one folder per class."""
    for index, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
        file = folder / dataset.class_names[label] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)


def is_right(model: keras.Model, dataset: Dataset) -> NDArray[np.bool_]:
    """Give for each image whether it is classified correctly."""
    right: NDArray[np.bool_] = predict_images(model, dataset.images).argmax(axis=1) == dataset.labels
    return right


def line(row: dict[str, Any]) -> str:
    """Write one row of the table: means over the seeds, ± the standard deviation after retraining."""
    values = {key: [record[key] for record in row["seeds"]] for key in row["seeds"][0]}
    mean = {key: statistics.mean(each) for key, each in values.items()}
    spread = {key: statistics.stdev(each) if len(each) > 1 else 0.0 for key, each in values.items()}
    cells = [f"{row['drawings']}", f"{mean['corrected']:.0f}", row["way"]]
    for measure in ("own", "mnist"):
        before, after = f"{measure}_before", f"{measure}_after"
        cells += [f"{100 * mean[before]:.2f}", f"{100 * mean[after]:.2f} ± {100 * spread[after]:.2f}"]
    return f"| {' | '.join(cells)} | {mean['seconds']:.0f} |"


if __name__ == "__main__":
    main()
