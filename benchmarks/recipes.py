"""Train named recipes on MNIST with several seeds and print a table: mean ± standard deviation.

Finished runs in --runs-dir are not repeated and unfinished ones are resumed, so the benchmark can be interrupted. The
recipes were chosen on validation data; each run is evaluated once on the test set. The table names the processor.

    python benchmarks/recipes.py --data-dir DIR [--recipes quick vgg] [--seeds 3] [--record FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from mnist_cnn.config import recipe_names
from mnist_cnn.environment.machine import label_processor
from mnist_cnn.runs import RunFolder
from records import add_options, add_record

NOT_FOR_MNIST = {"small", "teach"}


def main() -> None:
    """Train what is missing and print the table."""
    options = parse_options()
    rows = []
    for recipe in options.recipes:
        records = [train_once(recipe, seed, options) for seed in range(options.seeds)]
        rows.append(summarise(recipe, records))
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
    add_options(parser)
    return parser.parse_args()


def train_once(recipe: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Give the metrics of one run, after training it if it is missing."""
    run = RunFolder(options.runs_dir / f"{recipe}-seed{seed}-001")
    begin = ["--recipe", recipe, "--seed", str(seed), "--dataset", "mnist", "--name", f"{recipe}-seed{seed}"]
    words = ["--resume", str(run.root)] if run.config.exists() else [*begin, "--runs-dir", str(options.runs_dir)]
    if options.data_dir:
        words += ["--data-dir", options.data_dir]
    print(f"{recipe}, seed {seed}", file=sys.stderr)
    command = [sys.executable, "-m", "mnist_cnn", "train", *words, "--json"]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    record: dict[str, Any] = json.loads(finished.stdout)
    return {
        **record,
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
