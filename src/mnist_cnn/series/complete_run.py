"""One complete training, as `mnist-cnn train` does it: train, evaluate once on the test set, write the report."""

from __future__ import annotations

import time
from typing import Any

from mnist_cnn.config import Config
from mnist_cnn.datasets import Dataset, ResolvedDataset
from mnist_cnn.errors import DataError
from mnist_cnn.evaluation.exploration import write_exploration
from mnist_cnn.evaluation.predictions import Predictions, predict
from mnist_cnn.evaluation.report import write_report
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.trainer import TrainingResult, train


def complete_run(
    config: Config,
    data: ResolvedDataset,
    run: RunFolder,
    began: float,
    checksum: str = "",
    listener: Listener | None = None,
) -> None:
    """Train a network, evaluate it, and write its report. A folder that was begun continues.

    Args:
        config: All settings.
        data: Where the training and the test images are.
        run: The folder; it is made if it does not exist.
        began: From `time.perf_counter`, before Keras was loaded.
        checksum: SHA-256 that the training images must have; empty for any.
        listener: Receives every step and epoch.

    Raises:
        DataError: These are other training images.
        InputError: The settings do not fit the data, the run was started with other data, or it is in use.
        DivergedError: The loss became NaN or infinite.
        WriteError: The folder cannot be written.
        KeyboardInterrupt: Ctrl-C; finished epochs are kept.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    with lock_run(run):
        images = data.load("train")
        if checksum and images.checksum() != checksum:
            raise DataError(
                f"the training images of {data.name} here (SHA-256 {images.checksum()[:12]}…) are not those where the "
                f"command runs ({checksum[:12]}…). Put the same data on all machines."
            )
        result = train(config, images, run, listener=listener)
        if result.interrupted:
            raise KeyboardInterrupt
        predictions, training = evaluate_once(result, data, images, run, began)
        write_report(run, result.model, predictions, training)


def evaluate_once(
    result: TrainingResult, data: ResolvedDataset, images: Dataset, run: RunFolder, began: float
) -> tuple[Predictions, dict[str, Any]]:
    """Evaluate a trained network on the test set, and explore the data.

    Args:
        result: Of training.
        data: Where the test images are.
        images: The training images.
        run: Of the training.
        began: From `time.perf_counter`, before the data were loaded.

    Returns:
        The predictions, and what training measured, for the report.
    """
    test = data.load("test")
    predictions = predict(result.model, test)
    write_exploration(run.exploration, images, test)
    return predictions, {
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "peak_memory_gib": result.peak_memory_gib,
        "total_seconds": time.perf_counter() - began,
    }
