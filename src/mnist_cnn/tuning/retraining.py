"""Train the networks of a confirmation on all training images, and evaluate each once on the test set."""

from __future__ import annotations

from collections.abc import Callable

from mnist_cnn.datasets import Dataset, ResolvedDataset
from mnist_cnn.evaluation.findings import gather, metrics_record
from mnist_cnn.evaluation.predictions import predict, write_predictions
from mnist_cnn.files import write_json
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.trainer import train
from mnist_cnn.tuning.confirmation import (
    Confirmation,
    Retraining,
    check_confirmable,
    is_measured,
    read_confirmation,
    retrainings,
)
from mnist_cnn.tuning.results import StudyResults
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.study import open_plan


def confirm(
    folder: TuningFolder,
    results: StudyResults,
    data: ResolvedDataset,
    seeds: int,
    *,
    listener: Listener | None = None,
    on_begin: Callable[[RunFolder], None] = lambda _: None,
) -> Confirmation | None:
    """Train the best trial's settings and the recipe's with several seeds, and compare them on the test set.

    Finished runs are not repeated; an interrupted run resumes from its last finished epoch.

    Args:
        folder: Of the search.
        results: Of the search so far.
        data: Of the search.
        seeds: How many.
        listener: Receives every step and epoch.
        on_begin: Receives each run before it is trained.

    Returns:
        The comparison.

    Raises:
        InputError: No trial is complete, these are other training data, or settings depend on held-out images.
        DivergedError: A loss became NaN or infinite.
        KeyboardInterrupt: Ctrl-C; finished epochs are kept.
    """
    plan = open_plan(folder)
    wanted = [each for step in range(1, seeds + 1) for each in retrainings(folder, plan, results, step)]
    missing = [each for each in wanted if not is_measured(each.run)]
    if missing:
        for each in missing:
            check_confirmable(each.config)
        training = data.load("train")
        plan.check_data(training)
        test = data.load("test")
        for each in missing:
            on_begin(each.run)
            _train_and_measure(each, training, test, listener)
    return read_confirmation(folder, plan, results)


def _train_and_measure(wanted: Retraining, training: Dataset, test: Dataset, listener: Listener | None) -> None:
    run = wanted.run
    run.root.mkdir(parents=True, exist_ok=True)
    with lock_run(run):
        result = train(wanted.config, training, run, listener=listener)
        if result.interrupted:
            raise KeyboardInterrupt
        predictions = predict(result.model, test)
        findings = gather(run, result.model, predictions, {"seconds": result.seconds}, command="")
        write_predictions(run.predictions, predictions)
        write_json(run.metrics, metrics_record(findings))  # last: this file says that the run is evaluated
