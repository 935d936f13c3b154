"""What an average of five networks is worth: members, disjoint ensembles, and a paired test of each against its best.

First train the members, which are the seeds of a recipe, in the order of their numbers:

    python benchmarks/recipes.py --data-dir DIR --recipes accurate --seeds 10 --record FILE

Then average their probabilities for MNIST's test images: seeds 0 to 4, 5 to 9, and so on. No member is chosen, and
none is in two ensembles.

    python benchmarks/ensemble_gain.py --data-dir DIR --recipe accurate --answers FILE.npz [--record FILE]

--answers keeps each member's probabilities, to 16 bits. So the weights are not needed again, and members can be
trained in pieces, also on different machines. Answers of other settings of the recipe are left out and replaced.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
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
from recipes import digest_settings, recipe_config
from records import add_options, add_record

_STEPS = np.iinfo(np.uint16).max

Answers = dict[int, NDArray[np.float32]]  # by seed: probabilities [n, 10]
Labels = NDArray[np.int64]


def main() -> None:
    """Add the answers of new runs, average, and print a table."""
    options = parse_options()
    settings = digest_settings(recipe_config(options.recipe))
    answers = read_answers(options.answers, settings) | dict(find_answers(options.runs_dir, options.recipe, settings))
    write_answers(options.answers, settings, answers)
    labels = load_dataset("mnist", split="test", data_dir=options.data_dir).labels
    result = {
        "recipe": options.recipe,
        "members": [score(answers[seed], labels) | {"seed": seed} for seed in sorted(answers)],
        "ensembles": list(score_ensembles(answers, labels, options.members)),
    }
    print_table(result)
    add_record(options, result)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--members", type=int, default=5, help="members of each ensemble; default: 5")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/recipes"), help="where recipes.py trained")
    parser.add_argument("--answers", type=Path, required=True, help="file that keeps the members' probabilities")
    add_options(parser)
    return parser.parse_args()


def find_answers(runs: Path, recipe: str, settings: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the seed and the probabilities of each complete run with these settings."""
    for folder in sorted(runs.glob(f"{recipe}-seed*")):
        run = RunFolder(folder)
        if run.predictions.exists():
            config = load_recipe(str(run.config))
            if digest_settings(config) == settings:
                yield config.training.seed, read_predictions(run.predictions)[1]


def read_answers(path: Path, settings: str) -> Answers:
    """Read the probabilities that were kept for these settings; none if there is no such file."""
    if not path.exists():
        return {}
    with np.load(path) as kept:
        if str(kept["settings"]) != settings:
            return {}
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
    """Average the members in the order of their seeds, as many as are complete, and compare with the best of them."""
    seeds = sorted(answers)
    for start in range(0, len(seeds) - count + 1, count):
        members = seeds[start : start + count]
        mean = np.mean([answers[seed] for seed in members], axis=0)
        best = max((answers[seed].argmax(axis=1) for seed in members), key=lambda each: float((each == labels).mean()))
        test = paired_test(labels, best, mean.argmax(axis=1))
        yield score(mean, labels) | {
            "seeds": members,
            "only_best_member_right": test.only_first_right,
            "only_ensemble_right": test.only_second_right,
            "p_value": test.p_value,
        }


def print_table(result: Mapping[str, Any]) -> None:
    """Print the members' mean and each ensemble."""
    print("| network | accuracy, % | log loss |")
    print("|---|--:|--:|")
    print(f"| one of {len(result['members'])} members | {spread_of(result['members'])} |")
    for each in result["ensembles"]:
        seeds = f"seeds {each['seeds'][0]} to {each['seeds'][-1]}"
        versus = f"p = {each['p_value']:.2g} against the best member"
        print(f"| {seeds} ({versus}) | {each['accuracy']:.2f} | {each['log_loss']:.4f} |")
    if len(result["ensembles"]) > 1:
        print(f"| {len(result['ensembles'])} ensembles | {spread_of(result['ensembles'])} |")


def spread_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the mean and standard deviation of the accuracy, and the mean log loss."""
    accuracies = [row["accuracy"] for row in rows]
    deviation = f" ± {statistics.stdev(accuracies):.3f}" if len(rows) > 1 else ""
    return f"{statistics.mean(accuracies):.3f}{deviation} | {statistics.mean(row['log_loss'] for row in rows):.4f}"


if __name__ == "__main__":
    main()
