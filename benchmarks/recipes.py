"""Train named recipes on MNIST with several seeds and print a table: mean ± standard deviation.

Finished runs in --runs-dir are not repeated and unfinished ones are resumed, so the benchmark can be interrupted. With
--record FILE, each run is written to the file as soon as it is complete, and a seed that the file contains with the
same settings is not trained again. So the benchmark can be done in pieces, also on different machines. The recipes were
chosen on validation data; each run is evaluated once on the test set.

    python benchmarks/recipes.py --data-dir DIR [--recipes quick vgg] [--seeds 5] [--ray [ADDRESS]] [--record FILE]

Small networks gain little from a second core. So where only the accuracies matter, train a seed on each core at the
same time. The times are recorded as those of one core:

    taskset -c 0 python benchmarks/recipes.py --data-dir DIR --recipes light --seeds 5 --record FILE &
    taskset -c 1 python benchmarks/recipes.py --data-dir DIR --recipes light --first-seed 5 --seeds 5 --record FILE

With --ray, the machines of a Ray cluster train, one run on each at a time. They must share --runs-dir. Times may then
come from different machines; each is recorded with its processor.
"""

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

from filelock import FileLock

from mnist_cnn.cluster.connection import check_address
from mnist_cnn.config import EXPECTATIONS, Config, flatten, load_recipe, override, recipe_names, settings_in_use
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.environment.machine import label_processor
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.models.persistence import open_model
from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import TrainingJob, train_each
from mnist_cnn.tuning.cost import count_multiply_adds
from records import add_options, make_record, read_records, write_records

NOT_FOR_MNIST = {"small", "teach"}


@dataclass(frozen=True)
class Measured:
    """One run of a recipe.

    Attributes:
        recipe: Its name.
        settings: The digest of all settings that make a difference, except the seed.
        processor: Where it was trained.
        values: What was measured, ready for JSON; with `seed`.
        network: Facts about the network, the same for every seed.
    """

    recipe: str
    settings: str
    processor: str
    values: dict[str, Any]
    network: dict[str, Any]


def main() -> None:
    """Train what is missing and print the table."""
    options = parse_options()
    known = list(recorded_runs(options.record)) if options.record else []
    jobs = {name: make_jobs(name, options, known) for name in options.recipes}
    wanted = {digest_settings(recipe_config(name)) for name in options.recipes}
    found = [each for each in known if each.settings in wanted]
    recipes = {job.run: name for name, each in jobs.items() for job in each}

    def keep(job: TrainingJob, record: dict[str, Any]) -> None:
        print(f"{job.run.name}: {record['accuracy']:.2%}", file=sys.stderr)
        found.append(measure(recipes[job.run], job, digest_settings(job.config)))
        if options.record:
            record_run(found[-1], options, f"python benchmarks/recipes.py --data-dir DIR --recipes {recipes[job.run]}")

    try:
        ray = None if options.ray is None else check_address(options.ray)
        train_each([job for each in jobs.values() for job in each], ray, on_end=keep)
    except MnistCnnError as error:
        sys.exit(str(error))
    print_table(found, options.recipes)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    recipes = [name for name in recipe_names() if name not in NOT_FOR_MNIST]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=recipes, choices=recipes)
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--first-seed", type=int, default=0)
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


def recipe_config(recipe: str) -> Config:
    """Load a recipe for MNIST."""
    return override(load_recipe(recipe), {"data.dataset": "mnist"})


def make_jobs(recipe: str, options: argparse.Namespace, known: Iterable[Measured]) -> list[TrainingJob]:
    """Say what to train: a recipe with each seed that is not recorded."""
    data = resolve_dataset("mnist", data_dir=options.data_dir)
    base = recipe_config(recipe)
    settings = digest_settings(base)
    recorded = {each.values["seed"] for each in known if each.settings == settings}
    return [
        TrainingJob(options.runs_dir / f"{recipe}-seed{seed}-001", override(base, {"training.seed": seed}), data)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        if seed not in recorded
    ]


def digest_settings(config: Config) -> str:
    """Identify the settings that change a result, whatever the seed and the texts for people.

    Only what differs from the defaults counts, so that the digest stays the same when settings are added.
    """
    values = dict(flatten(settings_in_use(override(config, {"training.seed": 0}))))
    defaults = dict(flatten(Config().to_dict()))
    values = {
        key: value
        for key, value in values.items()
        if key not in {"title", "source", *EXPECTATIONS} and value != defaults.get(key)
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def measure(recipe: str, job: TrainingJob, settings: str) -> Measured:
    """Read what a complete run measured, and where.

    Args:
        recipe: Its name.
        job: The run.
        settings: Their digest.
    """
    run = RunFolder(job.run)
    record = run.read_json(run.metrics)
    training = record["training"]
    model = open_model(run.model)
    return Measured(
        recipe,
        settings,
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
        for row in record["result"] if "settings" in record else []:
            network = {key: row[key] for key in ("parameters", "multiply_adds", "kilobytes")}
            for run in row["runs"]:
                yield Measured(row["recipe"], record["settings"], record["processor"], run, network)


def record_run(new: Measured, options: argparse.Namespace, command: str) -> None:
    """Add a run to `--record`: to the record of the same settings, processor and note, if there is one.

    Args:
        new: The run.
        options: With those of `add_options`.
        command: That repeats the measurement, without `--seeds`.
    """
    options.record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{options.record}.lock"):  # another process may record other seeds
        _record_run(new, options, command)


def _record_run(new: Measured, options: argparse.Namespace, command: str) -> None:
    records = read_records(options.record)
    key = {"settings": new.settings, "processor": new.processor, "note": options.note}
    same = [record for record in records if all(record.get(name) == value for name, value in key.items())]
    runs = [run for record in same for run in record["result"][0]["runs"] if run["seed"] != new.values["seed"]]
    runs = sorted([*runs, new.values], key=lambda run: int(run["seed"]))
    row = {"recipe": new.recipe, **new.network, **summarise(runs), "runs": runs}
    seeds = max(int(run["seed"]) for run in runs) + 1
    record = make_record([row], f"{command} --seeds {seeds}", new.processor, options.note) | key
    write_records(options.record, [*(each for each in records if each not in same), record])


def print_table(runs: Sequence[Measured], recipes: Iterable[str]) -> None:
    """Print a row for each recipe and processor."""
    print("| recipe | parameters | accuracy, % | log loss | training, s | processor, s | seeds | machine |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in recipes:
        for processor in sorted({each.processor for each in runs if each.recipe == recipe}):
            chosen = [each for each in runs if (each.recipe, each.processor) == (recipe, processor)]
            row = summarise([each.values for each in chosen])
            parameters, accuracy = chosen[0].network["parameters"], f"{row['accuracy']:.3f} ± {row['accuracy_sd']:.3f}"
            times = f"{row['seconds']:.1f} | {row['cpu_seconds']:.0f}"
            print(
                f"| `{recipe}` | {parameters:,} | {accuracy} | {row['log_loss']:.4f} | {times} | {row['seeds']} | "
                f"{processor} |"
            )


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give means over the seeds; accuracies in percent, times in seconds (medians)."""
    accuracies = [run["accuracy"] for run in runs]
    medians = ("epochs", "seconds", "cpu_seconds", "total_seconds")
    return {
        "seeds": len(runs),
        "accuracy": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "accuracies": accuracies,
        "log_loss": statistics.mean(run["log_loss"] for run in runs),
        **{key: statistics.median(run[key] for run in runs) for key in medians},
        "peak_memory_gib": max(run["peak_memory_gib"] for run in runs),
    }


if __name__ == "__main__":
    main()
