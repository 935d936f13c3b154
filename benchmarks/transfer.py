"""Does starting from MNIST's weights pay off with little data, 20 images per class of scikit-learn's digits?

Compares training from scratch with fine-tuning all layers, or only the classifier, of a trained model: on the same
images, over several seeds, with accuracies on the test set of the bundled digits.

    python benchmarks/transfer.py --source RUN [--per-class 20] [--seeds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from mnist_cnn import create_run, evaluate, load_dataset, load_recipe, override, predict, train


def main() -> None:
    """Train every variant with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="a run or .keras file trained on MNIST")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    source = str(options.source.resolve())
    variants: dict[str, dict[str, Any]] = {
        "from scratch": {},
        "from MNIST's weights": {"model.init_from": source, "optimizer.learning_rate": 5e-4},
        "from MNIST's weights, features frozen": {"model.init_from": source, "model.freeze": "features"},
    }
    for name, settings in variants.items():
        values = [accuracy(settings, options.per_class, seed) for seed in range(options.seeds)]
        print(f"{name:38} {statistics.mean(values):.2%} ± {statistics.stdev(values):.2%}  {values}", flush=True)


def accuracy(settings: dict[str, Any], per_class: int, seed: int) -> float:
    """Train on a few bundled digits; give the accuracy on their test set."""
    few = {"data.dataset": "digits", "data.per_class": per_class, "data.validation": 0.0}
    few |= {"training.seed": seed, "data.split_seed": seed}
    config = override(load_recipe("small"), {**few, **settings})
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, load_dataset("digits"), create_run(Path(folder), "transfer"))
    return evaluate(predict(result.model, load_dataset("digits", split="test"))).accuracy.value


if __name__ == "__main__":
    main()
