"""How well people's own digits are read: accuracy per kind of image, and each image at 28×28.

The folder contains the images and `labels.csv` with the columns `file`, `label` and `kind`. The sheet shows each image
beside its prepared form; errors come first, with red titles. `resized` is the same network on pictures prepared as
in most notebooks: greyscale, light ink on a dark ground, resized to 28×28.

    python benchmarks/ink.py --data DIR [--model MODEL.onnx] [--sheet sheet.png] [--at-least 0.96]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mnist_cnn.reading.ink import prepare, read_image
from mnist_cnn.reading.onnx_runtime import onnxruntime
from mnist_cnn.reading.recognizer import SHIPPED_WEIGHTS, Recognizer
from records import add_options, add_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 112  # pixels of the sheet
TITLE = 14
PAIRS = 8  # in a row


@dataclass(frozen=True)
class Reading:
    """One image and its reading."""

    path: Path
    kind: str
    label: int
    digit: int
    accepted: bool

    @property
    def is_right(self) -> bool:
        """Whether the digit is the label."""
        return self.digit == self.label


def main() -> None:
    """Read every image and print the accuracies."""
    options = parse_options()
    readings = read_all(options.data, options.model)
    kinds = sorted({reading.kind for reading in readings})
    rows = [count(kind, [reading for reading in readings if reading.kind == kind]) for kind in kinds]
    rows.append(count("all", readings))
    model = options.model or SHIPPED_WEIGHTS
    if model.is_file():  # not an exported run
        rows.append(count_resized(options.data, model))
    print("\n".join(describe(row) for row in rows))
    add_record(options, rows)
    if options.sheet:
        draw(sorted(readings, key=lambda reading: reading.is_right)).save(options.sheet)
    if sum(reading.is_right for reading in readings) < options.at_least * len(readings):
        sys.exit(f"fewer than {options.at_least:.1%} were classified correctly.")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--model", type=Path, help="an ONNX file or an exported run; default: the included weights")
    parser.add_argument("--sheet", type=Path, help="where to draw the contact sheet")
    parser.add_argument("--at-least", type=float, default=0.0, help="share, 0 to 1, below which the exit code is 1")
    add_options(parser)
    return parser.parse_args()


def read_all(folder: Path, model: Path | None) -> list[Reading]:
    """Prepare and classify every image in labels.csv."""
    rows = labelled(folder)
    recognizer = Recognizer.load(model)
    start = time.process_time()
    readings = [read_one(recognizer, folder, row) for row in rows]
    print(f"{(time.process_time() - start) / len(rows) * 1000:.1f} ms of processor time per image")
    return readings


def labelled(folder: Path) -> list[dict[str, str]]:
    """Return the rows of labels.csv."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_one(recognizer: Recognizer, folder: Path, row: dict[str, str]) -> Reading:
    """Read an image as a user would."""
    path = folder / row["file"]
    found = recognizer.read(path)
    return Reading(path, row["kind"], int(row["label"]), found.digit, found.accepted)


def count(kind: str, readings: list[Reading]) -> dict[str, Any]:
    """Count the images of a kind that are correct, accepted, and correct among the accepted."""
    accepted = [each for each in readings if each.accepted]
    return {
        "kind": kind,
        "images": len(readings),
        "right": sum(each.is_right for each in readings),
        "accepted": len(accepted),
        "right_accepted": sum(each.is_right for each in accepted),
    }


def count_resized(folder: Path, model: Path) -> dict[str, Any]:
    """Count what the network reads right if the images are only resized."""
    session = onnxruntime.InferenceSession(model)
    rows = labelled(folder)
    images = np.stack([resize(read_image(folder / row["file"])) for row in rows])
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: images})
    digits = probabilities.argmax(axis=1).tolist()
    right = sum(int(row["label"]) == digit for row, digit in zip(rows, digits, strict=True))
    return {"kind": "resized", "images": len(rows), "right": right}


def describe(row: dict[str, Any]) -> str:
    """Write a count in one line."""
    line = f"{row['kind']:10}  {row['right']:4} of {row['images']:4} correct  {row['right'] / row['images']:6.1%}"
    if "accepted" in row:
        line += f"   {row['accepted']:4} accepted  {row['accepted'] / row['images']:6.1%}"
        line += f"   {row['right_accepted']:4} of these correct"
    return line


def resize(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 [28, 28, 1], 0 … 255, with light ink: inverted if the image is mostly light."""
    small = cv2.resize(image, (28, 28), interpolation=cv2.INTER_AREA).astype(np.float32)
    return (255 - small if small.mean() > 127.5 else small)[:, :, None]


def draw(readings: list[Reading]) -> Image.Image:
    """Draw original and 28×28 side by side, in rows."""
    rows = -(-len(readings) // PAIRS)
    sheet = Image.new("RGB", (PAIRS * 2 * TILE, rows * (TILE + TITLE)), (60, 60, 60))
    pen = ImageDraw.Draw(sheet)
    for place, reading in enumerate(readings):
        left, top = place % PAIRS * 2 * TILE, place // PAIRS * (TILE + TITLE)
        title = f"{reading.label} read as {reading.digit} {reading.path.name[:24]}"
        pen.text((left, top), title, fill="white" if reading.is_right else "red")
        for step, image in enumerate((read_image(reading.path), prepare(reading.path).image)):
            sheet.paste(tile(image), (left + step * TILE, top + TITLE))
    return sheet


def tile(image: NDArray[np.uint8]) -> Image.Image:
    """Scale an image to fit a tile."""
    scale = (TILE - 4) / max(image.shape)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return Image.fromarray(image).resize(size, Image.Resampling.BOX)


if __name__ == "__main__":
    main()
