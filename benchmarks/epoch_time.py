"""How long an epoch of the `batchnorm` network takes: stock `model.fit` on NumPy arrays against this package.

An epoch includes its validation, with each side's own batch size: in a notebook that of training, 64; in this package
1,000. Each measurement runs in its own process, and the variants take turns on the same cores, so that changes in the
machine's speed affect all of them. Prints the processor, medians over the rounds, and ratios to stock.

"stock fit" is TensorFlow as a notebook runs it: with oneDNN if TensorFlow enables it by default. On other processors,
the rows "with oneDNN" and "without oneDNN" show the effect of that switch alone. ONEDNN_MAX_CPU_ISA=AVX2 (with float32)
shows on a newer processor how the kernels for older ones compare.

    python benchmarks/epoch_time.py --data-dir DIR [--rounds 5] [--variants NAME …]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cnn.environment.machine import ONEDNN_VARIABLE, describe_environment, label_processor
from records import add_options, add_record

if TYPE_CHECKING:
    from mnist_cnn.datasets import Dataset

EPOCHS = 3  # the first, which includes building the graph, does not count
EQUAL = {"training.batch_size": 64, "training.precision": "float32"}
AUGMENTED = {"augmentation.rotation": 10.0, "augmentation.zoom": 0.1, "augmentation.shift": 0.1}
OURS: dict[str, dict[str, Any]] = {
    "package, equal settings": EQUAL,
    "package, its own default": {},
    "package, default, augmented": AUGMENTED,
    "package, default, augmented and elastic": {**AUGMENTED, "augmentation.elastic": 0.6},
}
STOCK = "stock fit"
STOCK_WITH = "stock fit, with oneDNN"
WITHOUT = "package, equal settings, without oneDNN"
OURS[WITHOUT] = EQUAL
SWITCHES = {STOCK_WITH: "1", WITHOUT: "0"}  # TF_ENABLE_ONEDNN_OPTS; otherwise unset, as for users


def main() -> None:
    """Measure and print."""
    options = parse_options()
    if options.variant:
        print(json.dumps(measure(options.variant, options.data_dir)))
        return
    variants = [STOCK, *(name for name in (STOCK_WITH, *OURS) if name in options.variants)]
    print(label_processor(describe_environment()), file=sys.stderr)
    measured: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    for number in range(options.rounds):
        for variant in variants:
            print(f"round {number + 1}/{options.rounds}: {variant}", file=sys.stderr)
            words = [__file__, "--variant", variant, *data_words(options.data_dir)]
            measured[variant].append(in_own_process(words, SWITCHES.get(variant)))
    rows = [summarise(variant, measured) for variant in variants]
    print(label_processor(describe_environment()))
    for row in rows:
        print(
            f"{row['variant']:40}  {row['seconds']:6.2f} s an epoch  {row['speedup']:5.2f} × stock  "
            f"{row['cpu_seconds']:6.2f} s of processor  "
            f"{row['peak_memory_gib']:.2f} GiB"
        )
    add_record(options, rows)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", nargs="+", default=[*OURS], choices=[STOCK_WITH, *OURS], help="besides stock fit")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    add_options(parser)
    return parser.parse_args()


def data_words(data_dir: Path | None) -> list[str]:
    """Give the option that names the folder of the data, for another process."""
    return ["--data-dir", str(data_dir)] if data_dir else []


def in_own_process(words: list[str], onednn: str | None = None) -> dict[str, Any]:
    """Run a script in a new process and read the JSON in its last line.

    Args:
        words: The script and its options.
        onednn: The value of TF_ENABLE_ONEDNN_OPTS; None leaves it unset, as for users.
    """
    environment = {name: value for name, value in os.environ.items() if name != ONEDNN_VARIABLE}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", **({ONEDNN_VARIABLE: onednn} if onednn else {})}
    finished = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
    if finished.returncode:
        sys.exit(finished.stderr)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def summarise(variant: str, measured: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Give the median seconds of a variant, and the median over rounds of its speedup over stock."""
    pairs = zip(measured[STOCK], measured[variant], strict=True)
    return {
        "variant": variant,
        "seconds": statistics.median(each["seconds"] for each in measured[variant]),
        "cpu_seconds": statistics.median(each["cpu_seconds"] for each in measured[variant]),
        "speedup": statistics.median(stock["seconds"] / own["seconds"] for stock, own in pairs),
        "peak_memory_gib": max(each["peak_memory_gib"] for each in measured[variant]),
    }


def measure(variant: str, data_dir: Path | None) -> dict[str, float]:
    """Train a few epochs with validation, and give the median time of an epoch."""
    from mnist_cnn.datasets import load_dataset
    from mnist_cnn.environment.machine import peak_memory_gib

    if variant in OURS:
        ticks = package_ticks(OURS[variant], data_dir)
    else:
        _, (_, *ticks) = fit_stock(load_dataset("mnist", data_dir=data_dir), EPOCHS)
    walls = [after[0] - before[0] for before, after in itertools.pairwise(ticks)]
    cpus = [after[1] - before[1] for before, after in itertools.pairwise(ticks)]
    return {
        "seconds": statistics.median(walls),
        "cpu_seconds": statistics.median(cpus),
        "peak_memory_gib": peak_memory_gib(),
    }


def fit_stock(dataset: Dataset, epochs: int, seed: int = 0) -> tuple[Any, list[tuple[float, float]]]:
    """Train `batchnorm` as a notebook does: float arrays scaled to 0 … 1, one-hot labels, `fit`.

    Args:
        dataset: MNIST's training images, of which a fifth is held out.
        epochs: How long to train.
        seed: Chooses the initial weights and the order of the images.

    Returns:
        The network, which takes grey levels 0 … 1, and the times at the start of `fit` and after each epoch.
    """
    import keras  # noqa: TID251  # as a notebook does, without what this package sets first
    import numpy as np

    from mnist_cnn.datasets import split_validation
    from mnist_cnn.models.architectures import build_model

    training, validation = split_validation(dataset, 0.2, seed=0)
    assert validation is not None  # noqa: S101 - 0.2 holds some out
    network = build_model("batchnorm", {}, 10, seed=seed)
    inner = keras.Sequential([keras.Input((28, 28, 1)), *network.layers[2:]])  # without the scaling layer
    inner.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            ticks.append(now())

    def pair(part: Any) -> tuple[Any, Any]:
        return part.images[..., None].astype("float32") / 255, np.eye(10, dtype="float32")[part.labels]

    (x, y), held_out = pair(training), pair(validation)
    ticks = [now()]
    inner.fit(x, y, batch_size=64, epochs=epochs, validation_data=held_out, callbacks=[Clock()], verbose=0)
    return inner, ticks


def package_ticks(settings: dict[str, Any], data_dir: Path | None) -> list[tuple[float, float]]:
    """Train with this package, which saves state, history and checkpoint after each epoch."""
    from mnist_cnn import Config, Listener, create_run, load_dataset, override, train

    config = override(Config(), {**settings, "training.loss": "one-hot", "training.epochs": EPOCHS})
    ticks: list[tuple[float, float]] = []

    class Clock(Listener):
        def on_epoch(self, row: Any, is_best: bool) -> None:
            ticks.append(now())

    with tempfile.TemporaryDirectory() as folder:
        train(config, load_dataset("mnist", data_dir=data_dir), create_run(Path(folder), "run"), listener=Clock())
    return ticks


def now() -> tuple[float, float]:
    """Give the wall-clock time and the processor time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
