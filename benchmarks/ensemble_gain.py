"""What an average of several networks is worth: members, disjoint ensembles, and a paired test against the best member.

First train the members, which are the seeds of one or more recipes, in the order of their numbers:

    python benchmarks/recipes.py --data-dir DIR --recipes accurate compact --seeds 10 --record FILE

Then average their probabilities for MNIST's test images: seeds 0 to 4, 5 to 9, and so on. No member is chosen, and
none is in two ensembles. With several recipes, as in the second command, the first ensemble has seeds 0 to 2 of
`accurate` and 0 to 1 of `compact`, and the second has 3 to 5 and 2 to 3.

    python benchmarks/ensemble_gain.py --data-dir DIR --members accurate=5 --answers DIR [--record FILE]
    python benchmarks/ensemble_gain.py --data-dir DIR --members accurate=3 compact=2 --answers DIR [--record FILE]

--answers keeps each member's probabilities, rounded to 16 bits, in a file for each recipe. So the weights are not
needed again, and members can be trained in pieces, also on different machines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import load_dataset
from mnist_cnn.ensembles.membership import FEWEST, MOST
from mnist_cnn.evaluation.metrics import log_loss, paired_test
from mnist_cnn.evaluation.predictions import read_predictions
from mnist_cnn.files import write_whole
from mnist_cnn.runs import RunFolder
from recipes import FOR_MNIST
from records import add_options, add_record, spread, statistics_of
from repeated_runs import digest_settings, recipe_config
from tables import name_ensemble

_STEPS = np.iinfo(np.uint16).max

Answers = dict[int, NDArray[np.float32]]  # by seed: probabilities [n, 10]
Labels = NDArray[np.int64]


def main() -> None:
    """Add the answers of new runs, average, and print a table."""
    options = parse_options()
    members: dict[str, int] = dict(options.members)
    answers = {recipe: collect_answers(recipe, options) for recipe in members}
    labels = load_dataset("mnist", split="test", data_dir=options.data_dir).labels
    result = {
        "members": members,
        "networks": {
            recipe: [{"seed": seed, **score(of_seed[seed], labels)} for seed in sorted(of_seed)]
            for recipe, of_seed in answers.items()
        },
        "ensembles": list(score_ensembles(answers, labels, members)),
    }
    print_table(result)
    add_record(options, result)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument(
        "--members",
        nargs="+",
        type=read_members,
        default=[("accurate", 5)],
        metavar="RECIPE=N",
        help=f"seeds per recipe in each ensemble, {FEWEST} to {MOST} in total; default: accurate=5",
    )
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/recipes"), help="where recipes.py trained")
    parser.add_argument("--answers", type=Path, required=True, help="folder that keeps the members' probabilities")
    add_options(parser)
    options = parser.parse_args()
    if not FEWEST <= (total := sum(count for _, count in options.members)) <= MOST:
        parser.error(f"--members gives {total} networks. Valid: {FEWEST} to {MOST} in total.")
    if len(dict(options.members)) < len(options.members):
        parser.error("--members names a recipe twice. Name each recipe once.")
    return options


def read_members(text: str) -> tuple[str, int]:
    """Read a recipe and the number of its seeds, such as accurate=5.

    Raises:
        ArgumentTypeError: Anything else.
    """
    recipe, _, count = text.partition("=")
    if recipe not in FOR_MNIST or not count.isdecimal() or not int(count):
        valid = ", ".join(FOR_MNIST)
        raise argparse.ArgumentTypeError(f"{text!r} is not RECIPE=N. N is at least 1. Valid recipes: {valid}.")
    return recipe, int(count)


def collect_answers(recipe: str, options: argparse.Namespace) -> Answers:
    """Add the answers of new runs of a recipe to those that are kept, and return what is kept.

    Raises:
        SystemExit: The answers in the file are from other settings, or no run is complete.
    """
    settings = digest_settings(recipe_config(recipe))
    path = options.answers / f"{recipe}.npz"
    new = dict(find_answers(options.runs_dir, recipe, settings))
    kept = read_answers(path, settings)
    if new:
        write_answers(path, settings, kept | new)
    elif not kept:
        sys.exit(
            f"{options.runs_dir} contains no complete run of {recipe} with its present settings. Train some: "
            f"python benchmarks/recipes.py --recipes {recipe} --seeds 10 --runs-dir {options.runs_dir}"
        )
    return read_answers(path, settings)


def find_answers(runs: Path, recipe: str, settings: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the seed and the probabilities of each complete run with these settings."""
    for folder in sorted(runs.glob(f"{recipe}-seed*")):
        run = RunFolder(folder)
        if run.predictions.exists():
            config = load_recipe(str(run.config))
            if digest_settings(config) == settings:
                yield config.training.seed, read_predictions(run.predictions)[1]


def read_answers(path: Path, settings: str) -> Answers:
    """Read the probabilities that an earlier run kept; an empty dictionary if the file does not exist.

    Raises:
        SystemExit: They are those of other settings.
    """
    if not path.exists():
        return {}
    with np.load(path) as kept:
        if str(kept["settings"]) != settings:
            sys.exit(f"{path} contains the answers of other settings. Choose another --answers, or remove it.")
        return {int(name): (kept[name] / _STEPS).astype(np.float32) for name in kept.files if name != "settings"}


def write_answers(path: Path, settings: str, answers: Answers) -> None:
    """Keep probabilities, rounded to 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded: dict[str, Any] = {str(seed): np.rint(answers[seed] * _STEPS).astype(np.uint16) for seed in sorted(answers)}
    with write_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, settings=np.array(settings), **rounded)


def score(probabilities: NDArray[np.float32], labels: Labels) -> dict[str, Any]:
    """Measure probabilities [n, 10]."""
    right = probabilities.argmax(axis=1) == labels
    return {"accuracy": 100 * float(right.mean()), "log_loss": log_loss(labels, probabilities)}


def score_ensembles(
    answers: Mapping[str, Answers], labels: Labels, members: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Average the first seeds of each recipe, then the next ones, and so on; compare each with its best member.

    An ensemble with a missing seed is left out.

    Args:
        answers: Probabilities by recipe and seed.
        labels: The correct classes [n].
        members: How many seeds of each recipe an ensemble has.
    """
    for number in range(1 + max(max(answers[recipe], default=0) // count for recipe, count in members.items())):
        seeds = {recipe: list(range(number * count, (number + 1) * count)) for recipe, count in members.items()}
        if not all(seed in answers[recipe] for recipe in seeds for seed in seeds[recipe]):
            continue
        averaged = [answers[recipe][seed] for recipe in seeds for seed in seeds[recipe]]
        mean = np.mean(averaged, axis=0)
        best = max((each.argmax(axis=1) for each in averaged), key=lambda each: float((each == labels).mean()))
        test = paired_test(labels, best, mean.argmax(axis=1))
        yield {
            "seeds": seeds,
            **score(mean, labels),
            "only_best_member_right": test.only_first_right,
            "only_ensemble_right": test.only_second_right,
            "p_value": test.p_value,
        }


def print_table(result: Mapping[str, Any]) -> None:
    """Print each recipe's mean and each ensemble."""
    print("| network | accuracy, % | log loss | p, against its best member |")
    print("|---|--:|--:|--:|")
    for recipe, networks in result["networks"].items():
        row = statistics_of(networks)
        print(f"| one of {row['seeds']} of `{recipe}` | {spread(row, 3)} | {row['log_loss']:.4f} | |")
    for each in result["ensembles"]:
        scores = f"{each['accuracy']:.2f} | {each['log_loss']:.4f} | {each['p_value']:.2g}"
        print(f"| {name_ensemble(each['seeds'])} | {scores} |")


if __name__ == "__main__":
    main()
