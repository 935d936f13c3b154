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
import sys
from pathlib import Path

from mnist_cnn.cluster.connection import check_address
from mnist_cnn.config import recipe_names
from mnist_cnn.errors import MnistCnnError
from repeated_runs import Repeated, add_run_options, digest_settings, print_table, recipe_config, train_missing

NOT_FOR_MNIST = {"small", "teach"}
FOR_MNIST = [name for name in recipe_names() if name not in NOT_FOR_MNIST]


def main() -> None:
    """Train what is missing and print the table."""
    options = parse_options()
    configs = {name: recipe_config(name) for name in options.recipes}
    command = "python benchmarks/recipes.py --data-dir DIR --recipes"
    series = [Repeated(name, each, digest_settings(each), f"{command} {name}") for name, each in configs.items()]
    try:
        found = train_missing(series, options, None if options.ray is None else check_address(options.ray))
    except MnistCnnError as error:
        sys.exit(str(error))
    print_table(found, options.recipes)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=FOR_MNIST, choices=FOR_MNIST)
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="train on a Ray cluster; default: local",
    )
    add_run_options(parser, Path("runs/recipes"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
