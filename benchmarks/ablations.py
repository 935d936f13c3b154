"""What each part of a recipe is worth: one thing is changed at a time.

Everything is measured on the validation images, 12,000 of MNIST's training images that no run is trained on. The test
set is not read. Each run counts with its last epoch; `best_accuracy` is that of its best epoch, for comparison.

    python benchmarks/ablations.py --data-dir DIR [--seeds 5] [--only "without rotation"] [--record FILE]

Runs that FILE contains are not repeated, so the benchmark can be done in pieces. Small networks gain little from a
second core, so train on each core at the same time:

    taskset -c 0 python benchmarks/ablations.py --data-dir DIR --seeds 3 --record FILE &
    taskset -c 1 python benchmarks/ablations.py --data-dir DIR --first-seed 3 --seeds 2 --record FILE
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from mnist_cnn.config import Config, load_recipe, override
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.environment.machine import describe_environment, label_processor
from mnist_cnn.errors import DivergedError
from recipes import digest_settings
from records import add_options, make_record, read_records, write_records

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Change:
    """One thing that is different from a recipe.

    Attributes:
        recipe: What is changed.
        name: What is different, in words.
        settings: As `--set` takes them.
    """

    recipe: str
    name: str
    settings: Mapping[str, Any]


NO_DISTORTIONS = {f"augmentation.{name}": 0.0 for name in ("rotation", "shift", "zoom", "shear", "elastic")}
_AVERAGED = {"model.arguments.dense": 0}
CHANGES = [
    Change("quick", AS_IT_IS, {}),
    Change("quick", "without distortions", NO_DISTORTIONS),
    *(Change("quick", f"without {name.partition('.')[2]}", {name: 0.0}) for name in NO_DISTORTIONS),
    Change("quick", "with mirrored images", {"augmentation.flip_horizontal": True}),
    Change("quick", "with images upside down", {"augmentation.flip_vertical": True}),
    Change("quick", "without normalisation", {"model.arguments.normalise": False}),
    Change("quick", "without dropout", {"model.arguments.dropout": 0.0}),
    Change("quick", "constant learning rate 0.001", {"optimizer.schedule": "constant", "optimizer.learning_rate": 1e-3,
                                                     "optimizer.warmup": 0.0}),
    Change("quick", "cosine schedule", {"optimizer.schedule": "cosine", "optimizer.warmup": 0.0}),
    Change("quick", "without averaged weights", {"optimizer.ema": 0.0}),
    Change("quick", "without weight decay", {"optimizer.weight_decay": 0.0}),
    Change("quick", "in float32", {"training.precision": "float32"}),
    Change("fast", AS_IT_IS, {}),
    Change("fast", "averages instead of a hidden layer", _AVERAGED),
    Change("fast", "the same without pooling", {**_AVERAGED, "model.arguments.pools": [1, 1]}),
]  # fmt: skip


def main() -> None:
    """Train what is missing and print a table."""
    options = parse_options()
    changes = [each for each in CHANGES if not options.only or each.name in options.only]
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for change in changes:
            known = recorded(options.record, change)
            if seed not in known:
                known[seed] = in_own_process(change, seed, options.data_dir)
                print(f"{change.recipe}, {change.name}, seed {seed}: {known[seed]['accuracy']:.2f} %", file=sys.stderr)
                record_run(change, known[seed], options)
            found[f"{change.recipe}, {change.name}"] = known
    print_table(found)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted({each.name for each in CHANGES}), metavar="CHANGE")
    add_options(parser)
    return parser.parse_args()


def in_own_process(change: Change, seed: int, data_dir: str | None) -> dict[str, Any]:
    """Measure a change in a process that ends with it, so that no run changes the next one's time or memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (change, seed, data_dir))


def measure(change: Change, seed: int, data_dir: str | None) -> dict[str, Any]:
    """Train once; give the accuracy in percent, and the time of all cores in seconds."""
    from mnist_cnn.models.quiet import start_keras

    start_keras()
    from mnist_cnn.runs import RunFolder
    from mnist_cnn.training.trainer import train

    config = override(changed_recipe(change), {"training.seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        try:
            train(config, resolve_dataset("mnist", data_dir=data_dir).load("train"), run)
        except DivergedError:
            return {"seed": seed, "accuracy": 0.0, "best_accuracy": 0.0, "log_loss": None, "cpu_seconds": None}
        history = run.read_json(run.history_json)
    return {
        "seed": seed,
        "accuracy": 100 * history[-1]["val_accuracy"],
        "best_accuracy": 100 * max(row["val_accuracy"] for row in history),
        "log_loss": history[-1]["val_loss"],
        "cpu_seconds": sum(row["cpu_seconds"] for row in history),
    }


def changed_recipe(change: Change) -> Config:
    """Return the recipe with the change, for MNIST, with validation images."""
    held_out = {"data.dataset": "mnist", "data.validation": 0.2}
    return override(load_recipe(change.recipe), {**held_out, **change.settings})


def recorded(path: Path | None, change: Change) -> dict[int, dict[str, Any]]:
    """Return the recorded runs of a change by their seeds."""
    settings = digest_settings(changed_recipe(change))
    records = read_records(path) if path else []
    return {run["seed"]: run for each in records if each["settings"] == settings for run in each["result"]["runs"]}


def record_run(change: Change, new: dict[str, Any], options: argparse.Namespace) -> None:
    """Add a run to `--record`, to the record of the same change and processor, if there is one."""
    if options.record is None:
        return
    processor = label_processor(describe_environment())
    key = {"settings": digest_settings(changed_recipe(change)), "processor": processor, "note": options.note}
    options.record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{options.record}.lock"):  # another process may record other seeds
        records = read_records(options.record)
        same = [each for each in records if all(each[name] == value for name, value in key.items())]
        runs = sorted([*(run for each in same for run in each["result"]["runs"]), new], key=lambda run: run["seed"])
        result = {"recipe": change.recipe, "change": change.name, "runs": runs}
        command = f"python benchmarks/ablations.py --data-dir DIR --only '{change.name}'"
        record = make_record(result, command, processor, options.note) | key
        write_records(options.record, [*(each for each in records if each not in same), record])


def print_table(found: Mapping[str, Mapping[int, dict[str, Any]]]) -> None:
    """Print a row for each change."""
    print("| change | validation accuracy, % | best seed and epoch, % | log loss | seeds |")
    print("|---|--:|--:|--:|--:|")
    for name, runs in found.items():
        rows: Sequence[dict[str, Any]] = list(runs.values())
        accuracies = [row["accuracy"] for row in rows]
        deviation = f" ± {statistics.stdev(accuracies):.3f}" if len(rows) > 1 else ""
        losses = [row["log_loss"] for row in rows if row["log_loss"] is not None]
        loss = f"{statistics.mean(losses):.4f}" if losses else "–"
        best = max(row["best_accuracy"] for row in rows)
        print(f"| {name} | {statistics.mean(accuracies):.3f}{deviation} | {best:.3f} | {loss} | {len(rows)} |")


if __name__ == "__main__":
    main()
