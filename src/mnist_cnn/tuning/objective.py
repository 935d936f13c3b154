"""One trial: settings drawn from the space, a network trained with them, what it came to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import optuna

from mnist_cnn.config import Config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import MnistCnnError, first_line
from mnist_cnn.history import Row
from mnist_cnn.models import build_model
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.train import TrainingResult, train
from mnist_cnn.tuning.cost import count_costs, describe_excess, measure_latency
from mnist_cnn.tuning.folder import TuningFolder, is_at_work
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.space import configure, suggest_settings
from mnist_cnn.tuning.storage import FOLDER, PLACE, REASON, folder_name

# What a trial leaves in the study besides its values.
SETTINGS, ACCURACIES = "settings", "accuracies"
SECONDS_PER_EPOCH, CPU_SECONDS = "seconds_per_epoch", "cpu_seconds"


class StopSearchError(KeyboardInterrupt):
    """The search has to end now: its time is up, its leader is gone, or Ctrl-C. Optuna lets it through like Ctrl-C."""


class Objective:
    """Trains the network of a trial in a run folder of its own, on the training images alone."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        folder: TuningFolder,
        *,
        begun: Callable[[], None] = lambda: None,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare for trials.

        Args:
            plan: What is searched.
            dataset: The training split; validation is held out of it, for every trial the same.
            folder: Holds the trials' run folders.
            begun: Called when a trial's settings are drawn and its folder is locked.
            may_go_on: Asked after every step; where it says no, training ends and the trial can be taken up again.
        """
        self._plan = plan
        self._dataset = dataset
        self._folder = folder
        self._begun = begun
        self._may_go_on = may_go_on

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Train, and give the value of each objective.

        Raises:
            TrialPruned: Others do better after as many epochs, or the network is over the space's limits.
            StopSearchError: Training was told to end.
            MnistCnnError: Training failed; the trial remembers why.
        """
        settings = suggest_settings(self._plan.space, trial)
        trial.set_user_attr(SETTINGS, settings)
        run = self._choose_folder(trial)
        run.root.mkdir(parents=True, exist_ok=True)
        with lock_run(run):
            trial.set_user_attr(PLACE, self._folder.place)
            self._begun()
            try:
                return self._train(trial, configure(self._plan.base, settings), run)
            except optuna.TrialPruned as error:
                trial.set_user_attr(REASON, str(error))
                _drop_weights(run)
                raise
            except Exception as error:
                trial.set_user_attr(REASON, _explain(error))
                _drop_weights(run)
                raise

    def _choose_folder(self, trial: optuna.Trial) -> RunFolder:
        """Give the folder of the trial that this one takes up again, if it is here and free, else a new one."""
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
        finally:
            spent = trial.user_attrs.get(CPU_SECONDS, 0.0) + time.process_time() - began
            trial.set_user_attr(CPU_SECONDS, spent)
        if result.interrupted:
            raise StopSearchError
        return tuple(self._measure(name, trial, config, run, result) for name in self._plan.objectives)

    def _check_limits(self, trial: optuna.Trial, config: Config) -> None:
        classes = len(self._dataset.class_names)
        model = build_model(config.model.architecture, config.model.arguments, classes)
        costs = count_costs(model)
        for name, count in costs.items():
            trial.set_user_attr(name, count)
        if excess := describe_excess(costs, self._plan.space.limits):
            raise optuna.TrialPruned(excess)

    def _measure(
        self, objective: str, trial: optuna.Trial, config: Config, run: RunFolder, result: TrainingResult
    ) -> float:
        if objective == "accuracy":
            return kept_accuracy(run, config, result)
        if objective == "latency":
            return measure_latency(result.model)
        return float(trial.user_attrs[objective])


class _TrialListener(Listener):
    """Reports each epoch to the study, and ends a training that is not worth going on with."""

    def __init__(self, trial: optuna.Trial, config: Config, run: RunFolder, may_go_on: Callable[[], bool]) -> None:
        self._trial = trial
        self._run = run
        self._epochs = config.training.epochs
        self._may_go_on = may_go_on
        self._can_prune = len(trial.study.directions) == 1  # Optuna prunes by one objective only

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Look whether there is still time."""
        if not self._may_go_on():
            raise StopSearchError

    def on_epoch(self, row: Row, is_best: bool) -> None:
        """Report the validation accuracy, and ask whether the trial is worth another epoch."""
        # From the history, since a worker may die after it has saved an epoch and before it reports it.
        history = self._run.read_json(self._run.history_json)
        accuracies = [float(each["val_accuracy"]) for each in history]
        self._trial.set_user_attr(ACCURACIES, accuracies)
        self._trial.set_user_attr(SECONDS_PER_EPOCH, statistics.median(each["seconds"] for each in history))
        if not self._can_prune:
            return
        epoch, accuracy = len(accuracies), accuracies[-1]
        self._trial.report(accuracy, epoch - 1)
        if epoch < self._epochs and self._trial.should_prune():
            raise optuna.TrialPruned(f"{accuracy:.2%} after epoch {epoch}: others did better by then")


def kept_accuracy(run: RunFolder, config: Config, result: TrainingResult) -> float:
    """Give the validation accuracy of the epoch whose weights became the model."""
    history = run.read_json(run.history_json)
    epoch = result.best_epoch if config.training.keep == "best" else len(history)
    return float(history[epoch - 1]["val_accuracy"])


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, MnistCnnError) else f"{type(error).__name__}: {first_line(error)}"


def _drop_weights(run: RunFolder) -> None:
    """Remove what takes space of a training that nobody goes on with; its settings, history and log stay."""
    for path in (run.state, run.best_checkpoint, run.model, run.weights):
        path.unlink(missing_ok=True)
