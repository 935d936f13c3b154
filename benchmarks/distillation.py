"""How good one network becomes that learns the answers of an ensemble: mean ± standard deviation over several seeds.

    mnist-cnn ensemble RUN RUN RUN RUN RUN
    python benchmarks/distillation.py --data-dir DIR --teacher runs/ensemble-001 [--recipe accurate] [--epochs 30]
        [--seeds 5] [--first-seed 0] [--record FILE]

It trains like `mnist-cnn distill TEACHER --recipe accurate --epochs 30 --seed N`, with the default temperature and
weight. Each run is evaluated once on the test set. Finished and recorded runs are not repeated, unfinished ones are
continued, as in `benchmarks/recipes.py`, which also says how to use each core for another seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, override
from mnist_cnn.datasets import resolve_dataset
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.series.training_jobs import TrainingJob, train_each
from recipes import digest_settings, measure, print_table, recipe_config, record_run, recorded_runs
from records import add_options


def main() -> None:
    """Train what is missing and print a table."""
    options = parse_options()
    known = list(recorded_runs(options.record)) if options.record else []
    settings = digest_distilled(student(options, 0))
    found = [each for each in known if each.settings == settings]
    recorded = {each.values["seed"] for each in found}
    data = resolve_dataset("mnist", data_dir=options.data_dir)
    name = f"{options.recipe}-distilled"
    jobs = [
        TrainingJob(options.runs_dir / f"{name}-seed{seed}-001", student(options, seed), data)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        if seed not in recorded
    ]

    def keep(job: TrainingJob, record: dict[str, Any]) -> None:
        print(f"{job.run.name}: {record['accuracy']:.2%}", file=sys.stderr)
        found.append(measure(name, job, settings))
        if options.record:
            epochs = f" --epochs {options.epochs}" if options.epochs else ""
            command = (
                f"python benchmarks/distillation.py --data-dir DIR --teacher DIR --recipe {options.recipe}{epochs}"
            )
            record_run(found[-1], options, command)

    try:
        train_each(jobs, on_end=keep)
    except MnistCnnError as error:
        sys.exit(str(error))
    print_table(found, [name])


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--teacher", type=Path, required=True, help="an ensemble of runs on all training images")
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/distilled"))
    add_options(parser)
    return parser.parse_args()


def student(options: argparse.Namespace, seed: int) -> Config:
    """Return the settings of a network that learns from the teacher."""
    changes = {
        "training.loss": "one-hot",
        "training.seed": seed,
        "distillation.teacher": str(options.teacher.resolve()),
    }
    return override(
        recipe_config(options.recipe), changes | ({"training.epochs": options.epochs} if options.epochs else {})
    )


def digest_distilled(config: Config) -> str:
    """Identify the settings, whatever the folder of the teacher."""
    return digest_settings(override(config, {"distillation.teacher": "teacher"}))


if __name__ == "__main__":
    main()
