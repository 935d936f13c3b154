"""How long a recipe trains on MNIST until it is as accurate as stock Keras and as PyTorch, on the same cores.

- `stock`: the `batchnorm` network for 20 epochs of `model.fit` as a notebook runs it, in float32, with batches of 64
  and without callbacks: 48,000 training and 12,000 validation images.
- `port`: one epoch of tuomaso/train_mnist_fast in PyTorch, on all 60,000 images, in float32, and in bfloat16 where the
  processor has it (`benchmarks/one_epoch_port.py`). Needs the extra `torch`.
- `recipe`: this package's training, with validation and everything that it saves after each epoch.
- `sprint`: the same recipe with the settings of `--sprint`. Without them, the recipe is compared with the port.

Each measurement runs in its own process, and the variants take turns. Seconds extend from the start of `fit` to the
end of the last epoch, with tracing and validation; loading the images and building the network come before that. "Warm"
seconds are without the first call, which traces the graph or chooses kernels: it counts as if it took as long as the
second. A call is an epoch of stock `fit`, a step in PyTorch, and up to 16 steps of this package. The test set is read
once per seed.

The floor is the time that the multiplications and additions of training would need at the rate of a large matrix
product in the recipe's precision, measured in the same run: forward, and two products backward, except in the first
layer, whose input needs no gradient. Validation is not part of it.

Finished measurements in --runs-dir are not repeated, so the benchmark can be interrupted.

    python benchmarks/time_to_accuracy.py --data-dir DIR [--recipe fast] [--seeds 5] [--sprint training.epochs=1]
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from epoch_time import data_words, fit_stock, in_own_process, now
from mnist_cnn.config import load_recipe, override, parse_setting
from mnist_cnn.environment.machine import describe_environment, has_bfloat16, label_processor
from mnist_cnn.errors import MissingExtraError, MnistCnnError
from mnist_cnn.files import write_json
from records import add_options, add_record, spread

CEILING, STOCK, RECIPE, SPRINT = "ceiling", "stock", "recipe", "sprint"
PORTS = {"port, float32": "float32", "port, bfloat16": "bfloat16"}
EPOCHS = 20  # of the batchnorm recipe
_SIDE, _PRODUCTS = 2048, 20  # of the matrices of the ceiling, and how many products are timed

Ticks = Sequence[tuple[float, float]]  # wall-clock and processor time, seconds


def main() -> None:
    """Measure what is missing and print the comparison."""
    options = parse_options()
    try:
        if options.variant:
            print(json.dumps(measure(options)))
            return
        result = compare(options)
    except MnistCnnError as error:
        sys.exit(str(error))
    environment = describe_environment()
    print(label_processor(environment))
    for row in result["rows"]:
        print(
            f"{row['variant']:15} {row['epochs']:3} epochs  {row['seconds']:7.2f} s  "
            f"{row['warm_seconds']:7.2f} s warm  "
            f"{row['cpu_seconds']:7.2f} s of processor  "
            f"{'–' if row['accuracy'] is None else spread(row)} % (seeds: {row['seeds']})"
        )
    print(*(f"{name}: {value:.4g}" for name, value in result.items() if isinstance(value, float)), sep="\n")
    if options.json:
        where = {"processor": label_processor(environment), "versions": environment["packages"]}
        write_json(options.json, {**result, **where})
    add_record(options, result)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--recipe", default="fast", help="name or TOML file")
    parser.add_argument("--sprint", nargs="+", default=[], metavar="KEY=VALUE", help="settings for fewer epochs")
    parser.add_argument("--seeds", type=int, default=5, help="of the recipe and of the port; stock has one")
    parser.add_argument(
        "--stock-epochs",
        type=int,
        default=EPOCHS,
        choices=range(2, EPOCHS + 1),
        metavar="EPOCHS",
        help=f"of stock; the time of {EPOCHS} is computed from the first epoch and the median of the others, and the "
        "accuracy is not measured with fewer",
    )
    parser.add_argument("--images", type=int, help="number of training images, to try the benchmark; default: all")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/time-to-accuracy"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result, with processor and versions")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    add_options(parser)
    return parser.parse_args()


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all variants in turn, and summarise them.

    Raises:
        MnistCnnError: The recipe or a setting does not exist, or PyTorch is missing.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch")
    override(load_recipe(options.recipe), settings(options, SPRINT))  # refuses a wrong one before the work
    ports = [name for name, precision in PORTS.items() if precision == "float32" or has_bfloat16()]
    variants = [CEILING, *ports, RECIPE, *([SPRINT] if options.sprint else [])]
    measured: dict[str, list[dict[str, Any]]] = {variant: [] for variant in (STOCK, *variants)}
    for seed in range(options.seeds):
        halfway = [STOCK] if seed == options.seeds // 2 else []
        for variant in (*halfway, *variants):
            measured[variant].append(keep_measurement(variant, seed, options))
    return summarise(measured, options.recipe)


def keep_measurement(variant: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Give a measurement of this processor with these settings that is in --runs-dir, or make one in a new process."""
    identity = {
        "processor": label_processor(describe_environment()),
        "images": options.images,
        **({"epochs": options.stock_epochs} if variant == STOCK else {}),
        **(identify(options, variant) if variant in (RECIPE, SPRINT) else {}),
    }
    file = options.runs_dir / f"{variant.replace(', ', '-')}-seed{seed}.json"
    if file.exists() and (known := json.loads(file.read_text("utf-8")))["of"] == identity:
        return dict(known["measured"])
    print(f"{variant}, seed {seed}", file=sys.stderr)
    words = [__file__, "--variant", variant, "--seed", str(seed), *data_words(options.data_dir)]
    words += ["--recipe", options.recipe, "--stock-epochs", str(options.stock_epochs)]
    words += ["--images", str(options.images)] if options.images else []
    words += ["--sprint", *options.sprint] if options.sprint else []
    measured = in_own_process(words)
    options.runs_dir.mkdir(parents=True, exist_ok=True)
    write_json(file, {"of": identity, "measured": measured})
    return measured


def settings(options: argparse.Namespace, variant: str) -> dict[str, Any]:
    """Give the settings that replace those of the recipe."""
    return {"data.dataset": "mnist", **(dict(map(parse_setting, options.sprint)) if variant == SPRINT else {})}


def identify(options: argparse.Namespace, variant: str) -> dict[str, Any]:
    """Give the settings of the recipe that decide what is measured, as JSON has them."""
    values = override(load_recipe(options.recipe), settings(options, variant)).to_dict()
    decisive = {name: section for name, section in values.items() if isinstance(section, dict)}
    return dict(json.loads(json.dumps(decisive)))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Make one measurement in this process."""
    from mnist_cnn.datasets import load_dataset

    if options.variant == CEILING:
        return measure_ceiling()
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    test = load_dataset("mnist", split="test", data_dir=options.data_dir)
    dataset = dataset.subset(np.arange(options.images or len(dataset)))
    if options.variant == STOCK:
        network, ticks = fit_stock(dataset, options.stock_epochs, options.seed)
        probabilities = network.predict(test.images[..., np.newaxis].astype("float32") / 255, verbose=0)
        found = {**time_epochs(ticks), "epochs": EPOCHS, "precision": "float32"}
    elif options.variant in PORTS:
        from one_epoch_port import predict_port, train_port

        precision = PORTS[options.variant]
        network, ticks = train_port(dataset.images, dataset.labels, options.seed, precision)
        probabilities = predict_port(network, test.images)
        found = {**time_steps(ticks), "epochs": 1, "precision": precision}
    else:
        found, probabilities = measure_recipe(options, dataset, test)
    is_whole = options.variant != STOCK or options.stock_epochs == EPOCHS
    accuracy = 100 * float((probabilities.argmax(axis=1) == test.labels).mean())
    return {**found, "accuracy": accuracy if is_whole else None}


def measure_ceiling() -> dict[str, float]:
    """Give the operations per second of a large matrix product: the fastest of some, in each precision."""
    from mnist_cnn.models.backend import require_tensorflow

    require_tensorflow("the ceiling is measured")
    import tensorflow as tf

    ceilings = {}
    for name, kind in {"float32": tf.float32, "bfloat16": tf.bfloat16}.items():
        if name == "float32" or has_bfloat16():
            matrix = tf.cast(tf.random.normal((_SIDE, _SIDE)), kind)
            seconds = []
            for _ in range(_PRODUCTS):
                began = time.perf_counter()
                tf.matmul(matrix, matrix)[0, 0].numpy()
                seconds.append(time.perf_counter() - began)
            ceilings[name] = 2 * _SIDE**3 / min(seconds)
    return ceilings


def measure_recipe(options: argparse.Namespace, dataset: Any, test: Any) -> tuple[dict[str, Any], Any]:
    """Train the recipe in a temporary run folder.

    Returns:
        What was measured; the probabilities for the test images.
    """
    from mnist_cnn import Listener, create_run, train
    from mnist_cnn.datasets.split import divide
    from mnist_cnn.evaluation.predictions import predict_images
    from mnist_cnn.training.precision import training_precision

    changes = {**settings(options, options.variant), "training.seed": options.seed}
    config = override(load_recipe(options.recipe), changes)
    ticks: list[tuple[float, float]] = []

    class Clock(Listener):
        def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
            ticks.append(now())

        def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
            ticks.append(now())

        def on_epoch(self, row: Any, is_best: bool) -> None:
            ticks.append(now())

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, dataset, create_run(Path(folder), "run"), listener=Clock())
    whole = time.perf_counter() - began
    data = config.data
    images, _ = divide(dataset, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    found = {
        **time_steps(ticks),
        "train_seconds": whole,  # of `train`, which also describes the data, builds the network and saves the model
        "epochs": result.epochs,
        "precision": training_precision(config).removeprefix("mixed_"),
        "operations": count_operations(result.model) * len(images) * result.epochs,
    }
    return found, predict_images(result.model, test.images)


def count_operations(model: Any) -> int:
    """Count the multiplications and additions of a training step, per image, in convolutions and dense layers."""
    from mnist_cnn.tuning.cost import count_multiply_adds

    first = next(layer for layer in model.layers if hasattr(layer, "kernel"))
    outermost = type(model)(first.input, first.output)
    return 2 * (3 * count_multiply_adds(model) - count_multiply_adds(outermost))


def time_steps(ticks: Ticks) -> dict[str, float]:
    """Summarise the times at the start of training, after each call, and at the end."""
    return {**between(ticks[0], ticks[-1]), "warm_seconds": warm(ticks, ticks[-1][0] - ticks[0][0])}


def time_epochs(ticks: Ticks) -> dict[str, float]:
    """Compute the times of all epochs from those at the start and after each of the first two or more."""
    missing = EPOCHS - (len(ticks) - 1)
    later = [between(*pair) for pair in itertools.pairwise(ticks[1:])]
    found = between(ticks[0], ticks[-1])
    if missing:
        found = {name: found[name] + missing * statistics.median(each[name] for each in later) for name in found}
    return {**found, "warm_seconds": warm(ticks, found["seconds"])}


def between(start: tuple[float, float], end: tuple[float, float]) -> dict[str, float]:
    """Give the seconds, and the seconds of processor time, between two moments."""
    return {"seconds": end[0] - start[0], "cpu_seconds": end[1] - start[1]}


def warm(ticks: Ticks, seconds: float) -> float:
    """Give the seconds as if the first call had taken as long as the second."""
    start, first, second = (tick[0] for tick in ticks[:3])
    return seconds - (first - start) + (second - first)


def summarise(measured: dict[str, list[dict[str, Any]]], recipe: str) -> dict[str, Any]:
    """Give medians and mean accuracies of all variants, ratios, and the distance to the floor.

    Args:
        measured: The measurements of each variant, at least one.
        recipe: Its name.
    """
    ceilings = measured.pop(CEILING)
    rows = {variant: summarise_variant(variant, each) for variant, each in measured.items()}
    own = rows[RECIPE]
    sprint = rows.get(SPRINT, own)
    port = min((row for name, row in rows.items() if name in PORTS), key=lambda row: float(row["seconds"]))
    operations = statistics.median(each["operations"] for each in measured[RECIPE])
    ceiling = max(each[own["precision"]] for each in ceilings)
    floor = operations / ceiling
    return {
        "recipe": recipe,
        "ratio_to_stock": rows[STOCK]["seconds"] / own["seconds"],
        "warm_ratio_to_stock": rows[STOCK]["warm_seconds"] / own["warm_seconds"],
        "cpu_ratio_to_stock": rows[STOCK]["cpu_seconds"] / own["cpu_seconds"],
        "ratio_to_port": port["seconds"] / sprint["seconds"],
        "warm_ratio_to_port": port["warm_seconds"] / sprint["warm_seconds"],
        "cpu_ratio_to_port": port["cpu_seconds"] / sprint["cpu_seconds"],
        "accuracy_mean": own["accuracy"],
        "accuracy_sd": own["accuracy_sd"],
        "sprint_accuracy_mean": sprint["accuracy"],
        "seeds": own["seeds"],
        "train_seconds": statistics.median(each["train_seconds"] for each in measured[RECIPE]),
        "gigaoperations": operations / 1e9,
        "gigaoperations_per_second": ceiling / 1e9,
        "floor_seconds": floor,
        "times_the_floor": own["seconds"] / floor,
        "warm_times_the_floor": own["warm_seconds"] / floor,
        "rows": list(rows.values()),
    }


def summarise_variant(variant: str, measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the medians of the times of a variant, and the mean and standard deviation of its accuracy in percent."""
    accuracies = [each["accuracy"] for each in measured if each["accuracy"] is not None]
    times = {
        name: statistics.median(each[name] for each in measured) for name in ("seconds", "warm_seconds", "cpu_seconds")
    }
    return {
        "variant": variant,
        "epochs": measured[0]["epochs"],
        "precision": measured[0]["precision"],
        **times,
        "accuracy": statistics.fmean(accuracies) if accuracies else None,
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "accuracies": accuracies,
        "seeds": len(measured),
    }


if __name__ == "__main__":
    main()
