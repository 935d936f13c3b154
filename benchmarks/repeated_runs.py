"""Runs of the same settings with several seeds: what is missing is trained, and all of it is recorded, run by run."""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cnn.config import EXPECTATIONS, Config, flatten, load_recipe, override, settings_in_use
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.environment.machine import label_processor
from mnist_cnn.models.persistence import open_model
from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import TrainingJob, train_each
from mnist_cnn.tuning.cost import count_multiply_adds
from records import add_options, add_run, read_records, runs_of, spread, statistics_of


@dataclass(frozen=True)
class Repeated:
    """Runs that differ only in their seed.

    Attributes:
        name: Of the recipe, in tables and run folders.
        config: All settings.
        settings: Their digest.
        command: Command that repeats the measurement, without `--seeds`.
    """

    name: str
    config: Config
    settings: str
    command: str


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        recipe: Its name.
        settings: Digest of all settings that make a difference, except the seed.
        processor: Where it was trained.
        values: What was measured, ready for JSON; with `seed`.
        network: Facts about the network, the same for every seed.
    """

    recipe: str
    settings: str
    processor: str
    values: dict[str, Any]
    network: dict[str, Any]


def add_run_options(parser: argparse.ArgumentParser, runs_dir: Path) -> None:
    """Add the options that say which runs, and where they and their records are."""
    add_seed_options(parser)
    parser.add_argument("--runs-dir", type=Path, default=runs_dir, help=f"folder of the runs; default: {runs_dir}")
    add_options(parser)


def add_seed_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which data and which seeds."""
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--first-seed", type=int, default=0, help="default: 0")


def train_missing(series: Sequence[Repeated], options: argparse.Namespace, ray: str | None = None) -> list[Measured]:
    """Train the seeds that are not recorded, and record each as soon as it is complete.

    Args:
        series: Which settings.
        options: The parsed command line, with those of `add_run_options`.
        ray: From `check_address`, to train on a cluster.

    Returns:
        All runs, also those that were recorded earlier.

    Raises:
        MnistCnnError: A training failed.
    """
    known = list(recorded_runs(options.record)) if options.record else []
    found = [each for each in known if each.settings in {one.settings for one in series}]
    data = resolve_dataset("mnist", data_dir=options.data_dir)
    jobs: dict[Path, tuple[Repeated, TrainingJob]] = {}
    for one in series:
        recorded = {each.values["seed"] for each in found if each.settings == one.settings}
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            if seed not in recorded:
                run = (options.runs_dir / f"{one.name}-seed{seed}-001").resolve()
                jobs[run] = one, TrainingJob(run, override(one.config, {"training.seed": seed}), data)

    def keep(job: TrainingJob, record: dict[str, Any]) -> None:
        print(f"{job.run.name}: {record['accuracy']:.2%}", file=sys.stderr)
        one, _ = jobs[job.run]
        found.append(measure(one, job))
        record_run(found[-1], options, one.command)

    train_each([job for _, job in jobs.values()], ray, on_end=keep)
    return found


def recipe_config(recipe: str) -> Config:
    """Load a recipe for MNIST."""
    return override(load_recipe(recipe), {"data.dataset": "mnist"})


def digest_settings(config: Config) -> str:
    """Identify the settings that change a result, whatever the seed and the texts for people.

    Only what differs from the defaults counts, so that the digest stays the same when settings are added. It does not
    show that a default was changed: then, recorded runs that relied on the default must be removed.
    """
    values = dict(flatten(settings_in_use(override(config, {"training.seed": 0}))))
    defaults = dict(flatten(Config().to_dict()))
    values = {
        key: value
        for key, value in values.items()
        if key not in {"title", "source", *EXPECTATIONS} and value != defaults.get(key)
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def measure(one: Repeated, job: TrainingJob) -> Measured:
    """Read what a complete run measured, and where."""
    run = RunFolder(job.run)
    record = run.read_json(run.metrics)
    training = record["training"]
    model = open_model(run.model)
    return Measured(
        one.name,
        one.settings,
        label_processor(run.read_json(run.environment)),
        {
            "seed": job.config.training.seed,
            "accuracy": 100 * record["accuracy"],
            "log_loss": record["log_loss"],
            **{key: training[key] for key in ("epochs", "seconds", "cpu_seconds", "total_seconds", "peak_memory_gib")},
        },
        {
            "parameters": training["parameters"],
            "multiply_adds": count_multiply_adds(model),
            "kilobytes": round(run.model.stat().st_size / 1000),
        },
    )


def recorded_runs(path: Path) -> Iterator[Measured]:
    """Yield the runs that a file of records contains. Earlier records, which contain only means, are left out."""
    for record in read_records(path):
        if "settings" in record:
            (row,) = record["result"]
            for run in runs_of(record):
                network = {key: row[key] for key in ("parameters", "multiply_adds", "kilobytes")}
                yield Measured(row["recipe"], record["settings"], record["processor"], run, network)


def record_run(new: Measured, options: argparse.Namespace, command: str) -> None:
    """Add a run to `--record`, if it is given.

    Args:
        new: The run.
        options: The parsed command line, with the options of `add_options`.
        command: Command that repeats the measurement, without `--seeds`.
    """

    def row(runs: list[Any]) -> list[Any]:
        return [{"recipe": new.recipe, **new.network, **summarise(runs), "runs": runs}]

    add_run(options, {"settings": new.settings, "processor": new.processor}, new.values, row, command)


def print_table(runs: Sequence[Measured], recipes: Iterable[str]) -> None:
    """Print a row for each recipe and processor."""
    print("| recipe | parameters | accuracy, % | log loss | training, s | processor, s | seeds | machine |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in recipes:
        for processor in sorted({each.processor for each in runs if each.recipe == recipe}):
            chosen = [each for each in runs if (each.recipe, each.processor) == (recipe, processor)]
            row = summarise([each.values for each in chosen])
            parameters, accuracy = chosen[0].network["parameters"], spread(row, 3)
            times = f"{row['seconds']:.1f} | {row['cpu_seconds']:.0f}"
            print(
                f"| `{recipe}` | {parameters:,} | {accuracy} | {row['log_loss']:.4f} | {times} | {row['seeds']} | "
                f"{processor} |"
            )


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give means over the seeds; accuracies in percent, times in seconds (medians)."""
    medians = ("epochs", "seconds", "cpu_seconds", "total_seconds")
    return {
        **statistics_of(runs),
        "accuracies": [run["accuracy"] for run in runs],
        **{key: statistics.median(run[key] for run in runs) for key in medians},
        "peak_memory_gib": max(run["peak_memory_gib"] for run in runs),
    }
