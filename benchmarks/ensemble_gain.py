"""What an average of five networks is worth: members, disjoint ensembles, and a paired test against the best member.

First train the members, which are the seeds of a recipe, in the order of their numbers:

    python benchmarks/recipes.py --data-dir DIR --recipes accurate --seeds 10 --record FILE

Then average their probabilities for MNIST's test images: seeds 0 to 4, 5 to 9, and so on. No member is chosen, and
none is in two ensembles.

    python benchmarks/ensemble_gain.py --data-dir DIR --recipe accurate --answers FILE.npz [--record FILE]

--answers keeps each member's probabilities, to 16 bits. So the weights are not needed again, and members can be
trained in pieces, also on different machines.
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
from mnist_cnn.evaluation.metrics import log_loss, paired_test
from mnist_cnn.evaluation.predictions import read_predictions
from mnist_cnn.files import write_whole
from mnist_cnn.runs import RunFolder
from recipes import FOR_MNIST
from records import add_options, add_record, spread, statistics_of
from repeated_runs import digest_settings, recipe_config

_STEPS = np.iinfo(np.uint16).max

Answers = dict[int, NDArray[np.float32]]  # by seed: probabilities [n, 10]
Labels = NDArray[np.int64]


def main() -> None:
    """Add the answers of new runs, average, and print a table."""
    options = parse_options()
    answers = collect_answers(options)
    if not answers:
        sys.exit(
            f"{options.runs_dir} contains no complete run of {options.recipe} with its present settings. Train some: "
            f"python benchmarks/recipes.py --recipes {options.recipe} --seeds 10 --runs-dir {options.runs_dir}"
        )
    labels = load_dataset("mnist", split="test", data_dir=options.data_dir).labels
    result = {
        "recipe": options.recipe,
        "members": [{"seed": seed, **score(answers[seed], labels)} for seed in sorted(answers)],
        "ensembles": list(score_ensembles(answers, labels, options.members)),
    }
    print_table(result)
    add_record(options, result)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--recipe", default="accurate", choices=FOR_MNIST, help="default: accurate")
    parser.add_argument("--members", type=int, default=5, choices=range(2, 6), help="of each ensemble; default: 5")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/recipes"), help="where recipes.py trained")
    parser.add_argument("--answers", type=Path, required=True, help="file that keeps the members' probabilities")
    add_options(parser)
    return parser.parse_args()


def collect_answers(options: argparse.Namespace) -> Answers:
    """Add the answers of new runs to those that are kept, and return what is kept.

    Raises:
        SystemExit: The file contains the answers of other settings.
    """
    settings = digest_settings(recipe_config(options.recipe))
    new = dict(find_answers(options.runs_dir, options.recipe, settings))
    kept = read_answers(options.answers, settings)
    if new:
        write_answers(options.answers, settings, kept | new)
    return read_answers(options.answers, settings)


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
    rounded: dict[str, Any] = {str(seed): np.rint(answers[seed] * _STEPS).astype(np.uint16) for seed in sorted(answers)}
    with write_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, settings=np.array(settings), **rounded)


def score(probabilities: NDArray[np.float32], labels: Labels) -> dict[str, Any]:
    """Measure probabilities [n, 10]."""
    right = probabilities.argmax(axis=1) == labels
    return {"accuracy": 100 * float(right.mean()), "log_loss": log_loss(labels, probabilities)}


def score_ensembles(answers: Answers, labels: Labels, count: int) -> Iterator[dict[str, Any]]:
    """Average seeds 0 to `count` - 1 and so on, as far as all of them are there, and compare with the best of them."""
    for start in range(0, max(answers) + 1, count):
        members = list(range(start, start + count))
        if not all(seed in answers for seed in members):
            continue
        mean = np.mean([answers[seed] for seed in members], axis=0)
        best = max((answers[seed].argmax(axis=1) for seed in members), key=lambda each: float((each == labels).mean()))
        test = paired_test(labels, best, mean.argmax(axis=1))
        yield {
            "seeds": members,
            **score(mean, labels),
            "only_best_member_right": test.only_first_right,
            "only_ensemble_right": test.only_second_right,
            "p_value": test.p_value,
        }


def print_table(result: Mapping[str, Any]) -> None:
    """Print the members' mean and each ensemble."""
    members = statistics_of(result["members"])
    print("| network | accuracy, % | log loss | p, against its best member |")
    print("|---|--:|--:|--:|")
    print(f"| one of {members['seeds']} | {spread(members, 3)} | {members['log_loss']:.4f} | |")
    for each in result["ensembles"]:
        seeds = f"seeds {each['seeds'][0]} to {each['seeds'][-1]}"
        print(f"| {seeds} | {each['accuracy']:.2f} | {each['log_loss']:.4f} | {each['p_value']:.2g} |")


if __name__ == "__main__":
    main()
