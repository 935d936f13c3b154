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
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, load_recipe, override
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.environment.machine import describe_environment, label_processor
from mnist_cnn.errors import DivergedError
from records import AS_IT_IS, add_options, add_run, read_records, runs_of, spread, statistics_of
from repeated_runs import add_seed_options, digest_settings


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
    Change("fast", "averages, without pooling", {**_AVERAGED, "model.arguments.pools": [1, 1]}),
]  # fmt: skip


def main() -> None:
    """Train what is missing and print a table."""
    options = parse_options()
    changes = [each for each in CHANGES if not options.only or each.name in options.only]
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for change in changes:
            runs = found.setdefault(f"{change.recipe}, {change.name}", {})
            runs.update(recorded(options.record, change))
            if seed not in runs:
                runs[seed] = in_own_process(change, seed, options.data_dir)
                print(f"{change.recipe}, {change.name}, seed {seed}: {runs[seed]['accuracy']}", file=sys.stderr)
                record_run(change, runs[seed], options)
    print_table(found)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_seed_options(parser)
    parser.add_argument("--only", nargs="+", choices=sorted({each.name for each in CHANGES}), metavar="CHANGE")
    add_options(parser)
    return parser.parse_args()


def in_own_process(change: Change, seed: int, data_dir: str | None) -> dict[str, Any]:
    """Measure a change in a process that ends with it, so that no run changes the next one's time or memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (change, seed, data_dir))


def measure(change: Change, seed: int, data_dir: str | None) -> dict[str, Any]:
    """Train once; give the accuracy in percent, and the time of all cores in seconds. None if training diverged."""
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
            return dict.fromkeys(("accuracy", "best_accuracy", "log_loss", "cpu_seconds")) | {"seed": seed}
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
    return {run["seed"]: run for each in records if each["settings"] == settings for run in runs_of(each)}


def record_run(change: Change, new: dict[str, Any], options: argparse.Namespace) -> None:
    """Add a run to `--record`, if it is given."""
    processor = label_processor(describe_environment())
    add_run(
        options,
        {"settings": digest_settings(changed_recipe(change)), "processor": processor},
        new,
        lambda runs: {"recipe": change.recipe, "change": change.name, "runs": runs},
        f"python benchmarks/ablations.py --data-dir DIR --only '{change.name}'",
    )


def print_table(found: Mapping[str, Mapping[int, dict[str, Any]]]) -> None:
    """Print a row for each change."""
    print("| change | validation accuracy, % | best seed and epoch, % | log loss | seeds | diverged |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, runs in found.items():
        known = [run for run in runs.values() if run["accuracy"] is not None]
        if known:
            row, best = statistics_of(known), max(run["best_accuracy"] for run in known)
            cells = f"{spread(row, 3)} | {best:.3f} | {row['log_loss']:.4f}"
        else:
            cells = "– | – | –"
        print(f"| {name} | {cells} | {len(known)} | {len(runs) - len(known)} |")


if __name__ == "__main__":
    main()
