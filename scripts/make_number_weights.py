"""Make the weights that read whole numbers: train, calibrate, export, check, describe.

The network learns from composed pictures alone: MNIST's digits traced to pen strokes, and digits drawn by code. If the
script is interrupted, start it again to resume. Training needs two cores for some hours, or a GPU for some minutes; it
can go on from the included weights.

    python scripts/make_number_weights.py --minutes 240 [--start-from numbers.onnx] [--data-dir DIR] [--tune-on FOLDER]

`--minutes`, `--steps`, `--seed` and `--start-from` belong to a training; one that is resumed keeps its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import numpy as np

from mnist_cnn.composition.traced_digits import trace_digits
from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.number_folder import read_number_folder
from mnist_cnn.environment.machine import processor_name, usable_cores
from mnist_cnn.evaluation.number_calibration import (
    choose_threshold,
    describe_number_confidence,
    describe_number_scores,
)
from mnist_cnn.export.line_graph import to_line_onnx
from mnist_cnn.export.line_weights import average_line_onnx, from_line_onnx
from mnist_cnn.files import hash_file, write_json, write_text, write_whole
from mnist_cnn.models.backend import keras
from mnist_cnn.models.fully_convolutional import build_line_network
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.numbers.line_preparation import PREPARATION
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata
from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.numbers.line_batches import arrange_lines
from mnist_cnn.training.numbers.line_plan import LinePlan
from mnist_cnn.training.numbers.line_training import PLAN, train_lines
from mnist_cnn.training.numbers.portions import held_out_pictures, held_out_portion

if TYPE_CHECKING:
    from mnist_cnn.reading.numbers.number_reading import NumberReading
    from mnist_cnn.runs import Row

RUN = "numbers-001"
STARTED_FROM = "started-from.json"  # in the run folder
CARD_TEMPLATE = Path(__file__).with_name("numbers_card.md")
CARD = SHIPPED_WEIGHTS.with_name("NUMBERS.md")
TRAINED_ON = 55_000  # of MNIST's training images; the last 5,000 are held out
LARGEST = 4_000_000  # bytes
LEAST_READ = 0.75  # share of composed lines that are read whole
MEASURED_ON = 512  # composed lines whose batch statistics are those of the start
SCORED_ON = CHECKED_ON = 4096  # composed lines each


@dataclass(frozen=True)
class Measured:
    """How well a reader reads pictures whose texts are known."""

    name: str
    count: int
    read: float  #: share of the numbers that are read whole
    accepted: float  #: share of the numbers that are accepted
    wrong: float  #: share of the accepted readings that are wrong


def main() -> None:
    """Train, export, and put the result into the package."""
    options = parse_options()
    run = RunFolder(options.runs_dir / RUN)
    run.root.mkdir(parents=True, exist_ok=True)
    with lock_run(run):
        traces, held_out = trace_mnist(run, options.data_dir)
        model = keras.models.load_model(run.model) if run.finished else train(options, run, traces, held_out)
    if model is None:
        sys.exit("Interrupted. Start the script again to resume.")
    if options.average_with:
        average(model, options.average_with, held_out)
    reader, sets = calibrated(model, run.root / SHIPPED_WEIGHTS.name, held_out, options.tune_on)
    composed = sets[0]
    with write_whole(SHIPPED_WEIGHTS) as partial:
        shutil.copyfile(run.root / SHIPPED_WEIGHTS.name, partial)
    size = SHIPPED_WEIGHTS.stat().st_size
    print(f"{size:,} bytes; {composed.read:.1%} of the composed lines read whole, {composed.accepted:.1%} accepted")
    write_text(CARD, describe(reader, run, sets, options.average_with))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=240.0, help="time for training; default: 240")
    length.add_argument("--steps", type=int, help="batches of 128 lines, in place of a time")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/weights"))
    parser.add_argument("--start-from", type=Path, metavar="FILE", help="a .keras or .onnx file of this script")
    parser.add_argument(
        "--average-with",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="earlier ONNX files of the same training; the result is the mean with their weights, half of it its own",
    )
    parser.add_argument("--seed", type=int, help="another seed composes other lines; default: 0")
    parser.add_argument("--workers", type=int, default=max(1, usable_cores() // 2), help="processes that compose")
    parser.add_argument(
        "--tune-on",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders of pictures with labels.csv (columns file and text), on which the threshold is chosen",
    )
    return parser.parse_args()


def trace_mnist(run: RunFolder, data_dir: Path | None) -> tuple[Path, Path]:
    """Trace MNIST's training images; return the files of the digits for training and of those held out.

    scikit-learn's bundled digits are not used: at 8×8 pixels most loops are filled, and a sixth of their traces cannot
    be read.
    """
    files = run.root / "traces.npz", run.root / "held-out-traces.npz"
    if not all(file.exists() for file in files):
        digits = load_dataset("mnist", data_dir=data_dir)
        for file, part in zip(files, (slice(TRAINED_ON), slice(TRAINED_ON, None)), strict=True):
            traced = trace_digits(digits.images[part], digits.labels[part], usable_cores())
            print(f"traced {len(traced):,} of {len(digits.labels[part]):,} digits", flush=True)
            traced.save(file)
    return files


def train(options: argparse.Namespace, run: RunFolder, traces: Path, held_out: Path) -> keras.Model | None:
    """Train with the plan in the run folder, or with a new one; None if interrupted."""
    if (run.root / PLAN).exists():
        refuse_other_settings(options, run)
        plan = LinePlan.from_dict(run.read_json(run.root / PLAN))
    else:
        plan = LinePlan(steps=options.steps or steps_in(options.minutes, traces, options.workers))
        plan = dataclasses.replace(plan, seed=options.seed or 0)
    start, note = None, run.root / STARTED_FROM
    if options.start_from and not run.state.exists():
        start = weights_from(options.start_from, plan, held_out)
        write_json(note, described(options.start_from))
    elif note.exists() and not run.state.exists():
        sys.exit(f"{run.root} has not begun yet. Repeat --start-from with {run.read_json(note)['file']}.")
    return train_lines(plan, traces, held_out, run, start=start, workers=options.workers, listener=Lines(plan))


def refuse_other_settings(options: argparse.Namespace, run: RunFolder) -> None:
    """End the program if the options of a training differ from those with which it was begun."""
    plan, note = LinePlan.from_dict(run.read_json(run.root / PLAN)), run.root / STARTED_FROM
    begun = f"{run.root} was begun with"
    if options.steps not in (None, plan.steps):
        sys.exit(f"{begun} --steps {plan.steps}, not {options.steps}. Repeat that, or give another --runs-dir.")
    if options.seed not in (None, plan.seed):
        sys.exit(f"{begun} --seed {plan.seed}, not {options.seed}. Repeat that, or give another --runs-dir.")
    started = run.read_json(note) if note.exists() else None
    if options.start_from and run.state.exists() and described(options.start_from) != started:
        other = f"--start-from {started['file']}, another file" if started else "random weights"
        sys.exit(f"{begun} {other}. Leave out --start-from, or give another --runs-dir.")


def described(file: Path) -> dict[str, str]:
    """Return what identifies a file: its name and its SHA-256 sum."""
    return {"file": file.name, "sha256": hash_file(file)}


def steps_in(minutes: float, traces: Path, workers: int) -> int:
    """Return the number of steps that take so long on this machine, from the second epoch of a trial."""
    trial = LinePlan(steps=2 * LinePlan(steps=1).steps_per_epoch, validated=1)
    pace = Lines(trial)
    with tempfile.TemporaryDirectory() as folder:
        train_lines(trial, traces, traces, RunFolder(Path(folder)), workers=workers, listener=pace)
    return max(1, round(60 * minutes / pace.seconds[-1] * trial.steps_per_epoch))


class Lines(Listener):
    """Prints one line per epoch.

    Attributes:
        seconds: Of each epoch.
    """

    def __init__(self, plan: LinePlan) -> None:
        self._plan = plan
        self.seconds: list[float] = []

    def on_epoch(self, row: Row, is_best: bool) -> None:
        """Print losses and pace."""
        plan, seconds = self._plan, row["seconds"]
        self.seconds.append(seconds)
        pace, left = plan.steps_per_epoch * plan.batch_size / seconds, (plan.epochs - row["epoch"]) * seconds / 60
        read = f", {row['val_accuracy']:.1%} read whole" if "val_accuracy" in row else ""
        print(
            f"epoch {row['epoch']}/{plan.epochs}: CTC {row['scores_loss']:.3f}, boxes {row['boxes_loss']:.3f}{read}; "
            f"{pace:.0f} lines a second, {left:.0f} min left",
            flush=True,
        )


def weights_from(file: Path, plan: LinePlan, traces: Path) -> list[np.ndarray]:
    """Return the weights in a file of the same network."""
    if file.suffix == ".keras":
        weights: list[np.ndarray] = keras.models.load_model(file).get_weights()
        return weights
    lines = held_out_portion(traces, 0, MEASURED_ON)
    images, _ = arrange_lines([line.image for line in lines], lines)
    return from_line_onnx(file.read_bytes(), build_line_network(plan.widths), images)


def average(model: keras.Model, files: Sequence[Path], traces: Path) -> None:
    """Replace a network's weights by their mean with those in files, which count as much together as its own."""
    own = to_line_onnx(model, NumberMetadata(tuple("0123456789")))
    contents = [own, *(file.read_bytes() for file in files)]
    mean = average_line_onnx(contents, [0.5, *[0.5 / len(files)] * len(files)])
    lines = held_out_portion(traces, 0, MEASURED_ON)
    images, _ = arrange_lines([line.image for line in lines], lines)
    model.set_weights(from_line_onnx(mean, model, images))


def calibrated(
    model: keras.Model, file: Path, held_out: Path, tune_on: Sequence[Path]
) -> tuple[NumberReader, list[Measured]]:
    """Calibrate the network and export it to a file; return its reader, and how well that reads."""
    metadata = NumberMetadata(
        class_names=tuple("0123456789"),
        preprocessing=PREPARATION,
        dataset="composed numbers",
        architecture=model.name,
        package_version=importlib.metadata.version("mnist-cnn"),
    )
    raw = exported(model, file, metadata)
    scored = [(raw.network.run(line.image)[0], line.text) for line in held_out_portion(held_out, 1, SCORED_ON)]
    metadata = describe_number_scores(metadata, scored)
    raw = exported(model, file, metadata)
    confidences, right = judged(read_composed(raw, held_out, 2))
    metadata = describe_number_confidence(metadata, confidences, right)
    if tune_on:  # no set may have more wrong readings than the others make up for
        chosen = [choose_threshold(metadata, *judged(read_folder(raw, each))) for each in tune_on]
        metadata = max(chosen, key=lambda each: each.rejection_threshold)
    reader = exported(model, file, metadata)
    composed = measured("composed", read_composed(reader, held_out, 3))
    reader = exported(model, file, dataclasses.replace(metadata, accuracy=composed.read))
    size = file.stat().st_size
    if size > LARGEST or composed.read < LEAST_READ:
        sys.exit(
            f"{size:,} bytes and {composed.read:.1%} of the composed lines read whole; the package takes at most "
            f"{LARGEST:,} bytes and at least {LEAST_READ:.0%}. Train longer."
        )
    return reader, [composed, *(measured(each.name, read_folder(reader, each)) for each in tune_on)]


def exported(model: keras.Model, file: Path, metadata: NumberMetadata) -> NumberReader:
    """Write a model file, and open it."""
    with write_whole(file) as partial:
        partial.write_bytes(to_line_onnx(model, metadata))
    return NumberReader.load(file)


def read_composed(reader: NumberReader, held_out: Path, index: int) -> list[tuple[NumberReading, str]]:
    """Read composed pictures that no training sees; return each reading with the true text."""
    return [(reader.read(picture), text) for picture, text in held_out_pictures(held_out, index, CHECKED_ON)]


def read_folder(reader: NumberReader, folder: Path) -> list[tuple[NumberReading, str]]:
    """Read the pictures of a folder with labels.csv; return each reading with the true text."""
    return [(reader.read(each.path), each.text) for each in read_number_folder(folder)]


def judged(readings: list[tuple[NumberReading, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of each number that a threshold may accept, and whether it is right."""
    found = [(each.confidence, each.text == text) for each, text in readings if each.is_candidate]
    if not found:
        sys.exit("No number was read. Train longer, or check the pictures.")
    confidences, right = zip(*found, strict=True)
    return np.array(confidences), np.array(right)


def measured(name: str, readings: list[tuple[NumberReading, str]]) -> Measured:
    """Summarise readings; what is not a number counts only among the accepted."""
    accepted = [reading.text == text for reading, text in readings if reading.accepted]
    numbers = [(reading.text == text, reading.accepted) for reading, text in readings if text]
    read, kept = np.mean(numbers, axis=0)
    return Measured(name, len(numbers), float(read), float(kept), 1 - float(np.mean(accepted)) if accepted else 0.0)


def describe(reader: NumberReader, run: RunFolder, sets: list[Measured], averaged_with: Sequence[Path]) -> str:
    """Write the model card of the finished file, in the Hugging Face form."""
    plan = LinePlan.from_dict(run.read_json(run.root / PLAN))
    history = run.read_json(run.history_json)
    start = run.root / STARTED_FROM
    template = CARD_TEMPLATE.read_text("utf-8")
    card: str = jinja2.Template(template, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        size=SHIPPED_WEIGHTS.stat().st_size,
        parameters=build_line_network(plan.widths).count_params(),
        metadata=reader.metadata,
        sets=sets,
        plan=plan,
        start=run.read_json(start) if start.exists() else None,
        averaged=[described(file) for file in averaged_with],
        lines=(plan.epochs + plan.opening - 1) * plan.portion,
        minutes=sum(row["seconds"] for row in history) / 60,
        processor=processor_name(),
        trained_on=TRAINED_ON,
    )
    return card


if __name__ == "__main__":
    main()
