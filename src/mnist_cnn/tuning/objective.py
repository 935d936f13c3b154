"""One trial: draw settings from the space, train a network with them, report its values."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable

import optuna

from mnist_cnn.config import Config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import DivergedError, MnistCnnError, first_line
from mnist_cnn.models.architectures import build_model
from mnist_cnn.models.folding import as_saved
from mnist_cnn.runs import Row, RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.trainer import train
from mnist_cnn.tuning.cost import MEASURES, count_costs, describe_excess
from mnist_cnn.tuning.handover import ACCURACIES, BEGUN, FOLDER, PAUSED, PLACE, REASON, folder_name
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from mnist_cnn.tuning.space import configure, suggest_settings
from mnist_cnn.tuning.storage import database_error


class StopSearchError(KeyboardInterrupt):
    """The search has to stop: time is up, its leader is gone, or Ctrl-C. Optuna lets it through like Ctrl-C."""


class Objective:
    """Trains the network of a trial in its own run folder, on the training images alone."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        folder: TuningFolder,
        begun: Callable[[], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Prepare for trials.

        Args:
            plan: Of the search.
            dataset: The training split; every trial holds out the same validation images.
            folder: Of the search.
            begun: Called when a trial's settings are drawn, its folder is locked and the study knows both.
            may_go_on: Called after every step; if it returns False, training stops and the trial can be resumed.
        """
        self._plan = plan
        self._dataset = dataset
        self._folder = folder
        self._begun = begun
        self._may_go_on = may_go_on
        self._held = contextlib.ExitStack()  # the lock of the trial's folder
        self.stopped = False  # if True, no other trial may start

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Train, and give the value of each objective.

        The trial's folder stays locked until `let_go`. Otherwise another worker could take over the trial before the
        study records its end.

        Raises:
            TrialPruned: Others do better after as many epochs, or the network is over the limits of the space.
            StopSearchError: `may_go_on` returned False, or Ctrl-C.
            MnistCnnError: Training failed; the trial records the reason.
        """
        run: RunFolder | None = None
        try:
            settings = suggest_settings(self._plan.space, trial)
            trial.set_user_attr("settings", settings)
            run = self._begin(trial)
            return self._train(trial, configure(self._plan.base, settings), run)
        except KeyboardInterrupt:
            trial.set_user_attr(PAUSED, True)
            raise
        except Exception as error:
            if database_error(error):
                trial.set_user_attr(PAUSED, True)  # in case the database is back already
                raise
            trial.set_user_attr(REASON, _explain(error))
            if run:
                _drop_weights(run)
            raise

    def let_go(self) -> None:
        """Unlock the folder of a trial whose end the study knows."""
        self._held.close()

    def _begin(self, trial: optuna.Trial) -> RunFolder:
        run = self._choose_folder(trial)
        run.root.mkdir(parents=True, exist_ok=True)
        self._held.enter_context(lock_run(run))
        trial.set_user_attr(PLACE, self._folder.place)
        trial.set_user_attr(BEGUN, True)
        self._begun()
        return run

    def _choose_folder(self, trial: optuna.Trial) -> RunFolder:
        """Return the folder of the trial that this one resumes if it is here and free, otherwise a new one."""
        run = self._folder.trial(folder_name(trial))
        if FOLDER in trial.user_attrs and (trial.user_attrs.get(PLACE) != self._folder.place or is_at_work(run)):
            run = self._folder.trial(f"{trial.number:04d}")
        trial.set_user_attr(FOLDER, run.name)
        return run

    def _train(self, trial: optuna.Trial, config: Config, run: RunFolder) -> tuple[float, ...]:
        self._check_limits(trial, config)
        began = time.process_time()
        try:
            result = train(config, self._dataset, run, listener=_TrialListener(trial, config, run, self._may_go_on))
            if result.interrupted:
                raise StopSearchError
        except KeyboardInterrupt:
            self.stopped = True  # set before the study records it: another worker may have the trial already
            raise
        finally:
            spent = trial.user_attrs.get("cpu_seconds", 0.0) + time.process_time() - began
            trial.set_user_attr("cpu_seconds", spent)
        accuracies = _accuracies(run.read_json(run.history_json))  # `on_epoch` may have run in a worker that died
        kept_epoch = result.best_epoch if config.training.keep == "best" else len(accuracies)
        trial.set_user_attr(ACCURACIES, accuracies)
        trial.set_user_attr("kept_epoch", kept_epoch)
        values = {**trial.user_attrs, "accuracy": accuracies[kept_epoch - 1]}
        values |= {name: measure(result.model) for name, measure in MEASURES.items() if name in self._plan.objectives}
        return tuple(float(values[name]) for name in self._plan.objectives)

    def _check_limits(self, trial: optuna.Trial, config: Config) -> None:
        classes = len(self._dataset.class_names)
        network = build_model(config.model.architecture, config.model.arguments, classes)
        costs = count_costs(as_saved(network, config.model.fold))
        for name, count in costs.items():
            trial.set_user_attr(name, count)
        if excess := describe_excess(costs, self._plan.space.limits):
            raise optuna.TrialPruned(excess)


class _TrialListener(Listener):
    """Reports each epoch to the study, and stops a training that is not worth continuing."""

    def __init__(self, trial: optuna.Trial, config: Config, run: RunFolder, may_go_on: Callable[[], bool]) -> None:
        self._trial = trial
        self._run = run
        self._epochs = config.training.epochs
        self._may_go_on = may_go_on
        self._can_prune = len(trial.study.directions) == 1  # Optuna prunes by one objective only

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Check whether there is time left."""
        if not self._may_go_on():
            raise StopSearchError

    def on_epoch(self, row: Row, is_best: bool) -> None:
        """Report the validation accuracy, and ask whether the trial is worth another epoch."""
        # From the history, since an earlier worker may have died after it saved an epoch and before it reported it.
        history = self._run.read_json(self._run.history_json)
        accuracies = _accuracies(history)
        self._trial.set_user_attr(ACCURACIES, accuracies)
        self._trial.set_user_attr("seconds_per_epoch", statistics.median(row["seconds"] for row in history))
        if not self._can_prune:
            return
        epoch, accuracy = len(accuracies), accuracies[-1]
        self._trial.report(accuracy, epoch)  # from 1: Hyperband takes it as what the trial has cost
        if epoch < self._epochs and self._trial.should_prune():
            raise optuna.TrialPruned(f"{accuracy:.2%} after epoch {epoch}: other trials were better at that epoch")


def _accuracies(history: list[Row]) -> list[float]:
    return [float(row["val_accuracy"]) for row in history]


def _explain(error: Exception) -> str:
    if isinstance(error, DivergedError):
        return str(error).partition(";")[0]  # the rest says which weights are kept; a failed trial keeps none
    known = isinstance(error, MnistCnnError | optuna.TrialPruned)
    return str(error) if known else f"{type(error).__name__}: {first_line(error)}"


def _drop_weights(run: RunFolder) -> None:
    """Remove the large files of a training that will not continue; its settings, history and log stay."""
    for path in (run.state, run.best_checkpoint, run.model, run.weights):
        path.unlink(missing_ok=True)
