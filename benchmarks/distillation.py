"""How good one network becomes that learns the answers of an ensemble: mean ± standard deviation over several seeds.

    mnist-cnn ensemble RUN RUN RUN RUN RUN
    python benchmarks/distillation.py --data-dir DIR --teacher runs/ensemble-001 [--recipe compact]
        [--set KEY=VALUE …] [--name NAME] [--seeds 5] [--first-seed 0] [--record FILE]

It trains like `mnist-cnn distill TEACHER --recipe compact --set KEY=VALUE --seed N`, with the default temperature
and weight. Each run is evaluated once on the test set. Finished and recorded runs are not repeated,
unfinished ones are continued, as in `benchmarks/recipes.py`, which also says how to use each core for another seed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, load_recipe, override, parse_setting
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.runs import RunFolder
from recipes import FOR_MNIST
from repeated_runs import Repeated, add_run_options, digest_settings, print_table, recipe_config, train_missing


def main() -> None:
    """Train what is missing and print a table."""
    options = parse_options()
    try:
        config = student(options.recipe, options.teacher, dict(parse_setting(text) for text in options.set))
        settings = digest_distilled(config)
        name = options.name or f"{options.recipe}-distilled"
        words = ["--recipe", options.recipe, *(["--set", *options.set] if options.set else []), "--name", name]
        command = f"python benchmarks/distillation.py --data-dir DIR --teacher DIR {shlex.join(words)}"
        options.runs_dir /= settings  # another teacher, or another setting, has other runs
        found = train_missing([Repeated(name, config, settings, command)], options)
    except MnistCnnError as error:
        sys.exit(str(error))
    print_table(found, [name])


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True, help="an ensemble, or a run, on all training images")
    parser.add_argument("--recipe", default="compact", choices=FOR_MNIST, help="default: compact")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="other settings than the recipe's"
    )
    parser.add_argument("--name", help="of the student in tables and folders; default: RECIPE-distilled")
    add_run_options(parser, Path("runs/distilled"))
    return parser.parse_args()


def student(recipe: str, teacher: Path, changes: Mapping[str, Any]) -> Config:
    """Return the settings of a network that learns from a teacher."""
    distilled = {"training.loss": "one-hot", "distillation.teacher": str(teacher.resolve())}
    return override(recipe_config(recipe), {**distilled, **changes})


def digest_distilled(config: Config) -> str:
    """Identify the settings of the network and of its teacher, wherever the teacher is."""
    teacher = Path(config.distillation.teacher)
    known = load_recipe(RunFolder(teacher).config)
    networks = [load_recipe(RunFolder(teacher / each).config) for each in known.model.average] or [known]
    identity = ", ".join(f"{digest_settings(each)} seed {each.training.seed}" for each in networks)
    return digest_settings(override(config, {"distillation.teacher": identity}))


if __name__ == "__main__":
    main()
