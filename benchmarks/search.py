"""Search on MNIST as `mnist-cnn tune` does, and print how much the search gains.

It answers two questions on validation images; the test set is not opened:

- `goal`: what does a search of a given time find, compared with the batchnorm recipe? The search chose by its
  validation images, so both networks are also trained with other seeds and splits. Then their epochs are timed in turn,
  because the machine may be shared.
- `pruning`: what do pruners change in accuracy and processor time, for the same number of trials from the same seeds?

Finished parts in --runs-dir are not repeated and unfinished ones are resumed, so the benchmark can be interrupted.

    python benchmarks/search.py goal --data-dir DIR [--time 30m] [--epochs 20] [--workers 2] [--seeds 3]
    python benchmarks/search.py pruning --data-dir DIR [--trials 24] [--epochs 8] [--per-class 600] [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, load_recipe, override
from mnist_cnn.datasets import load_dataset
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.trainer import train

BASELINE = "batchnorm"


def main() -> None:
    """Answer one of the two questions."""
    options = parse_options()
    rows = goal(options) if options.question == "goal" else pruning(options)
    print(f"| {' | '.join(rows[0])} |")
    print(f"|{'---|' * len(rows[0])}")
    for row in rows:
        print(f"| {' | '.join(str(value) for value in row.values())} |")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=["goal", "pruning"])
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/tuning-benchmark"))
    parser.add_argument("--time", default="30m", help="time of the search for the goal")
    parser.add_argument("--trials", type=int, default=24, help="trials of each search that compares pruners")
    parser.add_argument("--epochs", type=int, default=20, help="maximum number of epochs per trial")
    parser.add_argument("--per-class", type=int, default=0, help="number of training images of each class; 0: all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing the two networks in turn")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        help="number of further splits for the goal, or of searches with each pruner",
    )
    options = parser.parse_args()
    limit = options.time if options.question == "goal" else f"{options.trials}-trials"
    options.runs_dir /= f"{limit}-{options.epochs}-epochs-{options.per_class}-per-class"  # other options, other parts
    return options


def goal(options: argparse.Namespace) -> list[dict[str, str]]:
    """Search, then train the baseline and the best settings in turn, and compare them."""
    found = search("goal", ["--time", options.time], options, options.seed)
    best = next(trial for trial in found["trials"] if trial["number"] == found["best"])
    trial = f"trial {best['number']}"
    configs = {BASELINE: baseline_config(options), trial: load_recipe(found["recipe"])}
    accuracies = {BASELINE: [train_once(BASELINE, configs[BASELINE], 0, options)], trial: [best["values"][0]]}
    for step in range(1, options.seeds + 1):
        for name, config in configs.items():
            accuracies[name].append(train_once(name, config, step, options))
    seconds = time_epochs(list(configs.values()), options)
    return [describe(name, accuracies[name], each) for name, each in zip(configs, seconds, strict=True)]


def describe(name: str, accuracies: list[float], seconds: list[float]) -> dict[str, str]:
    """Give a row of the table that answers `goal`."""
    first, *others = (100 * accuracy for accuracy in accuracies)
    spread = f" ± {statistics.stdev(others):.2f}" if len(others) > 1 else ""
    mean = f"{statistics.fmean(others):.2f}{spread}" if others else ""
    elsewhere = {f"{len(others)} other seeds and splits, %": mean} if others else {}
    return {
        "network": name,
        "the search's validation images, %": f"{first:.2f}",
        **elsewhere,
        "s per epoch": f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
    }


def train_once(name: str, config: Config, step: int, options: argparse.Namespace) -> float:
    """Train with the seed and the split at distance `step` from the search's; give the validation accuracy."""
    run = RunFolder(options.runs_dir / f"{name.replace(' ', '-')}-seed-{config.training.seed + step}")
    run.root.mkdir(parents=True, exist_ok=True)
    config = override(config, {"training.seed": config.training.seed + step, "data.split_seed": step})
    result = train(config, load_dataset("mnist", data_dir=options.data_dir), run)
    history = run.read_json(run.history_json)
    kept = result.best_epoch if config.training.keep == "best" else len(history)
    return float(history[kept - 1]["val_accuracy"])


def time_epochs(configs: list[Config], options: argparse.Namespace) -> list[list[float]]:
    """Train each configuration in turn for two epochs; give the seconds of the second (the first builds the graph)."""
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    seconds: list[list[float]] = [[] for _ in configs]
    for _ in range(options.rounds):
        for config, each in zip(configs, seconds, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                run = RunFolder(Path(folder))
                train(override(config, {"training.epochs": 2}), dataset, run)
                each.append(run.read_json(run.history_json)[1]["seconds"])
    return seconds


def pruning(options: argparse.Namespace) -> list[dict[str, str]]:
    """Search with and without pruning, with the same number of trials and the same seeds."""
    names = ("none", "median", "hyperband")
    seeds = range(options.seed, options.seed + options.seeds)
    found: dict[str, list[Outcome]] = {name: [] for name in names}
    for seed in seeds:  # in turn, because the machine may be shared
        for name in names:
            found[name].append(pruned_outcome(name, seed, options))
    plain = statistics.fmean(outcome.cpu_seconds for outcome in found["none"])
    return [pruned_row(name, outcomes, plain) for name, outcomes in found.items()]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a search."""

    trials: int
    complete: int  # trials that ran to their end
    epochs: int  # of all trials
    cpu_seconds: float  # in training
    accuracy: float  # of the best trial, on the validation images


def pruned_outcome(pruner: str, seed: int, options: argparse.Namespace) -> Outcome:
    """Search once."""
    limits = ["--trials", str(options.trials), "--pruner", pruner]
    found = search(f"pruner-{pruner}-seed{seed}", limits, options, seed)
    trials = found["trials"]
    return Outcome(
        trials=len(trials),
        complete=sum(trial["state"] == "complete" for trial in trials),
        epochs=sum(len(trial["accuracies"]) for trial in trials),
        cpu_seconds=sum(trial["cpu_seconds"] or 0 for trial in trials),
        accuracy=max(trial["values"][0] for trial in trials if trial["state"] == "complete"),
    )


def pruned_row(pruner: str, outcomes: list[Outcome], plain: float) -> dict[str, str]:
    """Give a row of the table that answers `pruning`; `plain` is the processor time without pruning, in seconds."""
    seconds = statistics.fmean(outcome.cpu_seconds for outcome in outcomes)
    return {
        "pruner": pruner,
        "trials": " ".join(str(outcome.trials) for outcome in outcomes),
        "trained to the end": " ".join(str(outcome.complete) for outcome in outcomes),
        "epochs": " ".join(str(outcome.epochs) for outcome in outcomes),
        "processor time, s": f"{seconds:.0f} ({seconds / plain:.2f} ×)",
        "best validation accuracy per seed, %": " ".join(f"{100 * outcome.accuracy:.2f}" for outcome in outcomes),
        "mean, %": f"{100 * statistics.fmean(outcome.accuracy for outcome in outcomes):.2f}",
    }


def search(name: str, limits: list[str], options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Run or resume `mnist-cnn tune`, and give its JSON record."""
    folder = options.runs_dir / f"{name}-001"
    begin = ["--name", name, "--runs-dir", str(options.runs_dir), "--dataset", "mnist", "--seed", str(seed)]
    begin += ["--epochs", str(options.epochs), "--set", f"data.per_class={options.per_class}", *limits]
    begin += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    words = ["--resume", str(folder)] if (folder / "study.json").exists() else begin
    command = [sys.executable, "-m", "mnist_cnn", "tune", *words, "--workers", str(options.workers), "--json"]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    record: dict[str, Any] = json.loads(finished.stdout)
    return record


def baseline_config(options: argparse.Namespace) -> Config:
    """Give the baseline recipe on the data that the searches use."""
    return override(load_recipe(BASELINE), {"data.dataset": "mnist", "data.per_class": options.per_class})


if __name__ == "__main__":
    main()
