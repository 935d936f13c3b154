"""The effect of mirrored digits on accuracy: the `batchnorm` network with and without flips, on validation data.

python benchmarks/flips.py --data-dir DIR [--epochs 3] [--seeds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from mnist_cnn import create_run, load_dataset, load_recipe, override, train
from mnist_cnn.datasets import Dataset

VARIANTS: dict[str, dict[str, bool]] = {
    "no flips": {},
    "horizontal": {"augmentation.flip_horizontal": True},
    "vertical": {"augmentation.flip_vertical": True},
    "both": {"augmentation.flip_horizontal": True, "augmentation.flip_vertical": True},
}


def main() -> None:
    """Train every variant with every seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    digits = load_dataset("mnist", data_dir=options.data_dir)
    for name, flips in VARIANTS.items():
        values = [validation_accuracy(digits, flips, seed, options.epochs) for seed in range(options.seeds)]
        print(f"{name:12} {statistics.mean(values):.2%}  {values}", flush=True)


def validation_accuracy(digits: Dataset, flips: dict[str, Any], seed: int, epochs: int) -> float:
    """Train one network; give the accuracy of its best epoch on the 20 % held out."""
    settings = {"training.epochs": epochs, "training.seed": seed, "training.precision": "auto", **flips}
    config = override(load_recipe("batchnorm"), settings)
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder), "flips")
        train(config, digits, run)
        return max(float(row["val_accuracy"]) for row in run.read_json(run.history_json))


if __name__ == "__main__":
    main()
