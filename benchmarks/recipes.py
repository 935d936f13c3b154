"""Train named recipes on MNIST with several seeds and print a table: mean ± standard deviation.

Finished runs in --runs-dir are not repeated and unfinished ones are resumed, so the benchmark can be interrupted. The
recipes were chosen on validation data; each run is evaluated once on the test set. The table names the processor.

    python benchmarks/recipes.py --data-dir DIR [--recipes quick vgg] [--seeds 3] [--ray [ADDRESS]] [--record FILE]

With --ray, the machines of a Ray cluster train, one run on each at a time. They must share --runs-dir. Times may then
come from different machines; the table names their processors.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from mnist_cnn.cluster.connection import check_address
from mnist_cnn.config import load_recipe, override, recipe_names
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.environment.machine import label_processor
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import TrainingJob, train_each
from records import add_options, add_record

NOT_FOR_MNIST = {"small", "teach"}


def main() -> None:
    """Train what is missing and print the table."""
    options = parse_options()
    jobs = {recipe: make_jobs(recipe, options) for recipe in options.recipes}
    try:
        ray = None if options.ray is None else check_address(options.ray)
        train_each([job for each in jobs.values() for job in each], ray, on_end=say)
    except MnistCnnError as error:
        sys.exit(str(error))
    rows = [summarise(recipe, [measure(RunFolder(job.run)) for job in each]) for recipe, each in jobs.items()]
    processor = "; ".join(sorted({row.pop("processor") for row in rows}))
    print(f"Processor: {processor}\n")
    print("| recipe | parameters | accuracy, % | log loss | training, s | whole command, s | seeds |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row['recipe']}` | {row['parameters']:,} | {row['accuracy']:.3f} ± {row['accuracy_sd']:.3f} | "
            f"{row['log_loss']:.4f} | {row['seconds']:.0f} | {row['total_seconds']:.0f} | {row['seeds']} |"
        )
    add_record(options, rows, processor)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    recipes = [name for name in recipe_names() if name not in NOT_FOR_MNIST]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=recipes, choices=recipes)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/recipes"))
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="train on a Ray cluster; default: local",
    )
    add_options(parser)
    return parser.parse_args()


def make_jobs(recipe: str, options: argparse.Namespace) -> list[TrainingJob]:
    """Say what to train: a recipe with each seed."""
    data = resolve_dataset("mnist", data_dir=options.data_dir)
    base = override(load_recipe(recipe), {"data.dataset": "mnist"})
    return [
        TrainingJob(options.runs_dir / f"{recipe}-seed{seed}-001", override(base, {"training.seed": seed}), data)
        for seed in range(options.seeds)
    ]


def say(job: TrainingJob, record: dict[str, Any]) -> None:
    """Report a run that is complete."""
    print(f"{job.run.name}: {record['accuracy']:.2%}", file=sys.stderr)


def measure(run: RunFolder) -> dict[str, Any]:
    """Give the metrics of a run, where it was trained, and the size of its network."""
    return {
        **run.read_json(run.metrics),
        "processor": label_processor(run.read_json(run.environment)),
        "kilobytes": round(run.model.stat().st_size / 1000),
    }


def summarise(recipe: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Give means over the seeds; accuracies in percent, times in seconds (medians), the size of the saved network."""
    accuracies = [100 * record["accuracy"] for record in records]
    training = [record["training"] for record in records]
    return {
        "recipe": recipe,
        "seeds": len(records),
        "processor": "; ".join(sorted({record["processor"] for record in records})),
        "parameters": training[0]["parameters"],
        "kilobytes": records[0]["kilobytes"],
        "accuracy": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "accuracies": accuracies,
        "log_loss": statistics.mean(record["log_loss"] for record in records),
        "epochs": statistics.median(each["epochs"] for each in training),
        "seconds": statistics.median(each["seconds"] for each in training),
        "total_seconds": statistics.median(each["total_seconds"] for each in training),
        "peak_memory_gib": max(each["peak_memory_gib"] for each in training),
    }


if __name__ == "__main__":
    main()
